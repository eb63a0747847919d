"""The line about the bead or the segment that is selected, and about the place of the cursor."""

from __future__ import annotations

from math import isfinite

from dss_tui.viewing.scene import Scene
from dss_tui.viewing.words import flowed
from engine.record.progress import SegmentProgress
from engine.spec.level import multiple


def about(scene: Scene, what: str, selected: int | None, t: float | None, width: int) -> str:
    """Returns as much about the selected item as fits into one line.

    `what` is the objective in words. `selected` is as in `Shown`, and `t` the place of the cursor
    on the selected segment where it is another than that of its peak.
    """
    if selected is None or selected >= len(scene.beads) + len(scene.segments):
        return ""
    number = selected // 2
    parts = _bead(scene, number, what) if selected % 2 == 0 else _segment(scene, number, t)
    return flowed(parts, width, "  ")[0]


def _bead(scene: Scene, number: int, what: str) -> list[str]:
    """Returns the facts about a bead."""
    bead, loss = scene.beads[number], scene.losses[number]
    facts = [f"bead {bead}", f"{what} {_times(loss, scene.level)}"]
    if scene.to_scale:
        facts.append(f"distance {scene.at[number] * scene.length:.3g} of {scene.length:.3g}")
    if bead in scene.parents:
        left, right = scene.parents[bead]
        facts.append(f"put between {left} and {right}")
    if bead in scene.depths:
        facts.append(f"depth {scene.depths[bead]}")
    return facts


def _segment(scene: Scene, number: int, t: float | None) -> list[str]:
    """Returns the facts about a segment, those at the cursor first."""
    segment, level = scene.segments[number], scene.level
    facts = [f"segment {segment.left}–{segment.right}", _state(segment, level)]
    if t is not None:
        facts.append(f"at t {t:.3f}: {_times(scene.loss(number, t), level)}")
        if scene.to_scale:
            facts.append(f"distance {scene.share(number, t) * scene.length:.3g}")
    facts.append(f"peak {_times(segment.peak, level)} at t = {segment.t_star:.3f}")
    if isfinite(segment.length):
        facts.append(f"length {segment.length:.3g}")
    ends = [scene.loss(number, 0.0), scene.loss(number, 1.0)]
    if all(map(isfinite, ends)):
        facts.append(f"ends {ends[0]:.4g} and {ends[1]:.4g}")
    return facts


def _state(segment: SegmentProgress, level: float) -> str:
    """Returns the state of a segment in words."""
    if segment.bound is not None:
        return f"proven at most {multiple(segment.bound / level)} × level"
    return segment.state if segment.bead is None else f"bead {segment.bead} in training"


def _times(loss: float, level: float) -> str:
    """Returns a loss and which multiple of the level it is, or says that it is not known."""
    return f"{loss:.5g} = {multiple(loss / level)} × level" if isfinite(loss) else "not known"
