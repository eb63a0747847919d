"""Quantities along a string, as `measures/NAME.json` in a run's folder holds them. No torch here.

Each quantity has a file named after it, which its newest measurement replaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from engine.record.decoding import decode, parse_json
from engine.record.events import dump_json
from engine.record.marks import Count, Length, Range, Seconds
from engine.record.reading import LARGEST_JSON, Damaged, read_bytes
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writing import is_folder, made_folder, replace

Share = Annotated[float, Range(0, 1)]
"""A share from 0 to 1."""


@dataclass(frozen=True)
class Series:
    """One number at each place along a string."""

    key: str
    """The name in CSV files, such as train_loss."""
    words: str
    """The name among the others of its chart, such as training."""
    chart: str
    """What is measured, in words. Series of one chart have the same unit."""
    values: tuple[float, ...]
    """The number at each place; NaN where there is none, or where it is not finite."""


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    words: str
    """The model that the row is about."""
    values: tuple[float, ...]
    """A number for each column."""


@dataclass(frozen=True)
class Table:
    """Numbers of a few models, side by side."""

    heads: tuple[str, ...]
    """What each column holds, in words."""
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A quantity along a string. Raises ValueError where its parts contradict each other."""

    kind: Literal["quantity"] = "quantity"
    name: str
    """The name in `engine.quantities.QUANTITIES`."""
    title: str
    """What is measured, in words."""
    time: Seconds
    """Running time of the run in seconds when the string was taken."""
    precision: Literal["float32", "float64"]
    """The precision of the measurement."""
    beads: Annotated[tuple[Count | None, ...], Length(2)]
    """The id of the bead at each place, from end to end; None between two beads."""
    arc: Annotated[tuple[Share, ...], Length(2)]
    """Where each place lies along the string, as a share of its length."""
    series: tuple[Series, ...]
    table: Table | None = None
    notes: tuple[str, ...] = ()
    """What the numbers are, in sentences."""

    def __post_init__(self) -> None:
        """Raises ValueError where the parts contradict each other."""
        if len(self.arc) != len(self.beads):
            raise ValueError("arc has no place for each of beads")
        if any(len(each.values) != len(self.beads) for each in self.series):
            raise ValueError("series has no value for each of beads")
        if self.table and any(len(r.values) != len(self.table.heads) for r in self.table.rows):
            raise ValueError("table has no value for each of its heads")

    @property
    def charts(self) -> tuple[str, ...]:
        """What is measured, chart by chart."""
        return tuple(dict.fromkeys(each.chart for each in self.series))

    def of_chart(self, chart: str) -> tuple[Series, ...]:
        """Returns the series of a chart."""
        return tuple(each for each in self.series if each.chart == chart)


# ---------------------------------------------------------------- files


def path_of(run: RunDir, name: str) -> Path:
    """Returns the path of the file of a quantity."""
    return run.measures / f"{name}.json"


def write_quantity(run: RunDir, found: Quantity) -> Path:
    """Replaces the file of a quantity in a run's folder, and returns its path.

    Raises SaveError where it cannot be written, also where `measures` is no folder but a link.
    """
    made_folder(run.measures)
    path = path_of(run, found.name)
    replace(path, dump_json(found).encode())
    return path


def read_quantity(run: RunDir, name: str) -> Quantity | None:
    """Returns the newest measurement of a quantity, or None before the first. Raises Damaged."""
    try:
        folder = is_folder(run.measures)
    except OSError:
        return None
    if not folder:
        raise Damaged(run.measures, "it is no folder")
    path = path_of(run, name)
    content = read_bytes(path, LARGEST_JSON)
    if content is None:
        return None
    try:
        return quantity_of(parse_json(content))
    except Unfit as unfit:
        raise Damaged(path, str(unfit)) from None


def quantity_of(tree: Any) -> Quantity:
    """Returns the quantity that a plain value of JSON holds. Raises Unfit."""
    return decode(Quantity, tree)
