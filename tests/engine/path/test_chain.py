"""The string that methods work on: its bookkeeping of beads, segments, peaks and the lowest."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.backends.in_place import InPlaceBackend
from engine.path.chain import TRACE, Chain
from engine.path.snapshot import Key, distance
from engine.problem.problem import build_problem
from engine.record.events import FIRST, LAST, SegmentClosed, SegmentFailed, SegmentMeasured
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.workers.pool import Pool
from tests.support.chains import ENDS, LEVEL, POINTS, bowl, chain_of, measured
from tests.support.gpus import Gpus
from tests.support.landscapes import goal


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
    chain.move([(3, torch.tensor([0.5, 0.1]))])
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
    assert chain.snapshot().highest == math.inf
    assert chain.snapshot().peak().left == FIRST


def test_the_trace_of_a_long_search_is_thinned_and_keeps_its_beginning() -> None:
    chain = measured([-1.0, 0.0], [0.1, 0.2])
    began = chain.trace[0]
    for number in range(1, 2 * TRACE + 30):
        chain.move([(LAST, torch.tensor([0.1, 0.2 + number / 100]))])
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
        chain.move([(3, torch.tensor([0.0, height]))])
        chain.measure(chain.unmeasured)
        assert chain.lowest is not None
        assert chain.lowest.highest == pytest.approx(barrier)
        assert chain.lowest.weights[3].tolist() == pytest.approx([0.0, 0.4])
    assert states(chain) == ["open", "open"]
    chain.fall_back()
    assert chain.weights[3].tolist() == pytest.approx([0.0, 0.4])
    assert states(chain) == ["failed", "failed"]
    assert chain.known == pytest.approx({FIRST: 0.5, 3: 0.4, LAST: 0.1})


def test_of_the_string_gone_back_to_only_what_is_above_the_level_has_failed() -> None:
    chain = measured([0.0, 0.5], [0.0, LEVEL], [0.0, 0.1])
    chain.move([(3, torch.tensor([0.0, 0.9]))])
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


# ---------------------------------------------------------------- where beads rest


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.parametrize("at_home", [0, 2**40])
def test_large_beads_rest_in_main_memory(
    at_home: int, gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU then holds those of the segments that are measured together, however many rest."""
    if gpus.machine is None:
        pytest.skip("memory is counted on acted GPUs")
    monkeypatch.setattr("engine.path.chain.AT_HOME", at_home)
    data = {"kind": "polynomial", "coefficients": [0.1, 0.3], "points": 8}
    network = {"kind": "mlp", "sizes": [1, 150, 150, 1], "activation": "tanh"}
    problem = build_problem(
        validated(ProblemSpec, {"data": data, "network": network, "loss": "mse"})
    )
    vector, beads = 4 * problem.parameter_count, 40
    monkeypatch.setattr("engine.path.segments.SIDE_BY_SIDE", 4 * vector)
    with Pool(InPlaceBackend(problem), gpus.devices) as pool:
        chain = Chain(pool, goal(1.0), 5)
        before = gpus.machine.allocated[0]
        order = [FIRST, *range(3, beads + 1), LAST]
        chain.begin([(bead, problem.initial(bead).to(gpus.devices[0]), 0) for bead in order])
        torch.cuda.reset_peak_memory_stats(gpus.devices[0])
        chain.measure(chain.keys)
        held = gpus.machine.allocated[0], gpus.machine.peaks[0]
    rested, most = ((each - before) / vector for each in held)
    if at_home:
        assert beads <= rested and most > beads + 20
    else:
        assert rested < 3 and most < 25  # the network's own weights and gradient stay there
    assert chain.weights[FIRST].device.type == ("cuda" if at_home else "cpu")
