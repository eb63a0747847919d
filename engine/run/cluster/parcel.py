"""Files of a folder of many runs as one value, which goes from machine to machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from engine.errors import InputError
from engine.record.reading import open_to_read
from engine.record.writing import is_leftover, made_folder, replace

Parcel = Mapping[str, bytes]
"""The content of each file by its path below the folder of all runs, with slashes."""

#: The file of a run that is written last, since it tells that the run has ended.
LAST = "events.jsonl"
#: The file that stays where it is.
LOCK = ".lock"


def packed(folder: Path, places: Iterable[str]) -> Parcel:
    """Returns the regular files at places below a folder; locks and half-written ones are left out.

    A place is that of a file, or of a folder with all that it holds. Raises Damaged for a file that
    cannot be read.
    """
    files = [file for place in places for file in _files(folder / place)]
    return {file.relative_to(folder).as_posix(): _content(file) for file in files}


def unpacked(parcel: Parcel, folder: Path, places: Sequence[str]) -> None:
    """Writes the files of a parcel below a folder, in the order of their places.

    Within a place the file that tells of an end is the last. Raises InputError for a name that lies
    at none of the places, before anything is written, and SaveError.
    """
    order = {name: _number(name, places) for name in parcel}
    for name in sorted(parcel, key=lambda name: (order[name], PurePosixPath(name).name == LAST)):
        path = folder / name
        made_folder(path.parent, folder)
        replace(path, parcel[name])


def _number(name: str, places: Sequence[str]) -> int:
    """Returns the number of the place at which a file lies. Raises InputError where it is none."""
    path = PurePosixPath(name)
    sound = path.as_posix() == name and not path.is_absolute() and "\0" not in name
    if sound and ".." not in path.parts:
        for number, place in enumerate(places):
            if path.is_relative_to(place):
                return number
    raise InputError(f"a worker sent a file named {name!r}, which it was not asked for")


def _files(path: Path) -> Iterator[Path]:
    """Yields the regular files at a place that are not a process's own for the moment."""
    inner = sorted(path.rglob("*")) if path.is_dir() and not path.is_symlink() else [path]
    for file in inner:
        own = file.name == LOCK or is_leftover(file)
        if not own and file.is_file() and not file.is_symlink():
            yield file


def _content(path: Path) -> bytes:
    """Returns the content of a regular file. Raises Damaged."""
    descriptor = open_to_read(path)
    if descriptor is None:
        return b""
    with open(descriptor, "rb") as file:
        return file.read()
