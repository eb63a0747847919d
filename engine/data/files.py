"""Where files that a preset names are looked up. This module imports neither numpy nor torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

#: A folder of this machine, and the one of another machine in whose place it is, for one thread.
_in_place: ContextVar[tuple[Path, Path] | None] = ContextVar("_in_place", default=None)


def data_folder() -> Path | None:
    """Returns the folder that $DSS_TUI_DATA names, or None where it is not set."""
    named = os.environ.get("DSS_TUI_DATA")
    return Path(os.path.expanduser(named)) if named else None


def candidates(path: str, *before: Path) -> list[Path]:
    """Returns the places that a path may mean, the preferred one first.

    They are in the folder that is in the place of another one (`in_place_of`), in the folders
    `before`, in the current folder if one can look there, and under $DSS_TUI_DATA. A full path
    means itself, wherever one is.
    """
    data, named = data_folder(), Path(os.path.expanduser(path))
    if named.is_absolute():
        return [*_moved(named), named]
    folders = [*before, *_here(), *([data] if data else [])]
    return list(dict.fromkeys(folder / named for folder in folders))


def looked_in(path: str) -> str:
    """Returns the candidates in words, for a sentence that says that none of them is there."""
    found = " nor ".join(map(str, candidates(path)))
    return found or f"{path}, in the current folder, in which one cannot look"


@contextmanager
def in_place_of(theirs: Path, ours: Path) -> Iterator[None]:
    """Looks in `ours` for files that are named below `theirs`, in this thread within the block.

    `theirs` is a folder of another machine. So what names files there, such as a run.yaml, stays as
    it is wherever it is read.
    """
    token = _in_place.set((ours, theirs))
    try:
        yield
    finally:
        _in_place.reset(token)


def _moved(named: Path) -> list[Path]:
    """Returns where a file lies that is named in a folder that another one is in the place of."""
    ours, theirs = _in_place.get() or (None, None)
    if ours is None or theirs is None or not named.is_relative_to(theirs):
        return []
    return [ours / named.relative_to(theirs)]


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
