"""Whose a run is, and so whose commands its engine obeys. No torch here.

Nobody can tell who wrote a line of a file, only who may write to it.
"""

from __future__ import annotations

import os

from engine.errors import InputError, listed
from engine.owners import others_may_write, owner_of, user_of
from engine.record.rundir import RunDir
from engine.record.sweep_state import state_path


def owners(run: RunDir) -> set[int]:
    """Returns the users to whom a run or a sweep seems to belong, root aside.

    That is whoever made its folder, and whoever ran its newest session, by the files that it left.
    """
    found = map(owner_of, (run.path, run.meta, state_path(run.path)))
    return {owner for owner in found if owner is not None}


def obeyed(run: RunDir) -> set[int]:
    """Returns the users whom an engine that this process runs obeys.

    They are this user, whoever made the folder, and root. Files in the folder tell nothing of that,
    since others may have put them there.
    """
    maker = owner_of(run.path)
    return {os.geteuid(), 0} | (set() if maker is None else {maker})


def others_write(run: RunDir, found: os.stat_result, known: set[int]) -> str | None:
    """Returns that others than known users may have written a run's commands, as a clause.

    Returns None where nobody else may. `found` is the file's owner and mode.
    """
    if found.st_uid not in known:
        return f"{run.commands.name} belongs to {user_of(found.st_uid)}"
    return others_may_write(run.commands.name, found, known)


def check_owner(run: RunDir) -> None:
    """Raises InputError where this user is neither an owner of a run nor root."""
    known = owners(run)
    if os.geteuid() not in known | {0}:
        names = listed(map(user_of, sorted(known)))
        raise InputError(
            f"belongs to {names}, whom alone its engine obeys, and root; ask them", file=run.path
        )
