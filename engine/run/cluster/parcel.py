"""The files of a run directory as one value, which goes from machine to machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from engine.errors import InputError
from engine.record.reading import open_to_read
from engine.record.rundir import RunDir
from engine.record.writing import is_leftover, made_folder, replace

Parcel = Mapping[str, bytes]
"""The content of each file by its path below the run directory, with slashes."""

#: The file that is written last, since it tells that a run has ended.
LAST = "events.jsonl"
#: The file that stays where it is.
LOCK = ".lock"


def packed(folder: Path) -> Parcel:
    """Returns the regular files of a run directory; its lock and half-written ones are left out.

    Raises Damaged for a file that cannot be read.
    """
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    wanted = (path for path in files if path.name != LOCK and not is_leftover(path))
    return {path.relative_to(folder).as_posix(): _content(path) for path in wanted}


def packed_if_begun(run: RunDir) -> Parcel:
    """Returns the files of a cell that was begun, or none where it can only begin anew."""
    return packed(run.path) if run.checkpoint.exists() else {}


def unpacked(parcel: Parcel, folder: Path, within: Path) -> None:
    """Writes the files of a parcel into a run directory, those that tell of an end last.

    `within` is the folder of all runs. Raises InputError for a name that leads out of the run
    directory, before anything is written, and SaveError.
    """
    for name in parcel:
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in name:
            raise InputError(f"a worker sent a file named {name!r}, which is none of a run's")
    for name in sorted(parcel, key=lambda name: name == LAST):
        path = folder / name
        made_folder(path.parent, within)
        replace(path, parcel[name])


def _content(path: Path) -> bytes:
    """Returns the content of a regular file. Raises Damaged."""
    descriptor = open_to_read(path)
    if descriptor is None:
        return b""
    with open(descriptor, "rb") as file:
        return file.read()
