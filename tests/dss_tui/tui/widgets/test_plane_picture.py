"""Planes of a quadratic bowl in pixels: where each colour must stand is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.plane_picture import OVER, STEP, PlanePainting, contour
from engine.record.loss_plane import LossPlane, PlaneBead
from tests.support.bowls import X, Y, bowl, plane_of

pytest.importorskip("PIL")

if TYPE_CHECKING:
    from PIL.Image import Image


PALETTE = Palette.dark()
ROOM = 720, 720


def paint(plane: LossPlane) -> Image:
    painting = PlanePainting(plane)
    return painting.paint(*painting.size(*ROOM), PALETTE)


def pixel(plane: LossPlane, x: float, y: float) -> str:
    """The colour at a place of the plane."""
    picture = paint(plane)
    across = (x - X[0]) / (X[-1] - X[0]) * picture.width
    up = (Y[-1] - y) / (Y[-1] - Y[0]) * picture.height
    found = picture.getpixel((round(across), round(up)))
    assert isinstance(found, tuple)
    return "#{:02x}{:02x}{:02x}".format(*found)


def test_units_are_as_long_across_as_up() -> None:
    for room in (ROOM, (400, 720), (720, 300)):
        width, height = PlanePainting(plane_of()).size(*room)
        assert width / height == pytest.approx(6 / 5, abs=2 * STEP / height)
        assert width <= room[0] + STEP and height <= room[1] + STEP
        assert abs(width - room[0]) <= STEP or abs(height - room[1]) <= STEP
        assert PlanePainting(plane_of()).paint(width, height, PALETTE).size == (width, height)


@pytest.mark.parametrize(("x", "y"), [(-1.5, -1.5), (3.5, 2.5), (1.0, -0.3)])
def test_the_map_has_the_colours_of_the_ramp(x: float, y: float) -> None:
    seen = pixel(plane_of(), x, y)
    near = [PALETTE.of_ratio(bowl(x + dx, y + dy) / 2) for dx in (-0.1, 0.1) for dy in (-0.1, 0.1)]
    for at in (1, 3, 5):
        part, parts = int(seen[at : at + 2], 16), [int(each[at : at + 2], 16) for each in near]
        assert min(parts) - 4 <= part <= max(parts) + 4


def test_the_line_of_the_level_is_where_the_loss_is_the_level() -> None:
    xs, ys = [at / 20 for at in range(-40, 81)], [at / 20 for at in range(60, -41, -1)]
    losses = [[bowl(x, y) for x in xs] for y in ys]
    pieces = contour(losses, 2.0)
    assert len(pieces) > 100
    ends = [(-2 + column / 20, 3 - row / 20) for piece in pieces for column, row in piece]
    assert all(bowl(x, y) == pytest.approx(2.0, abs=5e-3) for x, y in ends)
    assert {round(math.degrees(math.atan2(y - 0.5, x - 1)) / 30) for x, y in ends} >= {
        *range(-5, 6)
    }


def test_a_loss_that_is_not_finite_has_no_line_and_a_grey_of_its_own() -> None:
    assert contour([[0.0, math.nan], [3.0, 3.0]], 2.0) == []
    losses = tuple(tuple(math.nan for _ in X) for _ in Y)
    assert pixel(plane_of(losses=losses), 3.0, -1.0) == "#808080"


def test_a_bead_in_the_plane_is_white_and_one_beside_it_black() -> None:
    plane = plane_of()
    assert (pixel(plane, 2.0, 0.0), pixel(plane, 0.3, 2.5)) == (OVER.colour, OVER.rim)
    moved = replace(plane, string=(*plane.string, PlaneBead(6, math.nan, 0.0, 0.0, 1.0)))
    assert paint(moved).tobytes() == paint(plane).tobytes()
