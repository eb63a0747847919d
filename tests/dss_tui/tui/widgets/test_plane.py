"""Planes of a quadratic bowl as text: where each glyph must stand is known."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import replace

import pytest
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from dss_tui.tui.palette import STEPS, Palette
from dss_tui.tui.widgets.plane import MIN_HEIGHT, MIN_WIDTH, draw, shade
from engine.record.loss_plane import LossPlane, PlaneBead
from engine.spec.level import LevelOn
from tests.support.bowls import X, Y, bowl, plane_of

CONSOLE = Console()
CONTOUR = set("╱╲─│")


def lines(text: Text) -> list[str]:
    return text.plain.split("\n")


def the_map(plane: LossPlane, palette: Palette, width: int = 80, height: int = 24) -> list[str]:
    """The lines between the title and the two legends."""
    return lines(draw(plane, palette, width, height))[1:-2]


def place(line: int, column: int, shown: list[str]) -> tuple[float, float]:
    """The middle of a cell in the plane's coordinates."""
    across, up = (column + 0.5) / len(shown[0]), (line + 0.5) / len(shown)
    return X[0] + across * (X[-1] - X[0]), Y[-1] - up * (Y[-1] - Y[0])


SIZES = [(MIN_WIDTH, MIN_HEIGHT), (60, 16), (80, 24), (140, 40), (200, 60), (200, 12), (30, 60)]
PALETTES = [Palette.dark(), Palette.light(), Palette.ansi(), Palette.plain()]


@pytest.mark.parametrize("palette", PALETTES, ids=["dark", "light", "ansi", "plain"])
@pytest.mark.parametrize("size", SIZES)
def test_it_keeps_to_its_room_in_equal_units(palette: Palette, size: tuple[int, int]) -> None:
    text = draw(plane_of(), palette, *size)
    assert len(lines(text)) <= size[1]
    assert all(len(line) <= size[0] for line in lines(text))
    shown = the_map(plane_of(), palette, *size)
    columns, rows = len(shown[0]), len(shown)
    assert {len(line) for line in shown} == {columns}
    assert columns == pytest.approx(2 * rows * 6 / 5, abs=2.5)


@pytest.mark.parametrize("palette", PALETTES, ids=["dark", "light", "ansi", "plain"])
def test_the_contour_is_where_the_bowl_crosses_the_level(palette: Palette) -> None:
    shown = the_map(plane_of(), palette, 140, 40)
    cell = 6 / len(shown[0])
    found = [
        place(line, column, shown)
        for line, row in enumerate(shown)
        for column, glyph in enumerate(row)
        if glyph in CONTOUR
    ]
    assert len(found) > 60
    for x, y in found:
        inside = min(bowl(x + cell * i, y + 2 * cell * j) for i in (-1, 1) for j in (-1, 1))
        outside = max(bowl(x + cell * i, y + 2 * cell * j) for i in (-1, 1) for j in (-1, 1))
        assert inside <= 2.0 <= outside
    angles = {round(math.atan2(y - 0.5, x - 1) / math.pi * 8) for x, y in found}
    assert len(angles) >= 16  # it goes all the way around


def test_the_contour_is_that_of_the_level_with_its_tolerance() -> None:
    def area(plane: LossPlane) -> int:
        return sum(row.count("─") for row in the_map(plane, Palette.plain(), 140, 40))

    assert area(plane_of(1.0, tolerance=1.0)) == area(plane_of(2.0)) != area(plane_of(1.0))


def test_two_half_blocks_have_the_colours_of_their_losses() -> None:
    text = draw(plane_of(), Palette.dark(), 80, 24)
    shown, at = lines(text)[1:-2], len(lines(text)[0]) + 1
    looked = 0
    for line, row in enumerate(shown):
        for column, glyph in enumerate(row):
            if glyph != "▀":
                assert glyph in CONTOUR or glyph in "●○0123456789"
                continue
            style = text.get_style_at_offset(CONSOLE, at + line * (len(row) + 1) + column)
            x, y = place(line, column, shown)
            quarter = 5 / len(shown) / 4
            assert is_of(style.color, bowl(x, y + quarter))
            assert is_of(style.bgcolor, bowl(x, y - quarter))
            looked += 1
    assert looked > 600


def is_of(colour: Color | None, loss: float) -> bool:
    """Whether a colour is that of a loss; between grid points it is drawn up to 0.055 too high."""
    assert colour is not None
    low, high = (bisect_left(STEPS, value / 2.0) for value in (loss, loss + 0.055))
    return low <= Palette.dark().ramp.index(colour.name) <= high


def test_shades_grow_denser_and_change_at_the_level() -> None:
    drawn = [shade(ratio) for ratio in (0.0, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 4.9, 10.0, math.inf)]
    assert drawn == sorted(drawn, key=" ░▒▓█".index)
    assert (shade(1.0), shade(1.0001)) == ("░", "▒")


def test_shades_tell_the_side_of_the_level() -> None:
    shown = the_map(plane_of(), Palette.plain(), 140, 40)
    for line, row in enumerate(shown):
        for column, glyph in enumerate(row):
            if glyph in " ░▒▓█":
                ratio = bowl(*place(line, column, shown)) / 2.0
                assert (glyph in " ░") == (ratio <= 1) or ratio == pytest.approx(1, abs=0.05)


def test_beads_and_corners_have_their_places_and_names() -> None:
    shown = the_map(plane_of(), Palette.plain(), 100, 40)
    for bead, glyph, x, y in (
        (41, "●", 0.0, 0.0),
        (43, "●", 2.0, 0.0),
        (33, "●", 1.5, 1.0),
        (None, "○", 0.3, 2.5),
    ):
        line = int((Y[-1] - y) / 5 * len(shown))
        column = int((x + 2) / 6 * len(shown[0]))
        assert shown[line][column] == glyph
        if bead is not None:
            assert shown[line][column + 1 : column + 3] == str(bead)
    whole = "".join(shown)
    assert (whole.count("●"), whole.count("○")) == (3, 1)


def test_beads_above_the_level_by_their_own_loss_are_triangles() -> None:
    far = (PlaneBead(5, 0.3, 2.5, 0.7, 2.1), PlaneBead(6, -1.0, 2.0, 0.7, math.nan))
    plane = plane_of(string=far, tolerance=0.0)
    whole = "".join(the_map(plane, Palette.plain(), 100, 40))
    assert (whole.count("●"), whole.count("○"), whole.count("△")) == (3, 0, 2)
    low = plane_of(1.0)  # bead 41 and bead 43 are at 1.7, bead 33 at 0.95
    whole = "".join(the_map(low, Palette.plain(), 100, 40))
    assert (whole.count("●"), whole.count("▲"), whole.count("△")) == (1, 2, 1)
    within = "".join(the_map(plane_of(1.0, tolerance=1.0), Palette.plain(), 100, 40))
    assert (within.count("●"), within.count("▲")) == (3, 0)


def test_a_bead_beyond_the_map_or_without_a_place_is_left_out() -> None:
    away = (
        PlaneBead(7, 99.0, 0.0, 0.0, 0.1),
        PlaneBead(8, 0.0, -99.0, 0.0, 0.1),
        PlaneBead(9, math.nan, math.nan, math.nan, math.nan),
    )
    whole = "".join(the_map(plane_of(string=away), Palette.plain()))
    assert (whole.count("●"), whole.count("○"), whole.count("△")) == (3, 0, 0)


@pytest.mark.parametrize("palette", PALETTES, ids=["dark", "light", "ansi", "plain"])
def test_what_is_not_finite_is_marked_and_said(palette: Palette) -> None:
    losses = [list(row) for row in plane_of().losses]
    losses[18][2] = math.nan
    plane = plane_of(losses=tuple(map(tuple, losses)))
    assert "?" in "".join(the_map(plane, palette))
    assert "? not finite" in draw(plane, palette, 80, 24).plain
    assert "?" not in draw(plane_of(), palette, 80, 24).plain
    nothing = plane_of(losses=tuple((math.nan,) * 21 for _ in Y))
    assert "nothing finite" in draw(nothing, palette, 80, 24).plain


def test_the_words_tell_objective_extremes_and_level() -> None:
    on = LevelOn(metric="error_rate", split="held_out")
    plane = replace(plane_of(2.5), level_on=on, tolerance=0.5)
    title, *_, scale, glyphs = lines(draw(plane, Palette.plain(), 140, 30))
    assert title == (
        "plane through 41, 43, 33: held-out error rate 0.080 … 8.680 × level "
        "(level 2.5, tolerance 0.5), equal scale"
    )
    assert scale == "' ' to 0.5 ░ to 1 ▒ to 2 ▓ to 5 █ more × level"
    assert glyphs == (
        "● bead in the plane  ○ beside it  ▲ △ such beads above  ╱ ─ │ level with its tolerance"
    )
    *_, scale, glyphs = lines(draw(plane_of(), Palette.dark(), 80, 24))
    assert scale == "0.1 ████████ 1 ████████ 5 × level"


@pytest.mark.parametrize("size", [(19, 24), (80, 5), (0, 0), (1, 1)])
def test_where_there_is_no_room_it_says_so(size: tuple[int, int]) -> None:
    said = draw(plane_of(), Palette.dark(), *size).plain
    assert "too small for a plane".startswith(said) and len(said) <= size[0]


def test_no_colours_without_colours() -> None:
    text = draw(plane_of(), Palette.plain(), 80, 24)
    styles = [Style.parse(str(span.style)) for span in text.spans]
    assert not any(style.color or style.bgcolor for style in styles)
