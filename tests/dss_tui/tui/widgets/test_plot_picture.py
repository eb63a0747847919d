"""Plots in pixels: where each line, bead and name must stand is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dss_tui.tui.palette import Palette
from dss_tui.tui.plot import Curve, Plot
from dss_tui.tui.widgets.plot_picture import BELOW, FREE, LEFT, PlotPainting

pytest.importorskip("PIL")

if TYPE_CHECKING:
    from PIL.Image import Image

PALETTE = Palette.dark()
WIDTH, HEIGHT = 720, 300
#: A triangle of which the beads 1 and 2 are joined by a line, and the third lies apart.
LINE = Curve((0.0, 4.0), (0.0, 0.0), "string", "train")
BEADS = Curve((0.0, 4.0, 2.0), (0.0, 0.0, 2.0), "beads", "points", lines=False)
PLOT = Plot("seen", (LINE, BEADS), "first", "second", equal=True, names=(((0.0, 0.0), "θ₁"),))


def painted(plot: Plot) -> Image:
    found = PlotPainting.of(plot)
    assert found is not None
    return found.paint(*found.size(WIDTH, HEIGHT), PALETTE)


def colour(picture: Image, x: float, y: float) -> str:
    found = picture.getpixel((round(x), round(y)))
    assert isinstance(found, tuple)
    return "#{:02x}{:02x}{:02x}".format(*found)


def places() -> list[tuple[float, float]]:
    """The pixels of the three beads: the taller axis fills its room, the other is centred."""
    right, upper = WIDTH - FREE, HEIGHT - BELOW
    unit = (upper - FREE) / 2.1  # 2 units up and a margin of a twentieth above them
    middle = (LEFT + right) / 2
    return [(middle + (x - 2) * unit, upper - y * unit) for x, y in ((0, 0), (4, 0), (2, 2))]


def test_beads_and_the_line_between_them_stand_at_equal_units() -> None:
    picture = painted(PLOT)
    first, last, apart = places()
    assert picture.size == (WIDTH, HEIGHT)
    for x, y in (first, last, apart):
        assert colour(picture, x, y) == PALETTE.points
    middle = (first[0] + last[0]) / 2
    assert colour(picture, middle, first[1]) == PALETTE.train
    assert colour(picture, middle, (first[1] + apart[1]) / 2) == PALETTE.ink


@pytest.mark.parametrize(("end", "side"), [(0, 1), (1, -1)])
def test_an_end_is_named_by_its_id_beside_it(end: int, side: int) -> None:
    """To its right, or to its left where the picture ends there."""
    flat = replace(BEADS, x=(0.0, 40.0, 20.0))
    name = ((flat.x[end], flat.y[end]), ("θ₁", "θ₂")[end])
    named, plain = (
        painted(Plot("seen", (flat,), "", "", equal=True, names=names)) for names in ((name,), ())
    )
    differing = [
        (x, y)
        for x in range(WIDTH)
        for y in range(HEIGHT)
        if named.getpixel((x, y)) != plain.getpixel((x, y))
    ]
    x = LEFT if end == 0 else WIDTH - FREE
    assert differing
    assert all(8 < side * (at[0] - x) < 40 for at in differing)
    assert max(at[1] for at in differing) - min(at[1] for at in differing) < 24


def test_a_selected_segment_is_wider_than_the_string() -> None:
    chosen = Curve(LINE.x, LINE.y, "selected", "highlight")
    picture = painted(Plot("", (LINE, chosen), "", "", equal=True))
    column = [colour(picture, WIDTH / 2, y) for y in range(HEIGHT - BELOW)]
    assert column.count("#ffffff") == 5


@pytest.mark.parametrize("y", [(), (math.nan, math.inf)])
def test_nothing_is_painted_where_no_point_is_finite(y: tuple[float, ...]) -> None:
    curve = Curve(tuple(map(float, range(len(y)))), y, "", "train")
    assert PlotPainting.of(Plot("a reason", (curve,), "", "")) is None


def test_the_words_are_those_of_the_plot_as_text() -> None:
    found = PlotPainting(PLOT)
    assert found.above(60, PALETTE).plain.startswith("seen ")
    assert "string" in found.above(60, PALETTE).plain
    below = found.below(60, PALETTE).plain
    assert below.startswith("↑ second") and below.endswith("first →") and len(below) == 60
