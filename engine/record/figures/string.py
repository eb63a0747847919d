"""A string in the space of its first three principal components."""

from __future__ import annotations

from engine.errors import InputError
from engine.record import string_file
from engine.record.figures.path import bead_places, ids_of
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of_string
from engine.record.geometry import in_space

COLUMNS = ("bead", "place", "first", "second", "third", "value")


def of_string(source: Source) -> Sheet:
    """Returns the sheet of the string of a run or a string file.

    Raises InputError where it has fewer than three beads, which span no plane.
    """
    file = string_file.read(source.string_path)
    space, at = in_space(file.string.beads), bead_places(file, source)
    if space is None:
        raise InputError("has two beads, a straight line, which needs no axes", file=source.path)
    shares = ", ".join(f"{share:.6f}" for share in space.shares)
    facts = facts_of_string(source, file) | {"shares of variance": shares}
    beads = zip(ids_of(file), at, space.places, file.string.losses.tolist(), strict=True)
    rows = (
        {"bead": bead, "place": place, "first": x, "second": y, "third": z, "value": value}
        for bead, place, (x, y, z), value in beads
    )
    return table("string", facts, COLUMNS, rows)
