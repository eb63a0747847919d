"""Plots as text, and what ends or stalls plotext when it is not kept from it."""

from __future__ import annotations

import io
import math
import random
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dss_tui.tui.palette import Palette
from dss_tui.tui.plot import Curve, Plot, Role
from dss_tui.tui.plots import draw

NAN, INF = math.nan, math.inf
PALETTE = Palette.dark()


@pytest.mark.parametrize(
    ("width", "title"),
    [
        (60, "5 beads, turned 15°, equal scale"),
        (31, "5 beads, turned 15°"),
        (20, "5 beads, turned 15°"),
    ],
)
def test_the_last_clauses_of_a_title_are_left_out_where_there_is_no_room(
    width: int, title: str
) -> None:
    dots = Curve((0.0, 1.0), (0.0, 1.0), "", "points", lines=False)
    plot = Plot("5 beads, turned 15°, equal scale", (dots,), "", "")
    assert draw(plot, width, 20, PALETTE).text.plain.splitlines()[0].rstrip() == title


def test_names_stand_beside_their_places() -> None:
    dots = Curve((0.0, 1.0), (0.0, 1.0), "", "points", lines=False)
    plot = Plot("", (dots,), "", "", names=(((0.0, 0.0), "θ₁"), ((1.0, 1.0), "θ₂")))
    rows = draw(plot, 60, 20, PALETTE).text.plain.splitlines()
    first, last = (next(y for y, row in enumerate(rows) if name in row) for name in ("θ₁", "θ₂"))
    assert last < first
    assert rows[first].index("θ₁") < rows[last].index("θ₂")


BUMP = Curve((0.0, 0.5, 1.0), (0.02, 0.08, 0.02), "train", "train")
PLOT = Plot("loss", (BUMP,), "t", "loss", level=0.05, verticals=(0.5,))


def lines(plot: Plot, width: int, height: int) -> list[str]:
    return draw(plot, width, height, PALETTE).text.plain.split("\n")


def canvas(plot: Plot, width: int = 60, height: int = 15) -> str:
    """What is drawn between title and footer, without axes and numbers."""
    return "".join(line.split("│")[-1] for line in lines(plot, width, height)[1:-3])


def curve(y: list[float], role: Role = "train", joined: bool = True) -> Curve:
    return Curve(tuple(float(at) for at in range(len(y))), tuple(y), "", role, joined)


def plot_of(y: list[float], role: Role = "train", joined: bool = True, log: bool = False) -> Plot:
    return Plot("trap", (curve(y, role, joined),), "t", "loss", level=0.05, log_y=log)


def spans_of(text: Text, style: str) -> str:
    """Everything that is drawn in a style."""
    return "".join(text.plain[s.start : s.end] for s in text.spans if s.style == style)


def test_a_curve_over_the_level() -> None:
    assert lines(PLOT, 40, 10) == [
        "loss                            ⠒⠒ train",
        "0.08┤              ⢀⢄                   ",
        "    │           ⣀⠤⠊⠁┊⠉⠢⢄                ",
        "    │        ⣀⠔⠊    ┊   ⠉⠢⢄             ",
        "0.05┼┈┈┈┈┈⡠⠔⠉┈┈┈┈┈┈┈┼┈┈┈┈┈┈⠉⠒⢄⡀┈┈┈┈level",
        "    │ ⢀⡠⠒⠉          ┊         ⠈⠒⢄⡀      ",
        "0.02┤⠐⠁             ┊            ⠈⠂     ",
        "    └┬──────────────┼─────────────┬     ",
        "     0             0.5          1.0     ",
        "↑ loss                               t →",
    ]


def test_a_gap_where_a_value_is_missing() -> None:
    gap = replace(plot_of([0.2, 0.4, NAN, 0.4, 0.2], "held_out"), level=None)
    assert lines(gap, 30, 8) == [
        "trap                          ",
        "0.4┤      ·            ·      ",
        "   │    ··              ··    ",
        "0.3┤ ···                  ··· ",
        "0.2┤·                        ·",
        "   └┬────────────┬───────────┬",
        "    0            2           4",
        "↑ loss                     t →",
    ]


def test_a_log_scale_with_a_zero_on_its_floor() -> None:
    history = Plot(
        "history",
        (curve([1e-3, 0.1, NAN, 10.0], "held_out"), Curve((3.0,), (0.0,), "", "points", False)),
        "steps",
        "loss",
        log_y=True,
    )
    assert lines(history, 30, 9) == [
        "history                       ",
        "    │                        ●",
        "   1┤                         ",
        "    │      ···                ",
        "0.01┤  ····                   ",
        "    │··                      ●",
        "    └┬───────────────┬────────",
        "     0               2        ",
        "↑ loss (log)           steps →",
    ]


def test_the_smallest_plot_keeps_the_curve_and_the_ticks() -> None:
    assert lines(Plot("", (replace(BUMP, label=""),), "t", "loss"), 20, 5) == [
        "    │      ⣀⠤⢄      ",
        "0.05┤  ⢀⡠⠔⠉   ⠉⠒⠤⣀  ",
        "    │⠐⠊⠁          ⠑⠂",
        "    └┬──────┬──────┬",
        "     0     0.5   1.0",
    ]


@pytest.mark.parametrize(("width", "height"), [(19, 30), (80, 4), (3, 3), (0, 0), (-1, -1)])
def test_too_small(width: int, height: int) -> None:
    assert draw(PLOT, width, height, PALETTE).text.plain == "too small to plot"[: max(width, 0)]


@pytest.mark.parametrize("y", [[], [NAN], [NAN, INF, -INF]])
def test_nothing_to_plot(y: list[float]) -> None:
    assert draw(plot_of(y), 60, 15, PALETTE).text.plain == "nothing to plot yet"
    assert draw(Plot("", (), "", ""), 60, 15, PALETTE).text.plain == "nothing to plot yet"


def test_nothing_above_zero_for_a_log_scale() -> None:
    text = draw(plot_of([0.0, -1.0], log=True), 60, 15, PALETTE).text
    assert text.plain == "nothing above 0 for a log scale"


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    "y",
    [
        [0.1, NAN, 0.2],
        [NAN, 0.1, 0.2, NAN, NAN, 0.3, NAN],
        [0.1, INF, 0.2, -INF],
        [0.1, 0.2, 1e9, 0.1],
        [0.1, 1e300, -1e300, 0.1],
        [1.7e308, -1.7e308, 0.1],
        [5e-324, 1e-320, 0.1],
        [0.1, -3.0, 0.0, 0.2],
        [0.05, 0.05, 0.05],
        [0.05, 0.05 + 1e-17, math.nextafter(0.05, 1)],
        [1e300, 1e300],
        [5e-324],
        [0.1],
    ],
)
def test_values_that_end_or_stall_plotext(y: list[float], joined: bool, log: bool) -> None:
    plot = plot_of(y, joined=joined, log=log)
    shown = lines(plot, 60, 15)
    assert len(shown) == 15 and max(map(cell_len, shown)) <= 60
    assert set(canvas(plot)) - set(" ┊┈┼─level0123456789.e┤")


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("y", [[5e-324, 1e-320], [-5e-324, 0.0, 5e-324], [-1.7e308, 1.7e308]])
def test_extremes_without_a_level_beside_them(y: list[float], log: bool) -> None:
    shown = lines(replace(plot_of(y, log=log), level=None), 60, 15)
    assert len(shown) == 15 and max(map(cell_len, shown)) <= 60


def test_coordinates_that_end_or_stall_plotext() -> None:
    x = (0.0, NAN, 1e9, INF, -1e300, 0.5, 1.7e308)
    shown = lines(Plot("", (Curve(x, (0.1,) * len(x), "a", "train"),), "t", "loss", 0.05), 60, 15)
    assert len(shown) == 15 and max(map(cell_len, shown)) <= 60


@pytest.mark.parametrize("level", [NAN, INF, -INF])
def test_a_level_that_is_no_number_is_left_out(level: float) -> None:
    assert "level" not in canvas(replace(PLOT, level=level))


def test_a_level_below_zero_is_left_out_of_a_log_scale_only() -> None:
    assert "level" in canvas(replace(PLOT, level=-0.5))
    assert "level" not in canvas(replace(PLOT, level=-0.5, log_y=True))


def test_the_level_is_in_sight_far_from_the_curve() -> None:
    high = lines(replace(PLOT, level=5.0), 60, 15)
    assert next(at for at, line in enumerate(high) if "level" in line) <= 2
    assert any(line.startswith("5") and line.endswith("level") for line in high)


def test_verticals_beyond_the_curves_are_left_out() -> None:
    assert "┊" not in canvas(replace(PLOT, verticals=(-1.0, 2.0, NAN, INF, 1e300)))
    many = tuple(at / 1000 for at in range(1001))
    assert max(map(cell_len, lines(replace(PLOT, verticals=many), 60, 15))) <= 60


@pytest.mark.parametrize("count", [1_000, 100_000])
@pytest.mark.parametrize("joined", [False, True])
def test_the_peak_of_many_points_is_drawn(count: int, joined: bool) -> None:
    y = [0.1] * count
    y[count // 3] = 0.9
    plot = replace(plot_of(y, joined=joined), level=None)
    top = next(line.split("│")[-1] for line in lines(plot, 60, 15)[1:] if line.strip(" │┤.0189"))
    assert 16 <= len(top.split("┤")[-1].rstrip()) <= 22


def test_plotext_gets_few_points_within_the_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    import plotext

    given: list[tuple[float, float]] = []
    signal = type(plotext.figure).signal

    def watched(figure: object, x: list[float], y: list[float], marker: object) -> object:
        given.extend(zip(x, y, strict=True))
        return signal(figure, x, y, marker=marker)

    monkeypatch.setattr(type(plotext.figure), "signal", watched)
    chance = random.Random(2)
    wild = [chance.choice([NAN, INF, 1e300, -1e300, 0.1]) for _ in range(100_000)]
    cloud = [chance.random() for _ in range(100_000)]
    for y, joined in ((wild, False), (wild, True), (cloud, False), (cloud, True)):
        given.clear()
        draw(plot_of(y, joined=joined), 50, 20, PALETTE)
        assert 0 < len(given) <= 4 * 50 + 2
        assert all(0 <= share <= 1 for point in given for share in point)


def test_one_plot_leaves_nothing_behind_in_the_next() -> None:
    before = lines(PLOT, 60, 15)
    draw(plot_of([1.0, 5.0, 1e9], "highlight", log=True), 90, 30, PALETTE)
    assert lines(PLOT, 60, 15) == before


def test_roles_differ_by_glyph() -> None:
    roles: tuple[Role, ...] = ("train", "held_out", "highlight")
    flat = [replace(plot_of([0.3, 0.4, 0.3], role), level=None) for role in roles]
    dots = replace(plot_of([0.3, 0.4, 0.3], joined=False), level=None)
    drawn = [set(canvas(plot)) - set(" .┤0123456789") for plot in [*flat, dots]]
    for at, glyphs in enumerate(drawn):
        assert glyphs and not any(glyphs & other for other in drawn[at + 1 :])


def test_colours_are_those_of_the_palette() -> None:
    held_out = Curve((0.0, 1.0), (0.07, 0.07), "held-out", "held_out")
    beads = Curve((0.0, 1.0), (0.02, 0.02), "beads", "points", lines=False)
    text = draw(replace(PLOT, curves=(BUMP, held_out, beads)), 60, 15, PALETTE).text
    assert set(spans_of(text, PALETTE.held_out)) == {"·"}
    assert set(spans_of(text, PALETTE.points)) == {"●"}
    assert all("⠀" <= glyph <= "⣿" for glyph in spans_of(text, PALETTE.train))
    assert set(spans_of(text, PALETTE.level)) == set("┈┼0.05level")
    styles = {str(span.style) for span in text.spans}
    known = {PALETTE.train, PALETTE.held_out, PALETTE.points, PALETTE.level, PALETTE.dim, "bold"}
    assert styles <= known


def test_plain_paints_no_colour() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="truecolor", width=100)
    console.print(draw(PLOT, 60, 15, Palette.plain()).text)
    assert "\x1b[1m" in out.getvalue()
    assert "38;" not in out.getvalue() and "48;" not in out.getvalue()


def test_the_legend_names_what_is_drawn_as_far_as_it_fits() -> None:
    empty = Curve((), (), "empty", "highlight")
    held_out = Curve((0.0, 1.0), (0.07, 0.07), "held-out", "held_out")
    beads = Curve((0.0, 1.0), (0.02, 0.02), "beads", "points", lines=False)
    plot = replace(PLOT, curves=(BUMP, BUMP, empty, held_out, beads))
    assert lines(plot, 50, 10)[0] == "loss                ⠒⠒ train  ·· held-out  ● beads"
    assert lines(plot, 30, 10)[0] == "loss     ⠒⠒ train  ·· held-out"


@pytest.mark.parametrize(
    ("y", "numbers"),
    [
        ([0.0, 31_204.0], {"0", "5000", "10000", "15000", "20000", "25000", "30000"}),
        ([1e6, 9e6], {"2e6", "4e6", "6e6", "8e6"}),
        ([2e-7, 9.9e-7], {"2e-7", "4e-7", "6e-7", "8e-7", "1e-6"}),
        ([-0.25, 0.25], {"-0.2", "-0.1", "0", "0.1", "0.2"}),
        ([2.30, 2.31], {"2.300", "2.302", "2.304", "2.306", "2.308", "2.310"}),
    ],
)
def test_round_numbers_up_the_axis(y: list[float], numbers: set[str]) -> None:
    shown = lines(replace(plot_of(y), level=None), 60, 18)
    assert {line.split("┤")[0].strip() for line in shown if "┤" in line} == numbers


def test_values_that_hardly_differ_get_short_numbers() -> None:
    shown = lines(replace(plot_of([0.5, 0.5 + 1e-9]), level=None), 60, 10)
    numbers = {line.split("┤")[0].strip() for line in shown if "┤" in line}
    assert numbers == {"0.45", "0.50", "0.55"}


def test_powers_of_ten_up_a_log_axis() -> None:
    shown = lines(replace(plot_of([2e-6, 3.0], log=True), level=None), 60, 24)
    numbers = [line.split("┤")[0].strip() for line in shown if "┤" in line]
    assert numbers == ["1", "0.1", "0.01", "0.001", "0.0001", "1e-5", "1e-6"]


def test_no_line_is_wider_whatever_comes() -> None:
    chance = random.Random(7)
    odd = [NAN, INF, -INF, 1e9, 1e300, -1e300, 1.7e308, 5e-324, 0.0, -3.0, 1e16]

    def value() -> float:
        tame = chance.random() * 10.0 ** chance.choice([0, 0, -8, 5])
        return chance.choice(odd) if chance.random() < 0.1 else tame

    for _ in range(300):
        roles: tuple[Role, ...] = ("train", "held_out", "highlight", "points")
        curves = tuple(
            Curve(
                tuple(value() for _ in range(chance.choice([0, 1, 2, 30, 300]))),
                tuple(value() for _ in range(chance.choice([0, 1, 2, 30, 300]))),
                chance.choice(["", "held-out", "日本語"]),
                chance.choice(roles),
                chance.random() < 0.7,
            )
            for _ in range(chance.randrange(5))
        )
        plot = Plot(
            chance.choice(["", "title", "t" * 90, "日本語" * 10]),
            curves,
            "x" * chance.randrange(40),
            "y" * chance.randrange(40),
            chance.choice([None, 0.05, value()]),
            tuple(value() for _ in range(chance.randrange(5))),
            chance.random() < 0.5,
        )
        width, height = chance.randrange(130), chance.randrange(40)
        shown = lines(plot, width, height)
        assert max(map(cell_len, shown)) <= width
        assert len(shown) in (1, height)


# ---------------------------------------------------------------- error bars, and a log x axis


def dots(y: tuple[float, ...], errors: tuple[float, ...], x: tuple[float, ...] = (1, 2, 3)) -> Plot:
    return Plot("", (Curve(x, y, "", "points", lines=False, dot="◇", errors=errors),), "", "")


def columns_of(glyph: str, plot: Plot, width: int = 60, height: int = 20) -> dict[int, int]:
    """How often a glyph stands in each column to the right of the y axis."""
    rows = [row for row in lines(plot, width, height) if "│" in row or "┤" in row]
    starts = [min(row.index(axis) for axis in "│┤" if axis in row) + 1 for row in rows]
    found = [
        at for row, start in zip(rows, starts, strict=True) for at in glyphs(row, glyph, start)
    ]
    return {at: found.count(at) for at in sorted(set(found))}


def glyphs(row: str, glyph: str, start: int) -> list[int]:
    return [at for at, held in enumerate(row) if held == glyph and at >= start]


def test_bars_reach_as_far_as_their_errors() -> None:
    bars = columns_of("│", dots((5.0, 5.0, 5.0), (4.0, 2.0, 0.0)))
    long, short = bars.values()
    assert len(bars) == 2 and long == pytest.approx(2 * short, abs=2)
    assert columns_of("◇", dots((5.0, 5.0, 5.0), (4.0, 2.0, 0.0))).keys() > bars.keys()


def test_bars_are_within_the_axes() -> None:
    drawn = lines(dots((5.0, 5.0, 5.0), (4.0, 2.0, 0.0)), 60, 20)
    numbers = [float(row.split("┤")[0]) for row in drawn if "┤" in row]
    assert min(numbers) <= 2 and max(numbers) >= 8


@pytest.mark.parametrize(
    "errors", [(NAN, INF, 1e9), (1e300, 1e-300, NAN), (-1.0, 0.0, 0.5), (1.0,)]
)
@pytest.mark.parametrize("log", [True, False])
def test_bars_that_end_or_stall_plotext(errors: tuple[float, ...], log: bool) -> None:
    plot = replace(dots((0.5, NAN, 3.0), errors), log_x=log, log_y=log)
    assert "◇" in "".join(lines(plot, 60, 20))


def test_a_log_x_axis_spaces_decades_evenly() -> None:
    plot = replace(dots((1.0, 2.0, 3.0), (), x=(0.001, 0.01, 0.1)), log_x=True)
    first, middle, last = columns_of("◇", plot)
    assert middle - first == pytest.approx(last - middle, abs=1)
    (ticks,) = [row for row in lines(plot, 60, 20) if "0.01" in row]
    assert ticks.split() == ["0.001", "0.010", "0.100"] or ticks.split() == ["0.001", "0.01", "0.1"]


def test_the_legend_shows_the_dot_of_its_curve() -> None:
    curve = Curve((1.0, 2.0), (1.0, 2.0), "theirs", "held_out", lines=False, dot="◇")
    assert "◇ theirs" in lines(Plot("", (curve,), "x", "", log_x=True), 60, 20)[0]
    assert "x (log) →" in lines(Plot("", (curve,), "x", "", log_x=True), 60, 20)[-1]


# ---------------------------------------------------------------- values under the mouse


@pytest.mark.parametrize(("log_x", "log_y"), [(False, False), (True, True), (False, True)])
@pytest.mark.parametrize(("width", "height"), [(60, 15), (100, 30), (33, 9)])
@pytest.mark.parametrize("title", ["", "loss"])
def test_the_values_at_a_dot_are_those_of_its_point(
    width: int, height: int, log_x: bool, log_y: bool, title: str
) -> None:
    """Within the half of a cell by which a dot may be off."""
    points = ((1.0, 2.0), (3.0, 40.0), (9.0, 7.0))
    x, y = (tuple(point[axis] for point in points) for axis in (0, 1))
    dots = Curve(x, y, "", "points", lines=False)
    drawn = draw(
        Plot(title, (dots,), "t", "loss", log_x=log_x, log_y=log_y), width, height, PALETTE
    )
    assert drawn.area is not None and drawn.frame is not None and drawn.footed
    rows = drawn.text.plain.split("\n")
    found = [
        (at, line) for line, row in enumerate(rows) for at, glyph in enumerate(row) if glyph == "●"
    ]
    assert len(found) == 3
    for cell, point in zip(sorted(found), points, strict=True):
        at = drawn.area.shares(*cell)
        assert at is not None
        assert (
            abs(at[0] - drawn.frame.x.share(point[0])) * (drawn.area.right - drawn.area.left) <= 1
        )
        assert (
            abs(at[1] - drawn.frame.y.share(point[1])) * (drawn.area.bottom - drawn.area.top) <= 1
        )
        assert f"nearest point: {point[0]:g}, {point[1]:g}" in drawn.values(*cell)
        assert drawn.frame.x.value(drawn.frame.x.share(point[0])) == pytest.approx(point[0])
        assert drawn.frame.y.value(drawn.frame.y.share(point[1])) == pytest.approx(point[1])


def test_values_tell_the_multiple_of_the_level_and_the_curve() -> None:
    drawn = draw(PLOT, 60, 15, PALETTE)
    assert drawn.area is not None
    middle = (drawn.area.left + drawn.area.right) // 2
    said = drawn.values(middle, drawn.area.top)
    assert said.startswith("t 0.") and "nearest train: 0.5, 0.08 = 1.600 × level" in said
    for x, y in ((drawn.area.left - 1, 5), (middle, 0), (drawn.area.right + 1, 5), (middle, 14)):
        assert drawn.values(x, y) == ""
    assert draw(Plot("", (), "", ""), 60, 15, PALETTE).values(5, 5) == ""
