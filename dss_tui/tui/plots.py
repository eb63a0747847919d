"""Draws line plots as text. Only this module knows plotext.

plotext's core ends the process on a NaN, and takes time in proportion to how far a point lies
outside the axes. So it is handed nothing but shares of the axes in 0 … 1. Scales, ticks, labels
and colours are settled here, and plotext turns the shares into glyphs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from dss_tui.tui.frame import Frame
from dss_tui.tui.palette import Palette, fitting, styled
from dss_tui.tui.plot import Curve, Plot, Point, Role
from dss_tui.tui.tracks import Track, bars_of, runs_of, sparse, track_of
from engine.spec.level import multiple

Piece = tuple[str, str]
"""A few glyphs and their style."""

MIN_WIDTH, MIN_HEIGHT = 20, 5
#: The columns that the labels of the y axis take, more or less.
LABELS = 8

MARKERS: dict[Role, str] = {
    "train": "braille",
    "held_out": "·",
    "highlight": "hd",
    "points": "braille",
}
"""The marker of a line in plotext. Roles differ by glyph as well as by colour."""

SAMPLES: dict[Role, str] = {"train": "⠒⠒", "held_out": "··", "highlight": "▄▀", "points": "⠒⠒"}
"""A sample of a line, for the legend."""

BAR = "│"
"""The glyph of error bars."""

INKS = ("train", "held_out", "highlight", "points", "level", "dim")
"""The styles of the palette that plotext paints with. To plotext each is a colour of its own."""


@dataclass(frozen=True)
class Area:
    """The cells of a drawn plot between its axes, the outermost ones included."""

    left: int
    right: int
    top: int
    bottom: int

    @classmethod
    def of(cls, lines: Sequence[str]) -> Area | None:
        """Returns the area above the x axis in the lines of a plot, which begin with its canvas."""
        for row, line in enumerate(lines):
            if row > 0 and line.lstrip().startswith("└"):
                area = cls(line.index("└") + 1, len(line.rstrip()) - 1, 0, row - 1)
                return area if area.left < area.right and area.top < area.bottom else None
        return None

    def shares(self, x: int, y: int) -> Point | None:
        """Returns the shares of both axes in a cell, or None beside the area."""
        if not (self.left <= x <= self.right and self.top <= y <= self.bottom):
            return None
        across = (x - self.left) / (self.right - self.left)
        return across, (self.bottom - y) / (self.bottom - self.top)


@dataclass(frozen=True)
class Drawn:
    """A plot as text, which knows the values at its cells."""

    plot: Plot
    text: Text
    footed: bool = False
    """Whether the last line is that of the labels of the axes."""
    frame: Frame | None = None
    """The axes; None where words take the place of a plot."""
    area: Area | None = None
    """The cells between them."""

    def values(self, x: int, y: int) -> str:
        """Returns the values in a cell, and the nearest point of a curve; nothing beside the axes.

        `x` and `y` count columns and lines from 0.
        """
        at = self.area.shares(x, y) if self.area is not None else None
        if at is None or self.frame is None or self.area is None:
            return ""
        plot, frame, area = self.plot, self.frame, self.area
        here = f"{plot.x_label} {frame.x.value(at[0]):.4g}, {plot.y_label} "
        said = [here + _measured(frame.y.value(at[1]), plot.level)]
        size = area.right - area.left, 2 * (area.bottom - area.top)  # cells are twice as high
        nearest = min(_distances(plot, frame, at, size), default=None)
        if nearest is not None:
            _, label, (px, py) = nearest
            said.append(f"nearest {label or 'point'}: {px:.4g}, {_measured(py, plot.level)}")
        return "   ".join(said)


def _measured(value: float, level: float | None) -> str:
    """Returns a value, and which multiple of the level it is where there is one."""
    return f"{value:.4g}" + (f" = {multiple(value / level, 3)} × level" if level else "")


def _distances(
    plot: Plot, frame: Frame, at: Point, size: tuple[int, int]
) -> Iterator[tuple[float, str, Point]]:
    """Yields each finite point of the curves, with its distance from a place and its curve's name.

    `size` is that of the area, in which distances are measured.
    """
    for curve in plot.curves:
        for x, y in zip(curve.x, curve.y, strict=False):
            if math.isfinite(x) and math.isfinite(y):
                across, up = frame.x.share(x) - at[0], frame.y.share(y) - at[1]
                yield math.hypot(size[0] * across, size[1] * up), curve.label, (x, y)


def draw(plot: Plot, width: int, height: int, palette: Palette) -> Drawn:
    """Draws a plot in `height` lines of at most `width` columns, or a line that says why not.

    Only one thread may call it, because plotext draws on a single figure of its own.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Drawn(plot, _words("too small to plot", width, palette))
    tracks = [track_of(curve, width) for curve in plot.curves]
    points = [point for track in tracks for point in track if point is not None]
    why_not = _why_not(plot, points)
    if why_not:
        return Drawn(plot, _words(why_not, width, palette))
    frame = Frame.around(plot, points)
    above = header(plot, tracks, width, palette)
    below = footer(plot, width, palette) if height >= 8 else []
    canvas_height = height - bool(above) - bool(below)
    if plot.equal:
        frame = frame.with_equal_units(width - LABELS, 2 * (canvas_height - 2))
    canvas = _canvas(plot, frame, tracks, width, canvas_height)
    text = _stacked([above, list(_inked(canvas, palette)), below])
    return Drawn(plot, text, bool(below), frame, _area(canvas, lower=bool(above)))


def _stacked(blocks: Sequence[Sequence[Piece]]) -> Text:
    """Returns blocks of pieces one below another; those that are empty take no line."""
    lines = [[("\n", ""), *block] for block in blocks if block]
    return styled([piece for line in lines for piece in line][1:])


def _area(canvas: Text, *, lower: bool) -> Area | None:
    """Returns the area within the axes; `lower` by a line, where one stands above the canvas."""
    area = Area.of(canvas.plain.split("\n"))
    if area is None or not lower:
        return area
    return replace(area, top=area.top + 1, bottom=area.bottom + 1)


def _why_not(plot: Plot, points: Sequence[Point]) -> str:
    """Returns why a plot of these points cannot be drawn, or nothing where it can."""
    if not points:
        return "nothing to plot yet"
    if plot.log_y and all(y <= 0 for _, y in points):
        return "nothing above 0 for a log scale"
    return ""


def _words(words: str, width: int, palette: Palette) -> Text:
    """Returns a line of words."""
    return styled([(fitting(width, words), palette.dim)])


def _canvas(plot: Plot, frame: Frame, tracks: Sequence[Track], width: int, height: int) -> Text:
    """Returns axes, marks and curves, painted with inks."""
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height)
    for axis, side in (("x", "upper"), ("y", "right")):
        figure.axes(False, axis=axis, side=side)
    _rule(plotext, frame, width, height)
    _mark(plotext, plot, frame, width)
    for curve in plot.curves:
        _paint_bars(plotext, curve, frame)
    for curve, track in zip(plot.curves, tracks, strict=True):
        _paint(plotext, curve, frame.place(track), width, height)
    for place, words in plot.names:
        _name(plotext, frame, place, words, height)
    return Text.from_ansi(figure.build().string())


def _name(plotext: Any, frame: Frame, place: Point, words: str, height: int) -> None:
    """Writes words above a place, or below it at the upper edge, and within the sides."""
    across, up = frame.x.share(place[0]), frame.y.share(place[1])
    line = 1.5 / height
    up = up + line if up + 2 * line <= 1 else up - line
    side = "left" if across < 0.5 else "right"
    named = plotext.colorize(words, _ink(plotext, "dim"))
    plotext.figure.draw(plotext.figure.text(across, up, named, alignment=side))


def _rule(plotext: Any, frame: Frame, width: int, height: int) -> None:
    """Sets limits and ticks. The level has a tick of its own, and its name at the other end."""
    figure, level = plotext.figure, frame.level
    x_ticks: list[tuple[float, Any]] = [*frame.x.ticks(max(2, width // 12))]
    y_ticks: list[tuple[float, Any]] = [*frame.y.ticks(max(3, height // 2))]
    if level is not None:
        ink = _ink(plotext, "level")
        figure.ruler("y", "right").lim(0, 1).ticks([level], [plotext.colorize("level", ink)])
        y_ticks = [tick for tick in y_ticks if abs(tick[0] - level) * (height - 2) >= 2]
        y_ticks.append((level, plotext.colorize(frame.level_label, ink)))
    for axis, ticks in (("x", x_ticks), ("y", y_ticks)):
        shares, labels = [share for share, _ in ticks], [label for _, label in ticks]
        figure.ruler(axis).lim(0, 1).ticks(shares, labels)


def _mark(plotext: Any, plot: Plot, frame: Frame, width: int) -> None:
    """Draws the level across, and at most one vertical mark per column."""
    inside = [x for x in plot.verticals if frame.x.low <= x <= frame.x.high]
    for column in {round(frame.x.share(x) * width) for x in inside}:
        ink = _ink(plotext, "dim")
        plotext.figure.line(column / width, orientation=1, pixel=ink, style="dotted")
    if frame.level is not None:
        ink = _ink(plotext, "level")
        plotext.figure.line(frame.level, orientation=0, pixel=ink, style="dotted")


def _paint(plotext: Any, curve: Curve, track: Track, width: int, height: int) -> None:
    """Draws one curve, given in shares of the axes."""
    if not curve.lines:
        track = sparse(track, width, height)
    runs = list(runs_of(track))
    if not runs:
        return
    ink = _ink(plotext, curve.role)
    line, dot = plotext.marker(MARKERS[curve.role], ink), plotext.marker(curve.dot, ink)
    alone = [not curve.lines or len(run) == 1 for run in runs for _ in run]
    _draw_runs(plotext, runs, [dot if single else line for single in alone], curve.lines)


def _paint_bars(plotext: Any, curve: Curve, frame: Frame) -> None:
    """Draws the error bars of one curve."""
    runs = [
        [(frame.x.share(x), frame.y.share(low)), (frame.x.share(x), frame.y.share(high))]
        for x, low, high in bars_of(curve)
    ]
    if runs:
        bar = plotext.marker(BAR, _ink(plotext, curve.role))
        _draw_runs(plotext, runs, [bar] * (2 * len(runs)), lines=True)


def _draw_runs(plotext: Any, runs: list[list[Point]], markers: list[Any], lines: bool) -> None:
    """Draws points with their markers. Where `lines`, those of one run are joined."""
    points = [point for run in runs for point in run]
    signal = plotext.figure.signal([x for x, _ in points], [y for _, y in points], marker=markers)
    signal.lines(lines)
    start = 0
    for run in runs:
        signal.line(start, False)
        start += len(run)
    plotext.figure.draw(signal)


# Colours and words


def _ink(plotext: Any, name: str) -> Any:
    """Returns the colour that stands for a style until the canvas is text."""
    return plotext.pixel((1 + INKS.index(name), 0, 0))


def _inked(canvas: Text, palette: Palette) -> Iterator[Piece]:
    """Yields the canvas with each ink replaced by its style, and the frame in the axis style."""
    glyphs, end = canvas.plain.rstrip("\n"), 0
    for span in canvas.spans:
        colour = getattr(span.style, "color", None)
        if colour is None or colour.triplet is None:
            continue
        yield glyphs[end : span.start], palette.axis
        style = getattr(palette, INKS[colour.triplet.red - 1])
        yield glyphs[span.start : span.end], style
        end = span.end
    yield glyphs[end:], palette.axis


def header(plot: Plot, tracks: Sequence[Track], width: int, palette: Palette) -> list[Piece]:
    """Returns the title, and as much of the legend as fits beside it.

    Of a title that is too long the last clauses are left out.
    """
    clauses = plot.title.split(", ")
    title = fitting(width, *(", ".join(clauses[:at]) for at in range(len(clauses), 0, -1)))
    room = width - cell_len(title)
    entries: list[Piece] = []
    for sample, style, label in _legend(plot, tracks, palette):
        taken = 2 + len(sample) + 1 + cell_len(label)
        if taken > room:
            break
        room -= taken
        entries += [("  ", ""), (sample, style), (f" {label}", palette.dim)]
    if not title and not entries:
        return []
    return [(title, "bold"), (" " * room, ""), *entries]


def _legend(
    plot: Plot, tracks: Sequence[Track], palette: Palette
) -> Iterable[tuple[str, str, str]]:
    """Returns sample, style and label of every named curve that has points."""
    named = [
        (
            SAMPLES[curve.role] if curve.lines else curve.dot,
            getattr(palette, curve.role),
            curve.label,
        )
        for curve, track in zip(plot.curves, tracks, strict=True)
        if curve.label and any(track)
    ]
    return dict.fromkeys(named)


def footer(plot: Plot, width: int, palette: Palette) -> list[Piece]:
    """Returns the line of the labels of both axes."""
    up = f"↑ {plot.y_label}{' (log)' if plot.log_y else ''}" if plot.y_label else ""
    across = f"{plot.x_label}{' (log)' if plot.log_x else ''} →" if plot.x_label else ""
    gap = width - cell_len(up) - cell_len(across)
    both = f"{up}{' ' * gap}{across}" if gap >= 2 else fitting(width, up or across)
    return [(both, palette.dim)] if both.strip() else []
