"""Renames the folder of a run. No torch here."""

from __future__ import annotations

import os

from engine.errors import InputError
from engine.record.lock import is_live, take_lock
from engine.record.notes import write_first_name
from engine.record.rundir import RunDir
from engine.record.runs import is_starting

#: The number of bytes of the longest name that file systems take.
LONGEST = 255


def check_name(run: RunDir, name: str) -> None:
    """Raises InputError for a name that a run's folder cannot be given.

    A new name is one beside the run's own: it holds no slash, so that a run never leaves its
    folder, and it is not taken.
    """
    why = None
    if not name:
        why = "is empty; give the run a name"
    elif name in (".", "..") or "/" in name:
        why = "names another folder; give a name without a slash"
    elif name.startswith((".", "-", "~")):
        why = f"starts with {name[0]!r}; begin with a letter or a digit"
    elif not name.isprintable() or name != name.strip():
        why = "holds blanks at an end, or what cannot be printed; leave it out"
    elif len(os.fsencode(name)) > LONGEST:
        why = f"is longer than {LONGEST} bytes; shorten it"
    elif os.path.lexists(run.path.with_name(name)):
        why = "exists already; choose another name"
    if why is not None:
        raise InputError(why, file=name or "the new name")


def rename(run: RunDir, name: str) -> RunDir:
    """Gives a run's folder another name and returns the run.

    The name that the folder was made with is kept in the notes, because it names the preset. The
    run's lock is held meanwhile, so that no engine starts in the folder. Raises InputError for a
    name that cannot be, and where the run is live or about to be; SaveError where a file cannot be
    written.
    """
    check_name(run, name)
    if is_live(run):
        raise InputError("is running; stop it first, then rename it", file=run.name)
    if is_starting(run):
        raise InputError("is starting; wait until it runs, then stop it", file=run.name)
    if not os.path.isdir(run.path):
        raise InputError("is not there any more", file=run.name)
    target = run.path.with_name(name)
    with take_lock(run):
        write_first_name(run, run.name)
        try:
            os.mkdir(target)  # taken first, because a rename would replace an empty folder
            os.rename(run.path, target)
        except FileExistsError:
            raise InputError("exists already; choose another name", file=name) from None
        except OSError as error:
            raise InputError(f"cannot be renamed: {error.strerror}", file=run.name) from None
    return RunDir(target)
