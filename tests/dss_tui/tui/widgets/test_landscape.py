"""The filled area of a known profile, row by row."""

from __future__ import annotations

import math

import pytest

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.landscape import LEFT, Scale, landscape
from dss_tui.viewing.scene import Scene
from tests.support.scenes import FLAT, HILL, scene, segment

PALETTE = Palette.dark()


def rows(drawn: list[str]) -> list[str]:
    return [line[LEFT:] for line in drawn]


def plain(shown: Scene, columns: int, count: int) -> list[str]:
    lines, _ = landscape(shown, columns, count, PALETTE, turned=False, cursor=None)
    return [line.plain for line in lines]


def test_a_rising_profile_is_a_staircase_of_eighths() -> None:
    rising = tuple(0.5 + step / 80 for step in range(9))
    top, foot = rows(plain(scene(segment(1, 2, profile=rising), level=0.6), 8, 2))
    # a column shows the profile at its right edge, on a scale that begins a twentieth lower and has
    # the level in the middle of the upper row
    low = 0.5125 - 0.05 * 0.0875
    eighths = [round(12 * (value - low) / (0.6 - low)) for value in rising[1:]]
    assert [" ▁▂▃▄▅▆▇█".index(glyph) for glyph in foot] == [min(each, 8) for each in eighths]
    blocks = [" ▁▂▃▄▅▆▇█"[max(each - 8, 0)] for each in eighths]
    assert list(top) == [block if block != " " else "┄" for block in blocks]


@pytest.mark.parametrize("share", [0.9, 0.99, 0.9996, 1.0, 1.0004, 1.01, 1.1])
@pytest.mark.parametrize("count", [2, 5, 9])
def test_the_area_rises_above_the_line_just_where_the_loss_is_above_the_level(
    share: float, count: int
) -> None:
    hill = scene(segment(1, 2, profile=(0.01, 0.02 * share, 0.01)), level=0.02)
    drawn = rows(plain(hill, 21, count))
    (at,) = [number for number, line in enumerate(drawn) if "┄" in line]
    above = {glyph for line in drawn[:at] for glyph in line} - {" "}
    crossing = above | ({*drawn[at]} & set("▅▆▇█"))
    assert bool(crossing) == (share > 1)


def test_the_level_is_a_dashed_line_with_its_number() -> None:
    lines = plain(scene(segment(1, 2, profile=HILL), level=0.02), 30, 9)
    (level,) = [line for line in lines if "┄" in line]
    assert level.startswith("    0.02 ┄")
    assert "0.03" in lines[0]
    at = lines.index(level)
    above, below = lines[:at], lines[at + 1 :]
    assert all("█" in line for line in below) and any(set(line[LEFT:]) > {" "} for line in above)
    # the hill crosses the level at t = 0.29 and 0.71, so between 40 and 55 % of it is above
    crossing = [x for x, glyph in enumerate(level[LEFT:]) if glyph == "┄"]
    assert min(crossing) == 0 and max(crossing) == 29


def test_what_is_above_the_level_has_colours_of_its_own() -> None:
    lines, _ = landscape(
        scene(segment(1, 2, profile=HILL), level=0.02), 30, 9, PALETTE, turned=False, cursor=None
    )
    below, above = set(PALETTE.ramp[:8]), set(PALETTE.ramp[8:])
    assert {str(span.style) for line in lines[:3] for span in line.spans} & above
    assert not {str(span.style) for span in lines[-1].spans} & above
    assert {str(span.style) for span in lines[-1].spans} & below


def test_the_scale_is_logarithmic_where_losses_differ_by_more_than_five() -> None:
    tall = scene(segment(1, 2, profile=(0.01, 0.1, 1.0, 0.1, 0.01)), level=0.02)
    for turned in (False, True):
        lines, log = landscape(tall, 21, 8, PALETTE, turned=turned, cursor=None)
        assert log is not turned
        filled = [sum(line.plain[LEFT:].count(glyph) for line in lines) for glyph in "█"]
        assert filled[0] > 0
    _, log = landscape(scene(segment(1, 2)), 21, 8, PALETTE, turned=False, cursor=None)
    assert not log


def test_a_falling_string_shows_its_aim_as_well() -> None:
    hill = scene(segment(1, 2, profile=HILL), level=0.012, aim=0.025)
    lines = plain(hill, 40, 9)
    (aim,) = [line for line in lines if "╌" in line]
    assert aim.split()[0] == "0.025"
    assert any(line.split()[:1] == ["0.012"] for line in lines)


def test_the_cursor_marks_its_column_from_top_to_foot() -> None:
    lines, _ = landscape(scene(segment(1, 2)), 20, 6, PALETTE, turned=False, cursor=4)
    for line in lines:
        glyph = line.plain[LEFT + 4]
        styles = [str(s.style) for s in line.spans if s.start <= LEFT + 4 < s.end]
        assert glyph == "│" or PALETTE.highlight in styles


def test_what_is_not_known_is_a_dot_at_the_foot() -> None:
    nothing = segment(1, 2, profile=(math.nan,) * 5, peak=math.nan, t_star=math.nan)
    lines = plain(scene(nothing, segment(2, 3, profile=FLAT)), 20, 5)
    assert set(lines[-1][LEFT : LEFT + 9]) == {"·"} and "█" in lines[-1][LEFT + 11 :]


def test_a_level_that_is_not_known_has_no_line() -> None:
    lines = plain(scene(segment(1, 2), level=math.nan), 20, 5)
    assert "┄" not in "".join(lines) and "█" in lines[-1]


@pytest.mark.parametrize(
    "values",
    [[1e308, 1e-308], [-1e308, 1e308], [0.0], [5e-324], [math.inf, 1.0], [1.0, 1.0], [-3.0]],
)
@pytest.mark.parametrize("turned", [False, True])
def test_any_values_have_a_scale(values: list[float], turned: bool) -> None:
    scale = Scale.around(values, 7, turned=turned)
    assert scale is not None and scale.low < scale.high
    for value in [*values, math.inf, -math.inf, 0.0]:
        assert 0 <= scale.rise(value) <= 7 and 0 <= scale.row(value) <= 6
        assert math.isfinite(scale.value(scale.rise(value)))
    assert Scale.around([math.nan], 7, turned=turned) is None


def test_a_scale_and_its_inverse_agree() -> None:
    for values in ([0.2, 0.3, 0.5], [1e-4, 3e-3, 2.0]):
        scale = Scale.around(values, 9, turned=False)
        assert scale is not None
        for value in values:
            assert scale.value(scale.rise(value)) == pytest.approx(value)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("rows", [3, 8, 15])
def test_a_scale_through_the_level_leaves_little_empty(rows: int, log: bool) -> None:
    """On a logarithmic scale, whose floor has no limit, hardly more than a row."""
    whole = Scale(0.5, 8.0, rows, log)
    for part in range(1, 40):
        level = whole.value(rows * part / 40)
        scale = whole.through(level)
        assert scale.low <= whole.low * (1 + 1e-9) and scale.high >= whole.high * (1 - 1e-9)
        if log or part * rows >= 20:  # not in the lower half of the lowest row
            assert scale.rise(level) % 1 == pytest.approx(0.5)
        if log:
            assert scale.rise(whole.high) - scale.rise(whole.low) > rows - 1.1


def test_a_scale_of_losses_does_not_reach_below_zero() -> None:
    scale = Scale(0.0, 10.0, 10, False).through(1.4)
    assert scale.low == 0.0 and scale.rise(1.4) == pytest.approx(0.5)
