"""The two axes around the curves of a plot, and where its level stands between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dss_tui.tui.axes import Axis, short
from dss_tui.tui.plot import Plot, Point
from dss_tui.tui.tracks import Track, bars_of


def _shown_level(plot: Plot) -> float | None:
    """Returns the level of a plot, or None where its axis cannot show it."""
    level = plot.level
    if level is None or not math.isfinite(level) or (plot.log_y and level <= 0):
        return None
    return level


@dataclass(frozen=True)
class Frame:
    """The axes of a plot, and its level."""

    x: Axis
    y: Axis
    level: float | None
    """The level as a share of the y axis, or None where the axis cannot show it."""
    level_label: str
    """The level in digits."""

    @classmethod
    def around(cls, plot: Plot, points: Sequence[Point]) -> Frame:
        """Returns the axes of a plot. Curves fill its width, with some room above and below."""
        level = _shown_level(plot)
        heights = [y for _, y in points] + ([] if level is None else [level])
        heights += [end for curve in plot.curves for _, *ends in bars_of(curve) for end in ends]
        y = Axis.around(heights, 0.05, plot.log_y)
        x = Axis.around([x for x, _ in points], 0.05 if plot.log_x else 0.0, plot.log_x)
        if level is None:
            return cls(x, y, None, "")
        return cls(x, y, y.share(level), short(f"{level:.3g}"))

    def with_equal_units(self, width: int, height: int) -> Frame:
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
