"""The checks of what is around the engine: software, folders and data. No torch here."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from engine.cache import cache_folder
from engine.doctor import folders, software
from engine.doctor.findings import Check
from engine.record.finding import runs_folder


def checks() -> list[Check]:
    """Returns the checks that need no process of their own."""
    runs, cache = runs_folder(), cache_folder()
    return [
        Check("versions", "software", software.versions),
        Check("data sets", "folders", folders.data_sets),
        _writable("runs folder", runs, "DSS_TUI_RUNS"),
        _writable("cache folder", cache, "DSS_TUI_CACHE"),
    ]


def _writable(what: str, folder: Path, variable: str) -> Check:
    """Returns the check of a folder that is written to, and that a variable can name."""
    return Check(what, "folders", partial(folders.writable, what, folder, variable))
