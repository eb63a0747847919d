"""What a plot shows: its curves, its axes and its words, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["train", "held_out", "highlight", "points"]

Point = tuple[float, float]
DOT = "●"


@dataclass(frozen=True)
class Curve:
    """A curve of points. A point with a coordinate that is not finite breaks the line."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    label: str
    """The name in the legend, or "" for none."""
    role: Role
    """The role, which decides the style and the marker."""
    lines: bool = True
    """Whether a line joins the points; else each is a `dot`."""
    steps: bool = False
    """Whether the line keeps each height until the next point."""
    dot: str = DOT
    """The glyph of a point that no line joins."""
    errors: tuple[float, ...] = ()
    """How far a bar reaches up and down from each point; empty for no bars."""


@dataclass(frozen=True)
class Plot:
    """A plot, in the units of the data."""

    title: str
    curves: tuple[Curve, ...]
    x_label: str
    y_label: str
    level: float | None = None
    """The height of a line across that is named "level", or None for no line."""
    verticals: tuple[float, ...] = ()
    """The places of vertical marks on the x axis. Those beyond the curves are left out."""
    log_y: bool = False
    """Whether the y axis is logarithmic. Values that are not positive then lie on its floor."""
    log_x: bool = False
    """Whether the x axis is logarithmic, for values that are all positive."""
    equal: bool = False
    """Whether a unit is as long across as it is up, as far as cells are twice as high as wide."""
    names: tuple[tuple[Point, str], ...] = ()
    """Words, each beside a place in the units of the data."""
