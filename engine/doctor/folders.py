"""The folders that dss-tui writes to, and the data sets that it finds. No torch here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.data import surveys
from engine.data.files import data_folder
from engine.data.survey import State as Found
from engine.devices.memory import GIB
from engine.doctor.findings import Finding, State
from engine.errors import listed

#: The free bytes of a disk below which there is something to know about it.
SMALL = GIB


def writable(what: str, folder: Path, variable: str) -> Iterator[Finding]:
    """Yields whether a folder can be written to, or can be made, and how much room there is.

    Nothing is left behind. `variable` is the name of the one that can name another folder.
    """
    place = _existing(folder)
    try:
        if place == folder:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
                file.write(b"dss-tui doctor")
                file.flush()
        else:
            os.rmdir(tempfile.mkdtemp(dir=place, prefix=".doctor-"))
    except OSError as error:
        yield Finding(
            what,
            State.WRONG,
            f"{folder} cannot be written: {error.strerror or error}",
            f"let {variable} name a folder that can be written to: export {variable}=FOLDER",
            brief=f"{what} not writable",
            measured={"folder": str(folder), "free": None},
        )
        return
    free = shutil.disk_usage(place).free
    words = f"{folder} can be {'written' if place == folder else 'made'}, {free / GIB:.1f} GiB free"
    measured = {"folder": str(folder), "free": free}
    if free >= SMALL:
        yield Finding(what, State.OK, words, measured=measured)
        return
    remedy = f"make room there, or let {variable} name a folder on another disk"
    yield Finding(what, State.NOTE, words, remedy, f"{what} nearly full", measured)


def _existing(folder: Path) -> Path:
    """Returns the folder, or the nearest place above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists() or each == each.parent)


def data_sets() -> Iterator[Finding]:
    """Yields which data sets are found, and what is wrong with those that are damaged."""
    found = surveys()
    of = {state: [each.name for each in found if each.state is state] for state in Found}
    here = [*of[Found.SHIPPED], *of[Found.FOUND], *of[Found.SUBSET]]
    words = f"found {listed(here, most=9)}"
    if of[Found.ABSENT]:
        words += f"; not here {listed(of[Found.ABSENT], most=9)}"
    measured = {str(state): tuple(names) for state, names in of.items()}
    problems = [problem for each in found for problem in each.problems]
    named = data_folder()
    if named is not None and not named.is_dir():
        yield Finding(
            "data sets",
            State.WRONG,
            f"DSS_TUI_DATA is {str(named)!r}, which is no folder; {words}",
            "let it name the folder around mnist, cifar10, …, or unset it",
            measured=measured,
        )
    elif problems:
        remedy = "`dss-tui data` lists each file and where to get it"
        yield Finding("data sets", State.WRONG, problems[0], remedy, measured=measured)
    elif named is None:
        remedy = "export DSS_TUI_DATA=FOLDER with what `dss-tui data` lists, if you need them"
        words = f"DSS_TUI_DATA is not set; {words}"
        yield Finding("data sets", State.NOTE, words, remedy, measured=measured)
    else:
        yield Finding("data sets", State.OK, f"{words}, in {named}", measured=measured)
