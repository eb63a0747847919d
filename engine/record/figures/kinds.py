"""All kinds of figures: what each shows, of what it is made, and its columns.

A new kind is a module with `COLUMNS` and functions that return a `Sheet`, a line here, and a module
that draws it in `dss_tui/figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.errors import InputError, nearest
from engine.record.figures import (
    depths,
    disconnectivity,
    levels,
    methods,
    path,
    plane,
    quantities,
    string,
)
from engine.record.figures.sheet import Sheet, is_sheet, read_sheet
from engine.record.figures.source import Source, What
from engine.record.reading import check_regular

Maker = Callable[[Source], Sheet]
"""Returns the sheet of a source. Raises InputError where the source lacks what it takes."""


@dataclass(frozen=True)
class Kind:
    """A kind of figure."""

    words: str
    """What it shows, in words."""
    columns: tuple[str, ...]
    """The columns of its sheet."""
    of: Mapping[What, Maker]
    """What makes its sheet, by what it is made of."""


#: All kinds by name. The natural kind of a source is the first one that it allows.
KINDS: dict[str, Kind] = {
    "levels": Kind(
        "length and beads against the level, with laws and the paper's points",
        levels.COLUMNS,
        {"sweep": levels.of_sweep},
    ),
    "methods": Kind(
        "length against sample gradients, method by method",
        methods.COLUMNS,
        {"comparison": methods.of_comparison},
    ),
    "disconnectivity": Kind(
        "the losses at which searches have joined the models",
        disconnectivity.COLUMNS,
        {"components": disconnectivity.of_components},
    ),
    "path": Kind(
        "the objective along the path, with its beads, its level and its proof",
        path.COLUMNS,
        {"run": path.of_string, "string": path.of_string},
    ),
    "string": Kind(
        "the string on its principal axes",
        string.COLUMNS,
        {"run": string.of_string, "string": string.of_string},
    ),
    "plane": Kind("the loss plane through three beads", plane.COLUMNS, {"run": plane.of_run}),
    "depths": Kind(
        "the number of beads at each depth of splits",
        depths.COLUMNS,
        {"run": depths.of_run, "sweep": depths.of_sweep},
    ),
    "quantities": Kind(
        "what `dss-tui measure --what` has measured along the path",
        quantities.COLUMNS,
        {"run": quantities.of_run, "table": quantities.of_table},
    ),
}


def sheet_of(source: Source, kind: str | None = None) -> Sheet:
    """Returns the sheet of a figure.

    Args:
        source: What it is made of. A table that is a sheet itself is returned as it is.
        kind: The kind of figure; None takes the natural one of the source.

    Raises:
        InputError: There is no such kind, it is none of this source, or the source lacks what the
            kind takes.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"is {kind}; {nearest(kind, KINDS)}", key="--kind")
    if source.what == "table" and check_regular(source.path) and is_sheet(source.path):
        return _again(source, kind)
    if kind is None:
        kind = next(iter(allowed(source)))
    if source.what not in KINDS[kind].of:
        raise InputError(
            f"is {kind}, but {source.path.name} is {source.words}, of which there are "
            f"{', '.join(allowed(source))}",
            key="--kind",
        )
    return KINDS[kind].of[source.what](source)


def _again(source: Source, kind: str | None) -> Sheet:
    """Returns the sheet in a file. Raises InputError where it is of another kind."""
    sheet = read_sheet(source.path, {name: each.columns for name, each in KINDS.items()})
    if kind not in (None, sheet.kind):
        raise InputError(f"is {kind}, but the sheet is one of {sheet.kind}", key="--kind")
    return sheet


def allowed(source: Source) -> list[str]:
    """Returns the names of the kinds of a source, the natural one first."""
    return [name for name, kind in KINDS.items() if source.what in kind.of]


def refusals(source: Source) -> dict[str, str | None]:
    """Returns for each kind of a source why it cannot be made now, or None where it can be."""
    found: dict[str, str | None] = {}
    for name in allowed(source):
        try:
            sheet_of(source, name)
        except InputError as error:
            found[name] = error.what
        else:
            found[name] = None
    return found
