"""Where new beads start: the ladder, and greedy DSS where each bead slides back to an old one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.methods.starts import LADDER, start
from engine.record.events import (
    BeadInserted,
    BeadTrained,
    Event,
    Outcome,
    SegmentFailed,
    SegmentMeasured,
)
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import method_for, place_endpoints, run

REASON = "splitting it makes it no shorter nor lower"
LEVEL = 0.01


def test_starts_of_the_ladder() -> None:
    left, right = torch.tensor([-1.0, 0.0]), torch.tensor([1.2, 0.0])
    peak, half, perturbed, shrunk = (start(left, right, 0.4, n, seed=7) for n in (1, 2, 3, 4))
    assert peak[0] == 0.4
    assert peak[1].tolist() == pytest.approx([-0.12, 0.0])
    assert half[0] == 0.5
    assert half[1].tolist() == pytest.approx([0.1, 0.0])
    moved = (perturbed[1] - peak[1]).norm().item()
    assert moved == pytest.approx(0.25 * 2.2, rel=1e-5)
    assert torch.equal(start(left, right, 0.4, 3, seed=7)[1], perturbed[1])
    assert not torch.equal(start(left, right, 0.4, 3, seed=8)[1], perturbed[1])
    assert shrunk[0] == pytest.approx(0.2)
    assert start(left, right, 0.7, 4, seed=7)[0] == pytest.approx(0.85)


def cliff(w: Tensor) -> Tensor:
    """A slope that leads down to w₁ = −1 from everywhere but a narrow shaft around (1, 0)."""
    slope = (w[0] + 1).clamp(min=0) / 2 + 0 * w[1]
    in_shaft = (w[0] - 1).square() + w[1].square() < 1e-4
    return torch.where(in_shaft, 0 * slope, slope)


def searched(max_depth: int = 14) -> tuple[list[Event], Outcome, int]:
    """The whole search, its outcome and the beads on the string."""
    spec = spec_for(level=LEVEL, max_depth=max_depth)
    with method_for(landscape(cliff), spec) as method:
        place_endpoints(method, [-1.0, 0.0], [1.0, 0.0])
        events = run(method)
        assert method.verdict is not None
        return events, method.verdict.outcome, method.progress().beads


def test_each_stall_takes_the_next_start_of_the_ladder() -> None:
    events, _, _ = searched()
    trained = [event for event in events if isinstance(event, BeadTrained)]
    assert [event.attempt for event in trained] == list(range(1, len(LADDER) + 1))
    assert {event.right for event in trained} == {2}  # always what is left of the slope
    started = [event.t for event in events if isinstance(event, BeadInserted)]
    peak, half, perturbed, shrunk = started
    assert peak == perturbed == pytest.approx(0.95)  # the margin before the end
    assert half == 0.5
    assert shrunk == pytest.approx(0.975)


def test_when_the_ladder_is_spent_the_segment_fails() -> None:
    events, outcome, beads = searched()
    assert outcome is Outcome.NOT_CONNECTED
    failed = [event for event in events if isinstance(event, SegmentFailed)]
    assert [event.reason for event in failed] == [REASON]
    heights = [event.peak for event in events if isinstance(event, SegmentMeasured)]
    lengths = [event.length for event in events if isinstance(event, SegmentMeasured)]
    assert failed[0].peak >= 0.95 * max(heights)
    assert lengths[-1] >= 0.8 * lengths[0]
    assert failed[0].depth == len(LADDER)
    assert beads <= 2 + len(LADDER)


def test_the_depth_may_be_reached_first() -> None:
    events, outcome, _ = searched(max_depth=2)
    reasons = [event.reason for event in events if isinstance(event, SegmentFailed)]
    assert reasons == ["search.greedy.max_depth is reached"]
    assert outcome is Outcome.NOT_CONNECTED


def test_splits_that_shorten_or_lower_start_at_the_peak() -> None:
    """Around a hill every split is progress, however many there are."""
    with method_for(landscape(ring), spec_for(level=0.0005)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        events = run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
    trained = [event for event in events if isinstance(event, BeadTrained)]
    assert max(event.depth for event in trained) > len(LADDER)
    assert {event.attempt for event in trained} == {1}
