"""Draws line plots as text. Only this module knows plotext.

plotext's core ends the process on a NaN, and takes time in proportion to how far a point lies
outside the axes. So it is handed nothing but shares of the axes in 0 … 1. Scales, ticks, labels
and colours are settled here, and plotext turns the shares into glyphs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from rich.cells import cell_len
from rich.text import Text

from dss_tui.tui.axes import Axis, short
from dss_tui.tui.palette import Palette, fitting, styled
from engine.spec.level import multiple

Role = Literal["train", "held_out", "highlight", "points"]

Point = tuple[float, float]
Track = list[Point | None]
"""The points of a curve in order, where None breaks the line."""

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

DOT = "●"

BAR = "│"
"""The glyph of error bars."""

INKS = ("train", "held_out", "highlight", "points", "level", "dim")
"""The styles of the palette that plotext paints with. To plotext each is a colour of its own."""


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
    frame: _Frame | None = None
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
    plot: Plot, frame: _Frame, at: Point, size: tuple[int, int]
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
    tracks = [_track(curve, width) for curve in plot.curves]
    points = [point for track in tracks for point in track if point is not None]
    if not points:
        return Drawn(plot, _words("nothing to plot yet", width, palette))
    if plot.log_y and all(y <= 0 for _, y in points):
        return Drawn(plot, _words("nothing above 0 for a log scale", width, palette))
    frame = _Frame.around(plot, points)
    footer = _footer(plot, width, palette) if height >= 8 else []
    header = _header(plot, tracks, width, palette)
    canvas_height = height - bool(header) - bool(footer)
    if plot.equal:
        frame = frame.with_equal_units(width - LABELS, 2 * (canvas_height - 2))
    canvas = _canvas(plot, frame, tracks, width, canvas_height)
    area = Area.of(canvas.plain.split("\n"))
    if area is not None and header:
        area = replace(area, top=area.top + 1, bottom=area.bottom + 1)
    blocks = [header, list(_inked(canvas, palette)), footer]
    lines = [[("\n", ""), *block] for block in blocks if block]
    text = styled([piece for line in lines for piece in line][1:])
    return Drawn(plot, text, bool(footer), frame, area)


def _words(words: str, width: int, palette: Palette) -> Text:
    """Returns a line of words."""
    return styled([(fitting(width, words), palette.dim)])


# Scales


@dataclass(frozen=True)
class _Frame:
    """The axes of a plot, and its level."""

    x: Axis
    y: Axis
    level: float | None
    """The level as a share of the y axis, or None where the axis cannot show it."""
    level_label: str
    """The level in digits."""

    @classmethod
    def around(cls, plot: Plot, points: Sequence[Point]) -> _Frame:
        """Returns the axes of a plot. Curves fill its width, with some room above and below."""
        level = plot.level
        if level is not None and (not math.isfinite(level) or (plot.log_y and level <= 0)):
            level = None
        heights = [y for _, y in points] + ([] if level is None else [level])
        heights += [end for curve in plot.curves for _, *ends in _bars(curve) for end in ends]
        y = Axis.around(heights, 0.05, plot.log_y)
        x = Axis.around([x for x, _ in points], 0.05 if plot.log_x else 0.0, plot.log_x)
        if level is None:
            return cls(x, y, None, "")
        return cls(x, y, y.share(level), short(f"{level:.3g}"))

    def with_equal_units(self, width: int, height: int) -> _Frame:
        """Returns the frame with one axis widened, so that a unit is as long on both.

        `width` and `height` are the lengths of the axes in the same unit.
        """
        x, y = self.x.high - self.x.low, self.y.high - self.y.low
        wider = self.x.widened(y * width / max(1, height))
        higher = self.y.widened(x * height / max(1, width))
        return replace(self, x=wider, y=higher)

    def place(self, track: Track) -> Track:
        """Returns a track in shares of both axes."""
        return [point and (self.x.share(point[0]), self.y.share(point[1])) for point in track]


# Points


def _track(curve: Curve, width: int) -> Track:
    """Returns the track of a curve, with breaks for points that are not finite.

    A line is thinned for the width.
    """
    track: Track = [
        (x, y) if math.isfinite(x) and math.isfinite(y) else None
        for x, y in zip(curve.x, curve.y, strict=False)
    ]
    if not curve.lines:
        return track
    return _stepped(_thin(track, width)) if curve.steps else _thin(track, width)


def _bars(curve: Curve) -> list[tuple[float, float, float]]:
    """Returns (x, lower end, upper end) of each error bar of a curve that is finite."""
    bars = [
        (x, y - error, y + error)
        for x, y, error in zip(curve.x, curve.y, curve.errors, strict=False)
        if error > 0
    ]
    return [bar for bar in bars if all(map(math.isfinite, bar))]


def _stepped(track: Track) -> Track:
    """Returns a track that keeps each height until the next point."""
    corners = [
        before and after and (after[0], before[1]) for before, after in pairwise([*track, None])
    ]
    return [point for pair in zip(track, corners, strict=True) for point in pair][:-1]


def _thin(track: Sequence[Point | None], width: int) -> Track:
    """Returns a track with at most some four points for each column of the width.

    It keeps both ends, and the lowest and highest point of each of 2 × width stretches between.
    """
    stretches = 2 * width
    count = len(track)
    if count <= 2 * stretches:
        return list(track)
    cuts = [1 + at * (count - 2) // stretches for at in range(stretches + 1)]
    parts = (track[start:stop] for start, stop in pairwise(cuts))
    return [track[0], *(point for part in parts for point in _extremes(part)), track[-1]]


def _extremes(part: Sequence[Point | None]) -> Track:
    """Returns the lowest and the highest point in their order, or a break where there is none."""
    points = [(at, point) for at, point in enumerate(part) if point is not None]
    if not points:
        return [None]
    low = min(points, key=lambda item: item[1][1])
    high = max(points, key=lambda item: item[1][1])
    return [point for _, point in sorted({low, high})]


def _sparse(track: Track, width: int, height: int) -> Track:
    """Returns one of the points that share a cell of the screen, thinned where they are many."""
    cells = {(round(p[0] * width), round(p[1] * height)): p for p in track if p is not None}
    return _thin(sorted(cells.values()), width)


def _runs(track: Track) -> Iterator[list[Point]]:
    """Yields the stretches between breaks."""
    run: list[Point] = []
    for point in [*track, None]:
        if point is not None:
            run.append(point)
        elif run:
            yield run
            run = []


# plotext


def _canvas(plot: Plot, frame: _Frame, tracks: Sequence[Track], width: int, height: int) -> Text:
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


def _name(plotext: Any, frame: _Frame, place: Point, words: str, height: int) -> None:
    """Writes words above a place, or below it at the upper edge, and within the sides."""
    across, up = frame.x.share(place[0]), frame.y.share(place[1])
    line = 1.5 / height
    up = up + line if up + 2 * line <= 1 else up - line
    side = "left" if across < 0.5 else "right"
    named = plotext.colorize(words, _ink(plotext, "dim"))
    plotext.figure.draw(plotext.figure.text(across, up, named, alignment=side))


def _rule(plotext: Any, frame: _Frame, width: int, height: int) -> None:
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


def _mark(plotext: Any, plot: Plot, frame: _Frame, width: int) -> None:
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
        track = _sparse(track, width, height)
    runs = list(_runs(track))
    if not runs:
        return
    ink = _ink(plotext, curve.role)
    line, dot = plotext.marker(MARKERS[curve.role], ink), plotext.marker(curve.dot, ink)
    alone = [not curve.lines or len(run) == 1 for run in runs for _ in run]
    _draw_runs(plotext, runs, [dot if single else line for single in alone], curve.lines)


def _paint_bars(plotext: Any, curve: Curve, frame: _Frame) -> None:
    """Draws the error bars of one curve."""
    runs = [
        [(frame.x.share(x), frame.y.share(low)), (frame.x.share(x), frame.y.share(high))]
        for x, low, high in _bars(curve)
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


def _header(plot: Plot, tracks: Sequence[Track], width: int, palette: Palette) -> list[Piece]:
    """Returns the title, and as much of the legend as fits beside it."""
    title = fitting(width, plot.title)
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


def _footer(plot: Plot, width: int, palette: Palette) -> list[Piece]:
    """Returns the line of the labels of both axes."""
    up = f"↑ {plot.y_label}{' (log)' if plot.log_y else ''}" if plot.y_label else ""
    across = f"{plot.x_label}{' (log)' if plot.log_x else ''} →" if plot.x_label else ""
    gap = width - cell_len(up) - cell_len(across)
    both = f"{up}{' ' * gap}{across}" if gap >= 2 else fitting(width, up or across)
    return [(both, palette.dim)] if both.strip() else []
