"""A loss plane through three beads, with the string in its projection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from engine.errors import InputError
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of
from engine.record.loss_plane import LossPlane, NoPlane, Triple, path_of, read_plane_file
from engine.record.writing import is_folder

COLUMNS = ("part", "bead", "x", "y", "distance", "value")


def of_run(source: Source) -> Sheet:
    """Returns the sheet of a plane that lies in a run's folder.

    It is the one through the beads that are asked for; without any, the only one that there is.
    Raises InputError where there is none, or where several are and no beads were named.
    """
    plane = _stored(source)
    spec = source.run.load_spec()
    return sheet_of(plane, facts_of(source, spec, [spec.seed]))


def sheet_of(plane: LossPlane, facts: Mapping[str, str]) -> Sheet:
    """Returns the sheet of a loss plane, with more facts about what it is of."""
    own = {
        "beads": ", ".join(map(str, plane.beads)),
        "level": f"{plane.level!r}",
        "tolerance": f"{plane.tolerance!r}",
        "objective": plane.level_on.words,
        "precision": plane.precision,
    }
    return table("plane", dict(facts) | own, COLUMNS, _rows(plane))


def _rows(plane: LossPlane) -> Iterator[dict[str, Any]]:
    """Yields the points of the grid, row by row, then the beads."""
    for y, losses in zip(plane.y, plane.losses, strict=True):
        for x, loss in zip(plane.x, losses, strict=True):
            yield {"part": "grid", "x": x, "y": y, "value": loss}
    for part, beads in (("string", plane.string), ("corner", plane.corners)):
        for each in beads:
            place = {"x": each.x, "y": each.y, "distance": each.distance}
            yield {"part": part, "bead": each.bead, "value": each.loss} | place


def _stored(source: Source) -> LossPlane:
    """Returns the plane in a run's folder that is asked for. Raises InputError."""
    run, beads = source.run, source.beads
    known = planes_of(source)
    if beads is None and len(known) == 1:
        (beads,) = known
    if beads is None:
        several = " or ".join(",".join(map(str, each)) for each in known)
        raise InputError(
            f"holds several loss planes; choose one with --plane {several}"
            if known
            else "holds no loss plane yet; --plane A,B,C measures the one through three beads",
            file=source.path,
        )
    answer = read_plane_file(path_of(run, beads))
    if answer is None or isinstance(answer, NoPlane):
        why = "holds no such loss plane" if answer is None else answer.reason
        raise InputError(why, file=source.path, key="--plane")
    return answer


def planes_of(source: Source) -> list[Triple]:
    """Returns the beads of the planes in a run's folder, in order of their ids."""
    folder = source.run.planes
    with suppress(OSError):
        if is_folder(folder):
            named = (path for path in folder.glob("*.json") if not path.name.startswith("."))
            return sorted(triple for path in named if (triple := _triple(path.stem)) is not None)
    return []


def _triple(name: str) -> Triple | None:
    """Returns the beads in the name of a plane's file, or None for another name."""
    parts = name.split("-")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return None
    a, b, c = map(int, parts)
    return a, b, c
