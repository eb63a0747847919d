"""What a search looks like at one moment."""

from __future__ import annotations

from dataclasses import replace

from engine.path.snapshot import MethodProgress
from engine.record.progress import SegmentProgress

OPEN = SegmentProgress(
    left=1,
    right=2,
    depth=0,
    state="open",
    length=2.0,
    peak=0.5,
    t_star=0.25,
    profile=(0.1, 0.5, 0.2),
    secondary=(0.3, 0.4),
    bead=None,
)


def progress(*states: str, beads_per_depth: tuple[int, ...] = (2,)) -> MethodProgress:
    return MethodProgress(
        phase="search",
        aim=0.2,
        beads=len(states) + 1,
        order=(),
        losses=(),
        training=(),
        segments=tuple(replace(OPEN, state=state) for state in states),  # type: ignore[arg-type]
        beads_per_depth=beads_per_depth,
        bead_steps=7,
        normalized_length=1.5,
        max_peak=0.5,
    )


def test_segments_are_counted_by_their_state() -> None:
    seen = progress("open", "closed", "open", "failed", "closed", "open")
    assert [seen.count(state) for state in ("open", "training", "closed", "failed")] == [3, 0, 2, 1]


def test_the_depth_is_that_of_the_deepest_bead() -> None:
    assert progress("open", beads_per_depth=(2, 3, 1)).depth == 2
    assert progress("open").depth == 0
    assert progress(beads_per_depth=()).depth == 0
