"""Draws line plots as text. Only this module knows plotext.

plotext's core ends the process on a NaN, and takes time in proportion to how far a point lies
outside the axes. So it is handed nothing but shares of the axes in 0 … 1. Scales, ticks, labels
and colours are settled here, and plotext turns the shares into glyphs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from rich.cells import cell_len
from rich.text import Text

from dss_tui.tui.palette import Palette, fitting, styled

Role = Literal["train", "held_out", "highlight", "points"]

Point = tuple[float, float]
Track = list[Point | None]
"""The points of a curve in order, where None breaks the line."""

Piece = tuple[str, str]
"""A few glyphs and their style."""

MIN_WIDTH, MIN_HEIGHT = 20, 5

LARGEST = 1e300
"""The largest limit of an axis, so that the difference of two limits is finite."""

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
    """Whether a line joins the points; else each is a ●."""


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


def draw(plot: Plot, width: int, height: int, palette: Palette) -> Text:
    """Returns the plot in `height` lines of at most `width` columns, or a line that says why not.

    Only one thread may call it, because plotext draws on a single figure of its own.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _words("too small to plot", width, palette)
    tracks = [_track(curve, width) for curve in plot.curves]
    points = [point for track in tracks for point in track if point is not None]
    if not points:
        return _words("nothing to plot yet", width, palette)
    if plot.log_y and all(y <= 0 for _, y in points):
        return _words("nothing above 0 for a log scale", width, palette)
    frame = _Frame.around(plot, points)
    footer = _footer(plot, width, palette) if height >= 8 else []
    header = _header(plot, tracks, width, palette)
    canvas_height = height - bool(header) - bool(footer)
    canvas = _canvas(plot, frame, tracks, width, canvas_height)
    blocks = [header, list(_inked(canvas, palette)), footer]
    lines = [[("\n", ""), *block] for block in blocks if block]
    return styled([piece for line in lines for piece in line][1:])


def _words(words: str, width: int, palette: Palette) -> Text:
    """Returns a line of words."""
    return styled([(fitting(width, words), palette.dim)])


# Scales


@dataclass(frozen=True)
class _Axis:
    """The limits of an axis, or their common logarithms where `log`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Sequence[float], margin: float, log: bool = False) -> _Axis:
        """Returns an axis that holds all values, with a share of their span on both sides.

        A margin does not reach below zero where no value does. Values that hardly differ
        get limits well around them.
        """
        if log:
            values = [math.log10(value) for value in values if value > 0]
        low = max(min(values), -LARGEST)
        high = min(max(values), LARGEST)
        size = max(abs(low), abs(high))
        if high - low <= 1e-5 * size or size < 1e-250:
            return cls(low - (size / 10 or 1.0), high + (size / 10 or 1.0), log)
        pad = margin * (high - low)
        return cls(low - pad if low < 0 or log else max(low - pad, 0.0), high + pad, log)

    def share(self, value: float) -> float:
        """Returns the place of a value between the limits, from 0 to 1, clipped."""
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Returns the shares and labels of about `count` round values within the limits."""
        if self.log and self.high - self.low >= 2:
            return self._decades(count)
        low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
        step = _round_step((high - low) / count)
        multiples = range(math.ceil(low / step), math.floor(high / step) + 1)
        return [(self.share(k * step), _number(k * step, step)) for k in multiples]

    def _decades(self, count: int) -> list[tuple[float, str]]:
        """Returns the shares and labels of about `count` powers of ten within the limits."""
        span = self.high - self.low
        step = max(1, round(_round_step(span / count)))
        powers = range(math.ceil(self.low / step) * step, math.floor(self.high) + 1, step)
        return [((power - self.low) / span, _power(power)) for power in powers]


@dataclass(frozen=True)
class _Frame:
    """The axes of a plot, and its level."""

    x: _Axis
    y: _Axis
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
        y = _Axis.around(heights, 0.05, plot.log_y)
        x = _Axis.around([x for x, _ in points], 0.0)
        if level is None:
            return cls(x, y, None, "")
        return cls(x, y, y.share(level), _short(f"{level:.3g}"))

    def place(self, track: Track) -> Track:
        """Returns a track in shares of both axes."""
        return [point and (self.x.share(point[0]), self.y.share(point[1])) for point in track]


def _round_step(least: float) -> float:
    """Returns the smallest of 1, 2 and 5 times a power of ten that is at least `least`."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next((m * power for m in (1, 2, 5) if m * power >= least), 10 * power)


def _number(value: float, step: float) -> str:
    """Returns a value with as many digits as tell it from the next one, a step away."""
    exponent = math.floor(math.log10(step) + 1e-9)
    if value == 0:
        return "0"
    if exponent >= -4 and abs(value) < 1e6:
        return f"{value:.{max(0, -exponent)}f}"
    digits = max(0, math.floor(math.log10(abs(value))) - exponent)
    return _short(f"{value:.{digits}e}")


def _power(exponent: int) -> str:
    """Returns ten to the exponent in digits."""
    if -4 <= exponent <= 4:
        return f"{10.0**exponent:.{max(0, -exponent)}f}"
    return f"1e{exponent}"


def _short(scientific: str) -> str:
    """Returns a number in scientific notation without its idle zeros, such as 1e-5."""
    mantissa, _, exponent = scientific.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if exponent else scientific


# Points


def _track(curve: Curve, width: int) -> Track:
    """Returns the track of a curve, with breaks for points that are not finite.

    A line is thinned for the width.
    """
    track: Track = [
        (x, y) if math.isfinite(x) and math.isfinite(y) else None
        for x, y in zip(curve.x, curve.y, strict=False)
    ]
    return _thin(track, width) if curve.lines else track


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
    for curve, track in zip(plot.curves, tracks, strict=True):
        _paint(plotext, curve, frame.place(track), width, height)
    return Text.from_ansi(figure.build().string())


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
    line, dot = plotext.marker(MARKERS[curve.role], ink), plotext.marker(DOT, ink)
    points = [point for run in runs for point in run]
    alone = [not curve.lines or len(run) == 1 for run in runs for _ in run]
    markers = [dot if single else line for single in alone]
    signal = plotext.figure.signal([x for x, _ in points], [y for _, y in points], marker=markers)
    signal.lines(curve.lines)
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
        (SAMPLES[curve.role] if curve.lines else DOT, getattr(palette, curve.role), curve.label)
        for curve, track in zip(plot.curves, tracks, strict=True)
        if curve.label and any(track)
    ]
    return dict.fromkeys(named)


def _footer(plot: Plot, width: int, palette: Palette) -> list[Piece]:
    """Returns the line of the labels of both axes."""
    up = f"↑ {plot.y_label}{' (log)' if plot.log_y else ''}" if plot.y_label else ""
    across = f"{plot.x_label} →" if plot.x_label else ""
    gap = width - cell_len(up) - cell_len(across)
    both = f"{up}{' ' * gap}{across}" if gap >= 2 else fitting(width, up or across)
    return [(both, palette.dim)] if both.strip() else []
