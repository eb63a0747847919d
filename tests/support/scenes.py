"""Strings with known lengths and profiles, as screens show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dss_tui.viewing.scene import Scene, scene_of
from dss_tui.viewing.view_state import Pair, View
from engine.record.progress import Progress, SegmentProgress
from tests.support.run_folders import progress

#: The profile of a segment that rises to a peak of 0.03 in its middle, above the level 0.02.
HILL = (0.01, 0.018, 0.03, 0.018, 0.01)
#: The profile of one that stays below it.
FLAT = (0.01, 0.012, 0.013, 0.012, 0.01)


def segment(left: int, right: int, length: float = 1.0, **more: Any) -> SegmentProgress:
    """A segment, closed and flat unless told otherwise."""
    profile = more.pop("profile", FLAT)
    known: dict[str, Any] = {
        "left": left,
        "right": right,
        "depth": 1,
        "state": "closed",
        "length": length,
        "peak": max(profile),
        "t_star": profile.index(max(profile)) / (len(profile) - 1),
        "profile": profile,
        "secondary": (),
        "bead": None,
    }
    return SegmentProgress(**known | more)


def progress_along(*segments: SegmentProgress, **more: Any) -> Progress:
    """A progress with these segments from end to end."""
    order = (segments[0].left, *(each.right for each in segments))
    losses = (*(each.profile[0] for each in segments), segments[-1].profile[-1])
    return progress(**{"segments": segments, "order": order, "losses": losses} | more)


def scene(
    *segments: SegmentProgress,
    parents: dict[int, Pair] | None = None,
    depths: dict[int, int] | None = None,
    whole: bool = True,
    losses: Sequence[float] | None = None,
    **more: Any,
) -> Scene:
    """The scene of such a progress, and of splits."""
    known = {} if losses is None else {"losses": tuple(losses)}
    view = View(parents=parents or {}, put_in=depths or {})
    found = scene_of(progress_along(*segments, **known, **more), view, whole=whole)
    assert found is not None
    return found
