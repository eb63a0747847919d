"""The string as it is drawn along one axis of distance: its beads, segments, losses and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite

from dss_tui.viewing.view_state import Pair, View
from engine.record.arc import Track, even_grid, highest, locate, loss_at, places
from engine.record.progress import Progress, SegmentProgress


@dataclass(frozen=True, eq=False)
class Scene:
    """A string at one moment, with all that its landscape, its rail and its tree show.

    Two scenes are the same only where they are one object, so that they can be keys of a cache.
    """

    beads: tuple[int, ...]
    """The ids of the beads from end to end."""
    losses: tuple[float, ...]
    """The objective at each bead, (bead,); NaN where it is not known."""
    segments: tuple[SegmentProgress, ...]
    """The segments between them."""
    at: tuple[float, ...]
    """The place of each bead as a share of the whole length, (bead,)."""
    tracks: tuple[Track, ...]
    """The known (t, loss) of each segment."""
    level: float
    """The level that the string is to stay below."""
    bound: float
    """The highest loss that a closed segment may have."""
    aim: float | None = None
    """The level that a falling string is brought to just now, where it is above the level."""
    to_scale: bool = True
    """Whether beads stand at their true distances. Where these are not known, they are even."""
    whole: bool = True
    """Whether the profiles are known; else only the losses of beads and the peaks between them."""
    parents: Mapping[int, Pair] = field(default_factory=dict)
    """The neighbours between which a bead was put in, by its id."""
    depths: Mapping[int, int] = field(default_factory=dict)
    """The number of splits that led to a bead, by its id; the ends have 0."""

    @property
    def length(self) -> float:
        """The length of the string in the units of the weights."""
        return sum(segment.length for segment in self.segments)

    def locate(self, share: float) -> tuple[int, float]:
        """Returns the segment, from 0, and the t on it at a share of the length."""
        return locate(self.at, share)

    def share(self, segment: int, t: float) -> float:
        """Returns the share of the length at t on a segment, counted from 0."""
        start, end = self.at[segment], self.at[segment + 1]
        return start + t * (end - start)

    def cursor(self, selected: int | None, t: float | None) -> float | None:
        """Returns the share of the length at which the cursor stands, or None for no cursor.

        `selected` is 2k for bead k, and 2k+1 for the segment after it. On a segment the cursor is
        at `t`, or at the peak where that is None.
        """
        if selected is None or selected >= len(self.beads) + len(self.segments):
            return None
        number = selected // 2
        if selected % 2 == 0:
            return self.at[number]
        peak = self.segments[number].t_star
        return self.share(number, t if t is not None else peak if isfinite(peak) else 0.5)

    def highest(self, columns: int) -> tuple[float, ...]:
        """Returns the highest loss in each of `columns` equal stretches of the string, (column,).

        A stretch without a known loss is NaN.
        """
        return _highest(self, columns)

    def loss(self, segment: int, t: float) -> float:
        """Returns the loss at t on a segment, counted from 0; NaN where it is not known."""
        return loss_at(self.tracks[segment], t)


def scene_of(progress: Progress | None, view: View, *, whole: bool = True) -> Scene | None:
    """Returns the scene of a progress, or None where it holds no whole string.

    `whole` says that its profiles are measured; else only their finite values are known.
    """
    if progress is None or len(progress.order) != len(progress.segments) + 1:
        return None
    if not progress.segments:
        return None
    segments = progress.segments
    at = places([segment.length for segment in segments])
    aim = progress.aim
    return Scene(
        beads=progress.order,
        losses=progress.losses,
        segments=segments,
        at=even_grid(len(progress.order)) if at is None else at,
        tracks=tuple(_track(segment, whole=whole) for segment in segments),
        level=progress.level,
        bound=progress.bound,
        aim=aim if aim is not None and aim > progress.level else None,
        to_scale=at is not None,
        whole=whole,
        parents=view.parents,
        depths=view.put_in,
    )


@lru_cache(maxsize=4)
def _highest(scene: Scene, columns: int) -> tuple[float, ...]:
    """Returns the highest losses of a scene, kept for as long as it is drawn in that width."""
    return highest(scene.at, scene.tracks, columns)


def _track(segment: SegmentProgress, *, whole: bool) -> Track:
    """Returns the known (t, loss) of a segment in the order of t, its peak among them."""
    known = list(zip(even_grid(len(segment.profile)), segment.profile, strict=True))
    if not whole:
        known = [(t, loss) for t, loss in known if isfinite(loss)]
    if isfinite(segment.peak) and isfinite(segment.t_star):
        known.append((min(max(segment.t_star, 0.0), 1.0), segment.peak))
    return tuple(sorted(known, key=lambda point: point[0]))
