"""The objective along a path, with its beads, its level, and what is proven of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from engine.errors import InputError
from engine.record import string_file
from engine.record.arc import even_grid, places
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of_string
from engine.record.geometry import segment_lengths
from engine.record.progress import Progress, read_progress
from engine.record.string_file import StringFile
from engine.spec.level import bound

COLUMNS = ("part", "segment", "t", "bead", "place", "value")

Line = dict[str, Any]
"""A row of the table by the names of its columns."""


def of_string(source: Source) -> Sheet:
    """Returns the sheet of the string of a run or a string file.

    Raises InputError where there is none, or where its beads lie in one place.
    """
    file = string_file.read(source.string_path)
    at = bead_places(file, source)
    progress = read_progress(source.run) if source.what == "run" else None
    beside = _beside(file, at, progress)
    facts = facts_of_string(source, file)
    if beside and progress is not None:
        facts["secondary"] = progress.secondary.words
    lines = chain(_limits(file), _proof(file, at), _profile(file, at), beside, _beads(file, at))
    return table("path", facts, COLUMNS, lines)


def bead_places(file: StringFile, source: Source) -> tuple[float, ...]:
    """Returns the place of each bead as a share of the path's length. Raises InputError."""
    found = places(segment_lengths(file.string.beads).tolist())
    if found is None:
        raise InputError("its beads lie in one place, so nothing lies along it", file=source.path)
    return found


def ids_of(file: StringFile) -> tuple[int, ...]:
    """Returns the ids of the beads; beads of files without ids are numbered from 1."""
    return file.header.bead_ids or tuple(range(1, len(file.string.beads) + 1))


def _between(at: Sequence[float], segment: int, t: float) -> float:
    """Returns the place of t on a segment."""
    return at[segment] + t * (at[segment + 1] - at[segment])


def _limits(file: StringFile) -> Iterator[Line]:
    """Yields the level from end to end, and what a segment may have where that is more."""
    level, tolerance = file.header.level, file.header.tolerance
    for part, value in (("level", level), ("level with tolerance", bound(level, tolerance))):
        if part == "level" or tolerance:
            yield from ({"part": part, "place": place, "value": value} for place in (0.0, 1.0))


def _proof(file: StringFile, at: Sequence[float]) -> Iterator[Line]:
    """Yields what the objective is proven not to exceed on each cell, at both of its ends."""
    cells = file.string.cells
    for number, u, v, value in [] if cells is None else cells.tolist():
        segment = int(number)
        for t in (u, v):
            place = _between(at, segment, t)
            told = {"segment": segment, "t": t, "place": place, "value": value}
            yield {"part": "proven bound"} | told


def _profile(file: StringFile, at: Sequence[float]) -> Iterator[Line]:
    """Yields the objective along each segment."""
    t = file.string.t.tolist()
    for segment, profile in enumerate(file.string.profiles.tolist()):
        yield from _along("objective", segment, t, profile, at)


def _along(
    part: str, segment: int, t: Sequence[float], values: Sequence[float], at: Sequence[float]
) -> Iterator[Line]:
    """Yields values at the points of a segment."""
    for share, value in zip(t, values, strict=True):
        place = _between(at, segment, share)
        yield {"part": part, "segment": segment, "t": share, "place": place, "value": value}


def _beside(file: StringFile, at: Sequence[float], progress: Progress | None) -> list[Line]:
    """Returns the secondary metric, where a run has measured it of this very string."""
    if progress is None or progress.order != file.header.bead_ids:
        return []
    return [
        line
        for number, segment in enumerate(progress.segments)
        for line in _along(
            "secondary", number, even_grid(len(segment.secondary)), segment.secondary, at
        )
    ]


def _beads(file: StringFile, at: Sequence[float]) -> Iterator[Line]:
    """Yields the objective at each bead."""
    for bead, place, value in zip(ids_of(file), at, file.string.losses.tolist(), strict=True):
        yield {"part": "bead", "bead": bead, "place": place, "value": value}
