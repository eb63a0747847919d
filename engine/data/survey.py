"""What is there of each data set, looked at closely: counts, shapes, checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

from engine.data import cifar10, idx, text
from engine.data.catalogue import (
    IDX_FILES,
    IMAGES,
    TEST_IMAGES,
    TEST_LABELS,
    TEXTS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    ImageSource,
    Source,
)
from engine.data.digits import load_digits
from engine.data.files import ImageKind, candidates, image_folders, locate
from engine.data.images import Files, caveat, contents, first_files
from engine.errors import InputError, nearest


class State(StrEnum):
    SHIPPED = "shipped"
    FOUND = "found"
    SUBSET = "subset"
    """Whole files, but not with the published number of samples."""
    ABSENT = "absent"
    DAMAGED = "damaged"
    """Files that cannot be used, or of which some are missing."""


Checksum = Literal["as published", "differs", "not known"]


@dataclass(frozen=True)
class File:
    name: str
    """As published."""
    path: str
    holds: dict[str, int] = field(default_factory=dict)
    """Counts and shapes; empty where it is damaged."""
    sha256: str | None = None
    """Of the uncompressed bytes."""
    checksum: Checksum = "not known"


@dataclass(frozen=True)
class Survey:
    """A data set as it lies here."""

    name: str
    kind: str
    """`problem.data.kind` of a preset."""
    title: str
    state: State
    path: str | None = None
    """`problem.data.path`; None: found without."""
    needs: tuple[str, ...] = ()
    looked: tuple[str, ...] = ()
    """Folders or files, in order; none where $DSS_TUI_DATA is not set."""
    address: str | None = None
    mirror: str | None = None
    train: int | None = None
    """Samples; None for a text, whose samples the preset cuts."""
    held_out: int | None = None
    files: tuple[File, ...] = ()
    problems: tuple[str, ...] = ()
    """Sentences that name a file and a remedy."""
    caveat: str | None = None
    """What must be said of results on a subset."""


def names() -> list[str]:
    """The data sets that are known by name."""
    return ["digits", *IMAGES, *map(_text_name, TEXTS)]


def surveys(name: str | None = None) -> list[Survey]:
    """All data sets, or those of a name or kind; their files are read in full.

    Raises InputError for a name that no data set has.
    """
    known = [*names(), "text"]
    if name is not None and name not in known:
        raise InputError(f"no such data set; {nearest(name, known)}", file=name)
    found = [_digits()] if name in (None, "digits") else []
    found += [_images(kind) for kind in IMAGES if name in (None, kind)]
    found += [_text(path) for path in TEXTS if name in (None, "text", _text_name(path))]
    return found


def _digits() -> Survey:
    data = load_digits()
    return Survey(
        "digits",
        "digits",
        "Handwritten digits, 8 × 8",
        State.SHIPPED,
        train=len(data.x),
        held_out=len(data.x_held_out),
    )


def _images(kind: ImageKind) -> Survey:
    source, places = IMAGES[kind], image_folders(kind, None)
    blank = _blank(kind, kind, source, places)
    files_in = cifar10.files_in if kind == "cifar10" else idx.files_in
    try:
        paths = first_files(places, source, files_in)
    except InputError as error:
        return replace(blank, state=State.DAMAGED, problems=(str(error),))
    if not paths:
        return blank

    def look(name: str, path: Path) -> tuple[bytearray, dict[str, int]]:
        content = contents(path, source)
        if kind == "cifar10":
            return content, _of_images(len(cifar10.records(content, path)), source)
        if name in (TRAIN_IMAGES, TEST_IMAGES):
            return content, _of_images(len(idx.read_images(content, path, source)), source)
        return content, {"labels": len(idx.read_labels(content, path, source))}

    found = _looked_at(blank, paths, source, look)
    total = _cifar10_total if kind == "cifar10" else _idx_total
    try:
        train, held_out = total({file.name: file.holds for file in found.files}, paths, source)
    except InputError as error:
        return replace(found, state=State.DAMAGED, problems=(*found.problems, str(error)))
    if found.problems:
        return found
    remark = caveat(kind, train, held_out)
    if remark:
        found = replace(found, state=State.SUBSET, caveat=remark)
    else:
        found = _compared(found, source)
    return replace(found, train=train, held_out=held_out)


def _of_images(count: int, source: ImageSource) -> dict[str, int]:
    channels, rows, columns = source.shape
    return {"images": count, "channels": channels, "rows": rows, "columns": columns}


def _idx_total(
    holds: dict[str, dict[str, int]], paths: Files, source: ImageSource
) -> tuple[int, int]:
    """Training and test samples. Raises InputError for files missing or of different length."""
    idx.check_complete(paths, IDX_FILES, source)
    totals = []
    for images, labels in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        count, other = holds[images].get("images"), holds[labels].get("labels")
        if count and other:
            idx.check_pair(count, other, paths[images], paths[labels])
        totals.append(count or 0)
    return totals[0], totals[1]


def _cifar10_total(
    holds: dict[str, dict[str, int]], paths: Files, source: ImageSource
) -> tuple[int, int]:
    """Training and test samples. Raises InputError for files missing."""
    cifar10.check_complete(paths, test=True)
    count = {name: held.get("images", 0) for name, held in holds.items()}
    test = count.pop(cifar10.TEST)
    return sum(count.values()), test


def _text(path: str) -> Survey:
    source, places = TEXTS[path], candidates(path)
    blank = replace(_blank(_text_name(path), "text", source, places), path=path)
    there = locate(path, folders=True)
    if there is None:
        return blank
    folder = there if there.is_dir() else there.parent
    paths = {name: folder / name for name in source.files if (folder / name).is_file()}
    if not paths:
        return blank

    def look(name: str, path: Path) -> tuple[bytes, dict[str, int]]:
        content = text.content(path)
        decoded = text.decode(content, path)
        words = decoded.split()
        return content, {
            "characters": len(decoded),
            "different characters": len(set(decoded)),
            "words": len(words),
            "different words": len(set(words)),
        }

    found = _looked_at(blank, paths, source, look)
    lacking = [name for name in source.files if name not in paths]
    problems = [f"{folder}: has no {name}; {source.again()}" for name in lacking]
    if problems or found.problems:
        return replace(found, state=State.DAMAGED, problems=(*found.problems, *problems))
    return _compared(found, source)


def _text_name(path: str) -> str:
    return path.partition("/")[0]


# ---------------------------------------------------------------- files


def _blank(name: str, kind: str, source: Source, places: list[Path]) -> Survey:
    return Survey(
        name,
        kind,
        source.title,
        State.ABSENT,
        needs=source.files,
        looked=tuple(map(str, places)),
        address=source.address,
        mirror=source.mirror,
    )


def _looked_at(
    blank: Survey,
    paths: Files,
    source: Source,
    look: Callable[[str, Path], tuple[bytes | bytearray, dict[str, int]]],
) -> Survey:
    """With its files; `look` gives the content of one and what it holds, or raises InputError."""
    files, problems = [], []
    for name, path in paths.items():
        try:
            content, holds = look(name, path)
        except InputError as error:
            files.append(File(name, str(path)))
            problems.append(str(error))
            continue
        digest = hashlib.sha256(content).hexdigest()
        files.append(File(name, str(path), holds, digest, _checksum(digest, source, name)))
    return replace(
        blank,
        state=State.DAMAGED if problems else State.FOUND,
        files=tuple(files),
        problems=tuple(problems),
    )


def _checksum(digest: str, source: Source, name: str) -> Checksum:
    published = source.checksums.get(name)
    if published is None:
        return "not known"
    return "as published" if digest == published else "differs"


def _compared(found: Survey, source: Source) -> Survey:
    """A file that holds what was published in number must be what was published."""
    problems = tuple(
        f"{file.path}: its checksum is not that of the published file; {source.again()}"
        for file in found.files
        if file.checksum == "differs"
    )
    return replace(found, state=State.DAMAGED, problems=problems) if problems else found
