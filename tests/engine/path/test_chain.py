"""The string that methods work on: its bookkeeping of beads, segments, peaks and the lowest."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.path.chain import TRACE, Chain
from engine.path.snapshot import Key, Snapshot, distance
from engine.problem.problem import Problem
from engine.record.events import FIRST, LAST, SegmentClosed, SegmentFailed, SegmentMeasured
from tests.support.landscapes import goal, landscape
from tests.support.workers import Here, vmapped

POINTS = 17
LEVEL = 0.375
ENDS = ([-1.0, 0.2], [2.0, 0.6])


def bowl(w: Tensor) -> Tensor:
    """w₂ and a parabola over w₁: of a segment whose w₂ is level, the ends are the peaks."""
    return 0.1 * w[0].square() + w[1]


def chain_of(*beads: list[float], level: float = LEVEL, problem: Problem | None = None) -> Chain:
    """The string 1 — 3 — 4 … — 2 through these points, not measured yet."""
    problem = problem or landscape(bowl)
    chain = Chain(Here(vmapped(problem)), goal(level), POINTS)
    ids = [FIRST, *range(LAST + 1, LAST + len(beads) - 1), LAST]
    chain.begin([(bead, torch.tensor(at), 0) for bead, at in zip(ids, beads, strict=True)])
    return chain


def measured(*beads: list[float], level: float = LEVEL) -> Chain:
    chain = chain_of(*beads, level=level)
    chain.measure(chain.keys)
    return chain


def states(chain: Chain) -> list[str]:
    return [segment.state for segment in chain.in_order()]


# ---------------------------------------------------------------- measuring


def test_segments_are_open_above_the_level_and_closed_at_or_below_it() -> None:
    """Peaks of 0.6 + 0.4, of exactly the level, and below it."""
    chain = chain_of([2.0, 0.6], [0.0, 0.25], [0.0, 0.1], [0.0, -0.4], level=0.25)
    events = chain.measure(chain.keys)
    assert states(chain) == ["open", "closed", "closed"]
    peaks = [event.peak for event in events if isinstance(event, SegmentMeasured)]
    assert peaks == pytest.approx([1.0, 0.25, 0.1])
    closed = [event for event in events if isinstance(event, SegmentClosed)]
    assert [(event.left, event.right) for event in closed] == [(3, 4), (4, LAST)]
    assert chain.unmeasured == []


def test_a_segment_knows_its_length_and_depth() -> None:
    chain = measured(*ENDS)
    (whole,) = chain.in_order()
    assert whole.length == pytest.approx(math.hypot(3.0, 0.4))
    assert whole.depth == 0
    chain.place(chain.new_bead(), torch.tensor([0.0, 0.0]), (FIRST, LAST))
    chain.place(chain.new_bead(), torch.tensor([1.0, 0.0]), (3, LAST))
    assert [chain.depth_of(key) for key in chain.keys] == [1, 2, 2]


def test_nothing_to_measure_is_no_event() -> None:
    chain = measured(*ENDS)
    assert chain.measure([]) == []
    assert len(chain.trace) == 1


def test_beads_that_moved_are_measured_again() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], [1.0, 0.0], ENDS[1])
    chain.move({3: torch.tensor([0.5, 0.1])})
    assert chain.unmeasured == [(FIRST, 3), (3, 4)]
    assert set(chain.known) == {FIRST, 4, LAST}
    chain.measure(chain.unmeasured)
    assert chain.known[3] == pytest.approx(0.1 * 0.25 + 0.1)
    assert chain.segments[FIRST, 3].measured.losses[-1] == pytest.approx(chain.known[3])


# ---------------------------------------------------------------- beads in and out


def test_a_bead_takes_its_place_and_a_dropped_one_leaves_none() -> None:
    chain = measured(*ENDS)
    bead = chain.new_bead()
    assert chain.place(bead, torch.tensor([0.5, 0.0]), (FIRST, LAST)) == [(FIRST, 3), (3, LAST)]
    assert chain.order == [FIRST, 3, LAST]
    assert chain.neighbours(3) == (FIRST, LAST)
    assert chain.new_bead() == 4
    assert chain.drop(3) == (FIRST, LAST)
    assert chain.order == [FIRST, LAST]
    assert set(chain.weights) == set(chain.depths) == {FIRST, LAST}
    assert chain.new_bead() == 5  # ids are never used twice


def test_what_is_shown_of_a_new_segment_is_what_was_measured_there() -> None:
    """Until it is measured: the two parts of the profile at the sides of its peak, and back."""
    chain = measured([-1.0, 0.0], [2.0, 0.3])
    (whole,) = chain.in_order()
    chain.place(chain.new_bead(), torch.tensor([0.0, 0.0]), (FIRST, LAST))
    left, right = chain.in_order()
    assert chain.unmeasured == [(FIRST, 3), (3, LAST)]
    assert {left.state, right.state} == {"open"}
    cut = 0.95  # its peak is at the end, where no bead is put
    for half, (a, b) in ((left, (0.0, cut)), (right, (cut, 1.0))):
        expected = np.interp(np.linspace(a, b, POINTS), whole.measured.t, whole.measured.losses)
        np.testing.assert_allclose(half.measured.losses, expected)
        assert half.measured.peak == half.measured.losses.max()
        assert half.measured.losses[half.measured.t == half.measured.t_star] == half.measured.peak
    chain.drop(3)
    (again,) = chain.in_order()
    assert again.state == "open"
    assert again.measured.peak == pytest.approx(whole.measured.peak)
    assert again.measured.losses[0] == pytest.approx(whole.measured.losses[0])
    assert chain.unmeasured == [(FIRST, LAST)]


def test_a_search_that_begins_anew_counts_from_the_beads_it_has() -> None:
    chain = measured(ENDS[0], [0.0, 0.0], [0.5, 0.0], ENDS[1])
    for segment in chain.in_order():
        chain.update(replace(segment, state="failed", attempt=3, stalled=2, depth=7))
    chain.start_anew()
    assert chain.depths == {FIRST: 0, 3: 1, 4: 1, LAST: 0}
    assert states(chain) == ["closed", "closed", "open"]
    assert {(s.attempt, s.stalled, s.depth) for s in chain.in_order()} == {(0, 0, 1)}


# ---------------------------------------------------------------- the highest point


@pytest.mark.parametrize(("middle", "worst"), [([0.5, 1.5], (FIRST, 3)), ([0.5, 0.0], (3, LAST))])
def test_the_highest_point_of_a_string(middle: list[float], worst: Key) -> None:
    chain = measured(ENDS[0], middle, ENDS[1])
    peak = chain.trace[-1]
    assert (peak.left, peak.right) == worst
    assert peak.beads == 3
    theta = torch.lerp(chain.weights[peak.left], chain.weights[peak.right], peak.t)
    assert bowl(theta).item() == pytest.approx(peak.loss, rel=1e-5)
    lengths = [distance(chain.weights[a], chain.weights[b]) for a, b in chain.keys]
    before = 0.0 if worst == (FIRST, 3) else lengths[0]
    along = lengths[chain.keys.index(worst)] * peak.t
    assert peak.place == pytest.approx((before + along) / sum(lengths))


def test_a_string_without_length_has_its_peak_at_its_beginning() -> None:
    chain = measured([1.0, 0.5], [1.0, 0.5])
    assert chain.trace[-1].place == 0.0
    assert chain.shape().normalized_length == math.inf


def test_what_is_not_a_number_is_higher_than_all() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    segment = chain.in_order()[0]
    broken = replace(segment, measured=replace(segment.measured, peak=math.nan))
    chain.update(broken)
    assert broken.height == math.inf
    assert chain.snapshot().barrier == math.inf
    assert chain.snapshot().peak().left == FIRST


def test_the_trace_of_a_long_search_is_thinned_and_keeps_its_beginning() -> None:
    chain = measured([-1.0, 0.0], [0.1, 0.2])
    began = chain.trace[0]
    for number in range(1, 2 * TRACE + 30):
        chain.move({LAST: torch.tensor([0.1, 0.2 + number / 100])})
        chain.measure(chain.unmeasured)
        assert len(chain.trace) <= TRACE
    assert chain.trace[0] == began
    heights = [peak.loss for peak in chain.trace]
    assert heights == sorted(heights)
    assert len(chain.trace) > TRACE // 2


def test_a_string_is_compared_when_all_of_it_is_measured() -> None:
    chain = chain_of(ENDS[0], [0.0, 0.0], ENDS[1])
    chain.measure([(FIRST, 3)])
    assert (chain.trace, chain.lowest) == ([], None)
    chain.measure([(3, LAST)])
    assert len(chain.trace) == 1
    assert chain.lowest is not None


# ---------------------------------------------------------------- the lowest string


def test_the_lowest_string_is_kept_and_gone_back_to() -> None:
    """A later one that is as high, or higher, does not take its place; a lower one does."""
    chain = measured([0.0, 0.5], [0.0, 0.7], [0.0, 0.1])
    for height, barrier in ((0.4, 0.5), (0.3, 0.5), (0.9, 0.5)):
        chain.move({3: torch.tensor([0.0, height])})
        chain.measure(chain.unmeasured)
        assert chain.lowest is not None
        assert chain.lowest.barrier == pytest.approx(barrier)
        assert chain.lowest.weights[3].tolist() == pytest.approx([0.0, 0.4])
    assert states(chain) == ["open", "open"]
    chain.fall_back()
    assert chain.weights[3].tolist() == pytest.approx([0.0, 0.4])
    assert states(chain) == ["failed", "failed"]
    assert chain.known == pytest.approx({FIRST: 0.5, 3: 0.4, LAST: 0.1})


def test_of_the_string_gone_back_to_only_what_is_above_the_level_has_failed() -> None:
    chain = measured([0.0, 0.5], [0.0, LEVEL], [0.0, 0.1])
    chain.move({3: torch.tensor([0.0, 0.9])})
    chain.measure(chain.unmeasured)
    chain.fall_back()
    assert states(chain) == ["failed", "closed"]


def test_the_lowest_string_itself_is_left_as_it_is() -> None:
    chain = measured([0.0, 0.5], [0.0, 0.1])
    chain.fall_back()
    assert states(chain) == ["open"]


def test_a_segment_fails_with_its_reason() -> None:
    chain = measured([0.0, 0.5], [0.0, 0.1])
    failed = chain.fail(chain.in_order()[0], "it is steep")
    assert isinstance(failed, SegmentFailed)
    assert (failed.left, failed.right, failed.reason) == (FIRST, LAST, "it is steep")
    assert failed.peak == pytest.approx(0.5)
    assert states(chain) == ["failed"]


# ---------------------------------------------------------------- what others see


def test_a_board_shows_the_string() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    chain.depths[3] = 1
    now = chain.progress("search", (), 7, 0.25, {3: 0.125})
    assert (now.phase, now.aim, now.bead_steps) == ("search", 0.25, 7)
    assert (now.beads, now.order, now.beads_per_depth) == (3, (FIRST, 3, LAST), (2, 1))
    assert now.losses == pytest.approx((0.3, 0.125, 1.0))  # the fresher loss counts
    assert [segment.state for segment in now.segments] == ["closed", "open"]
    assert now.max_peak == pytest.approx(1.0)
    straight = math.hypot(3.0, 0.4)
    bent = math.hypot(1.5, 0.2) + math.hypot(1.5, 0.6)
    assert now.normalized_length == pytest.approx(bent / straight)


def test_a_board_before_anything_is_measured_has_no_order() -> None:
    chain = chain_of(ENDS[0], [0.5, 0.0], ENDS[1])
    now = chain.progress("endpoints", (), 0, LEVEL)
    assert (now.beads, now.order, now.losses, now.segments) == (3, (), (), ())
    assert math.isnan(now.max_peak)


def test_a_board_names_a_bead_only_while_it_trains() -> None:
    chain = measured(*ENDS)
    segment = replace(chain.in_order()[0], bead=9, state="training")
    chain.update(segment)
    assert chain.progress("search", (), 0, LEVEL).segments[0].bead == 9
    chain.update(replace(segment, state="failed"))
    assert chain.progress("search", (), 0, LEVEL).segments[0].bead is None


def test_audited_profiles_are_shown_where_every_segment_has_one() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    fine = {
        key: replace(chain.segments[key].measured, losses=np.full(POINTS, 0.5 + n), peak=0.5 + n)
        for n, key in enumerate(chain.keys)
    }
    chain.audited = {chain.keys[0]: fine[chain.keys[0]]}
    assert chain.progress("audit", (), 0, LEVEL).max_peak == pytest.approx(1.0)
    chain.audited = fine
    assert chain.progress("audit", (), 0, LEVEL).max_peak == 1.5
    assert chain.string().losses.tolist() == [0.5, 1.5, 1.5]


def test_a_string_is_measured_for_its_file_where_it_has_moved() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], ENDS[1])
    chain.move({3: torch.tensor([0.5, 0.7])})
    assert chain.string_products == 2 * POINTS * 3 * 2  # points, samples, weights
    string = chain.string()
    assert chain.unmeasured == [(FIRST, 3), (3, LAST)]  # nothing of it is kept
    exact = [bowl(torch.from_numpy(bead)).item() for bead in string.beads]
    np.testing.assert_allclose(string.losses, exact, rtol=1e-6)
    for (a, b), profile in zip(
        pairwise(torch.from_numpy(string.beads)), string.profiles, strict=True
    ):
        there = [bowl(torch.lerp(a, b, float(t))).item() for t in string.t]
        np.testing.assert_allclose(profile, there, rtol=1e-5)


# ---------------------------------------------------------------- checkpoint


def test_a_restored_chain_is_the_same() -> None:
    chain = measured(ENDS[0], [0.5, 0.0], [1.0, 0.1], ENDS[1])
    chain.move({3: torch.tensor([0.5, 0.7]), 4: torch.tensor([1.0, 0.8])})
    chain.measure([(3, 4)])
    chain.update(replace(chain.in_order()[2], bead=8, attempt=2, stalled=1, state="training"))
    chain.stale.add((4, LAST))
    state = chain.state
    problem = chain.problem
    again = Chain(Here(vmapped(problem)), goal(LEVEL), POINTS)
    again.resume(state)
    assert again.order == chain.order
    assert again.depths == chain.depths
    assert again.known == chain.known
    assert again.unmeasured == chain.unmeasured
    assert again.trace == chain.trace
    assert again.new_bead() == chain.new_bead()
    for one, other in zip(chain.in_order(), again.in_order(), strict=True):
        assert replace(one, measured=other.measured) == other
        np.testing.assert_array_equal(one.measured.losses, other.measured.losses)
        assert (one.measured.peak, one.measured.t_star) == (
            other.measured.peak,
            other.measured.t_star,
        )
    for bead in chain.order:
        assert torch.equal(again.weights[bead], chain.weights[bead])
    kept, lowest = again.lowest, chain.lowest
    assert isinstance(kept, Snapshot) and lowest is not None
    assert kept.barrier == lowest.barrier
    assert kept.weights[3].tolist() == [0.5, 0.0]
