"""The contents of published data sets, and what of them is on this machine.

Each kind of data set that has a name of its own checks its files with these (`DataKeys.surveys`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

from engine.errors import InputError

Files = dict[str, Path]
"""The files found, by their published names."""


@dataclass(frozen=True)
class Source:
    """A published data set: its files, and where they can be had."""

    title: str
    """The name that people know it by."""
    files: tuple[str, ...]
    """The names of its files, without an ending .gz."""
    address: str
    """The URL at which it is published."""
    mirror: str | None = None
    """Another URL with the same files, or None."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of the uncompressed bytes, for each file for which it is known."""

    def where(self) -> str:
        """Returns a clause that says what to download from where."""
        mirror = f" or {self.mirror}" if self.mirror else ""
        return f"download {', '.join(self.files)} from {self.address}{mirror}"

    def again(self) -> str:
        """Returns a clause that says what to do about a damaged file."""
        return f"download it again from {self.mirror or self.address}"


class State(StrEnum):
    """The state of a data set on this machine."""

    SHIPPED = "shipped"
    """The data set comes with the program."""
    FOUND = "found"
    """The files are all here and hold what was published, as far as that is known."""
    SUBSET = "subset"
    """The files are whole, but do not hold the published number of samples."""
    ABSENT = "absent"
    """The files are not here."""
    DAMAGED = "damaged"
    """The files cannot all be used, or some are missing."""


Checksum = Literal["as published", "differs", "not known"]


@dataclass(frozen=True)
class File:
    """A file of a data set, and what was found in it."""

    name: str
    """Its name as published."""
    path: str
    """The path at which it was found."""
    holds: dict[str, int] = field(default_factory=dict)
    """Counts and sizes by what they count, in words; empty where the file is damaged."""
    sha256: str | None = None
    """The SHA-256 of the uncompressed bytes, or None where the file is damaged."""
    bytes: int | None = None
    """Its size on disk; None within a tar, whose size says more."""
    checksum: Checksum = "not known"
    """The result of comparing the SHA-256 with the published one."""


@dataclass(frozen=True)
class Survey:
    """A data set, and what of it is on this machine."""

    name: str
    """The name by which `dss-tui data` knows it."""
    kind: str
    """The value of `problem.data.kind` in a preset that uses it."""
    title: str
    """The name that people know it by."""
    state: State
    """The state of the data set on this machine."""
    path: str | None = None
    """The value of `problem.data.path`, or None where the data set is found without it."""
    needs: tuple[str, ...] = ()
    """The names of the files that belong to it."""
    looked: tuple[str, ...] = ()
    """The folders or files that were looked for, in order; none where $DSS_TUI_DATA is not set."""
    address: str | None = None
    """The URL at which it is published, or None where it is shipped."""
    mirror: str | None = None
    """Another URL with the same files, or None."""
    train: int | None = None
    """Number of training samples; None for a text, which the preset cuts into samples."""
    held_out: int | None = None
    """Number of samples held out; None for a text."""
    files: tuple[File, ...] = ()
    """The files that were found."""
    disk_bytes: int | None = None
    """Bytes of all files, or of the tar around them; None where none was found."""
    memory_bytes: int | None = None
    """Bytes of all samples in memory; None where keys decide on it, as for a text."""
    problems: tuple[str, ...] = ()
    """Sentences that each name a file, what is wrong with it, and a remedy."""
    caveat: str | None = None
    """The sentence that must be said of results on a subset, or None."""


def absent(
    name: str, kind: str, source: Source, places: list[Path], path: str | None = None
) -> Survey:
    """Returns the survey of a data set of which nothing was found in these places."""
    return Survey(
        name,
        kind,
        source.title,
        State.ABSENT,
        path=path,
        needs=source.files,
        looked=tuple(map(str, places)),
        address=source.address,
        mirror=source.mirror,
    )


def looked_at(
    survey: Survey,
    paths: Files,
    source: Source,
    look: Callable[[str, Path], tuple[bytes | bytearray, dict[str, int]]],
) -> Survey:
    """Returns the survey with these files in it, and the state FOUND or DAMAGED.

    `look` takes a file's published name and its path. It returns the uncompressed content and what
    that holds, or raises InputError for a damaged file.
    """
    files, problems = [], []
    for name, path in paths.items():
        try:
            content, holds = look(name, path)
        except InputError as error:
            files.append(File(name, str(path), bytes=_bytes(path)))
            problems.append(str(error))
            continue
        digest = hashlib.sha256(content).hexdigest()
        checksum = _checksum(digest, source, name)
        files.append(File(name, str(path), holds, digest, _bytes(path), checksum))
    places = {_real(path) for path in paths.values()}
    return replace(
        survey,
        disk_bytes=sum(place.stat().st_size for place in places),
        state=State.DAMAGED if problems else State.FOUND,
        files=tuple(files),
        problems=tuple(problems),
    )


def damaged(survey: Survey, *problems: str) -> Survey:
    """Returns the survey with further problems, and the state DAMAGED."""
    return replace(survey, state=State.DAMAGED, problems=(*survey.problems, *problems))


def compared(survey: Survey, source: Source) -> Survey:
    """Returns the survey of whole files, with a problem for each that is not the published one."""
    problems = [
        f"{file.path}: its checksum is not that of the published file; {source.again()}"
        for file in survey.files
        if file.checksum == "differs"
    ]
    return damaged(survey, *problems) if problems else survey


def _bytes(path: Path) -> int | None:
    """Returns the size of a file, or None within a tar."""
    return None if _real(path) != path else path.stat().st_size


def _real(path: Path) -> Path:
    """Returns a file, or the tar that it lies in."""
    return next(each for each in (path, *path.parents) if each.is_file())


def _checksum(digest: str, source: Source, name: str) -> Checksum:
    """Returns how a file's SHA-256 compares with the published one."""
    published = source.checksums.get(name)
    if published is None:
        return "not known"
    return "as published" if digest == published else "differs"
