"""Who else than this user may have written a file: what its owner and its mode tell.

Root counts only for itself: to root, a user's file is somebody else's, and to a user one of root's.
No torch here.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import IO


def user_of(number: int) -> str:
    """Returns the name of the user with a number, or the number in words where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return f"user {number}"


def owner_of(path: Path) -> int | None:
    """Returns the number of the user to whom a file or folder belongs, or None without one.

    A link is not followed.
    """
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


def belongs_to_another(path: Path) -> str | None:
    """Returns that a file or folder belongs to somebody else, as a clause; None where it is ours.

    Where there is none, it counts as ours.
    """
    owner = owner_of(path)
    if owner is None or owner == os.geteuid():
        return None
    return f"{path.name} belongs to {user_of(owner)}"


def may_be_mapped(file: IO[bytes]) -> bool:
    """Returns whether an open file belongs to this user.

    The owner of another one could cut it short while it is mapped, which ends the process.
    """
    return os.fstat(file.fileno()).st_uid == os.geteuid()


def written_by_another(path: Path) -> str | None:
    """Returns why somebody else may have written a file, as a clause; None where nobody may have.

    A group counts as somebody else, but not the one that a user alone is in.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return belongs_to_another(path) or others_may_write(path.name, found, {os.geteuid()})


def kept_by_another(path: Path) -> bool:
    """Returns whether others than this user or root may have written a file. Raises OSError."""
    found = os.stat(path)
    mine = {os.geteuid(), 0}
    return found.st_uid not in mine or others_may_write(path.name, found, mine) is not None


def others_may_write(name: str, found: os.stat_result, owners: Iterable[int]) -> str | None:
    """Returns that others than its owners may write to a file, as a clause; None where not.

    `name` is what the clause calls the file.
    """
    if found.st_mode & stat.S_IWOTH:
        return f"everybody may write to {name}"
    if found.st_mode & stat.S_IWGRP and not any(_is_alone(found.st_gid, each) for each in owners):
        return f"the group {_group(found.st_gid)} may write to {name}"
    return None


def _group(number: int) -> str:
    """Returns the name of a group, or its number where it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except (KeyError, OverflowError):
        return str(number)


def _is_alone(group: int, user: int) -> bool:
    """Returns whether a group is the one that many systems make for each user, with nobody else.

    It is the user's first group, has the user's name, and lists nobody else.
    """
    try:
        known, person = grp.getgrgid(group), pwd.getpwuid(user)
    except (KeyError, OverflowError):
        return False
    others = set(known.gr_mem) - {person.pw_name}
    return person.pw_gid == group and known.gr_name == person.pw_name and not others
