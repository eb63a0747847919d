"""Where files that a preset names are looked up. This module imports neither numpy nor torch."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path | None:
    """Returns the folder that $DSS_TUI_DATA names, or None where it is not set."""
    named = os.environ.get("DSS_TUI_DATA")
    return Path(os.path.expanduser(named)) if named else None


def candidates(path: str, *before: Path) -> list[Path]:
    """Returns the places that a path may mean, the preferred one first.

    They are in the folders `before`, in the current folder if one can look there, and under
    $DSS_TUI_DATA.
    """
    data = data_folder()
    folders = [*before, *_here(), *([data] if data else [])]
    return list(dict.fromkeys(folder / os.path.expanduser(path) for folder in folders))


def _here() -> list[Path]:
    """Returns the current folder, or nothing where it is gone or closed to this user."""
    try:
        return [Path.cwd()] if os.access(".", os.X_OK) else []
    except OSError:
        return []


def locate(path: str, *before: Path, folders: bool = False) -> Path | None:
    """Returns the full path of the first candidate that is a file, or None where there is none.

    With `folders`, a candidate that is a folder counts too.
    """
    for place in candidates(path, *before):
        if place.is_file() or (folders and place.is_dir()):
            return place.resolve()
    return None
