"""What is done with stuck beads of a string, on landscapes where some get stuck."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.problem.problem import build_problem
from engine.record.events import (
    FIRST,
    LAST,
    BeadFailed,
    BeadInserted,
    Event,
    LevelHeld,
    LevelLowered,
    Outcome,
    SegmentFailed,
)
from engine.run.choosing import backend_of
from engine.spec.optimizers import Sgd
from presets import load_preset
from tests.support.landscapes import landscape, ring
from tests.support.searches import highest_loss, method_for, run
from tests.support.strings import (
    off_the_planes,
    outcome,
    place_endpoints,
    raised,
    stage_of,
    string_spec,
    walled,
)
from tests.support.workers import vmapped


@pytest.mark.parametrize(("on_stuck", "take_out"), [("report", 7), ("reinit", 0), ("reinit", 3)])
def test_a_stuck_inner_bead_ends_the_search(on_stuck: str, take_out: int) -> None:
    """None is taken out to report; otherwise so many are, and the next is the end."""
    spec = string_spec(0.05, on_stuck=on_stuck, take_out=take_out, patience=60)
    with method_for(landscape(walled), spec) as method:
        place_endpoints(method, [1.6, 0.1], [-1.4, 0.2])
        events = run(method)
        assert outcome(method) is Outcome.NOT_CONNECTED
        assert method.progress().max_peak >= 2
        diagnosis = method.diagnosis()
    out = [event for event in events if isinstance(event, BeadFailed)]
    assert len(out) == (0 if on_stuck == "report" else take_out)
    assert {event.remedy for event in out} <= {"taken out"}
    assert not {event.bead for event in out} & set(method.progress().order)
    names = [event.bead for event in events if isinstance(event, BeadInserted)]
    (reason,) = {event.reason for event in events if isinstance(event, SegmentFailed)}
    assert any(f"bead {bead} stopped falling at 2" in reason for bead in names)
    assert diagnosis is not None
    assert diagnosis.stuck_level is not None
    assert diagnosis.stuck_level > 0.04
    assert any(isinstance(event, LevelHeld) for event in events)


def test_a_string_goes_on_without_a_stuck_bead() -> None:
    """A network's bead that dies on a plateau need not end the search for a path around it."""
    problem = build_problem(load_preset("quadratic").problem)
    ends = {}
    for take_out in (0, 30):
        words = [f"search.constrained.take_out={take_out}", "search.method=constrained", "seed=3"]
        spec = load_preset("quadratic", words)
        with method_for(backend_of("fused", spec.problem, problem), spec) as method:
            events = run(method)
            ends[take_out] = outcome(method)
            if ends[take_out] is Outcome.CONNECTED:
                assert highest_loss(method, 1001) <= method.chain.level
                assert off_the_planes(method) <= 1e-5
    assert ends == {0: Outcome.NOT_CONNECTED, 30: Outcome.CONNECTED}
    out = [event for event in events if isinstance(event, BeadFailed) and event.left is not None]
    assert 0 < len(out) <= 30


def test_a_restored_search_goes_on_taking_beads_out() -> None:
    problem, spec = landscape(walled), string_spec(0.05, take_out=3, patience=60)
    with method_for(problem, spec) as method:
        place_endpoints(method, [1.6, 0.1], [-1.4, 0.2])
        while stage_of(method).given_up.taken_out < 2:
            method.step(None)
        state = method.state
        rest = run(method)
    with method_for(problem, spec) as again:
        again.resume(state)
        assert run(again) == rest
    assert sum(isinstance(event, BeadFailed) for event in rest) == 1


def test_a_stuck_endpoint_begins_anew_until_none_are_left() -> None:
    spec = string_spec(0.05, restarts=2, on_stuck="reinit", patience=60)
    with method_for(landscape(raised), spec) as method:
        tried: dict[int, list[Tensor]] = {FIRST: [], LAST: []}
        events: list[Event] = []
        while method.verdict is None:
            new = method.step(None)
            events += new
            for event in new:
                if isinstance(event, BeadFailed) and event.remedy == "new random weights":
                    tried[event.bead].append(method.chain.weights[event.bead])
        assert outcome(method) is Outcome.ENDPOINT_NOT_TRAINED
        assert "stopped falling at 0.1" in method.verdict.sentence
        assert "in 3 attempts" in method.verdict.sentence
        assert "search.constrained.patience or endpoints.restarts" in method.verdict.sentence
        problem = method.chain.problem
    missed = [event for event in events if isinstance(event, BeadFailed)]
    assert {event.reason for event in missed} == {"stuck"}
    for end in (FIRST, LAST):
        own = [event for event in missed if event.bead == end]
        assert [event.attempt for event in own] == list(range(1, len(own) + 1))
        assert len({tuple(theta.tolist()) for theta in tried[end]}) == len(tried[end])
        for theta in tried[end]:
            assert float(vmapped(problem).losses(theta[None])) > 0.1001
    spent = [event for event in missed if event.remedy == "none left"]
    assert spent == missed[-1:]
    assert spent[0].attempt == 3
    # Every string that is given up was first said to hold.
    held = False
    for event in events:
        if isinstance(event, LevelHeld):
            held = True
        if isinstance(event, BeadFailed):
            assert held
        if isinstance(event, LevelLowered):
            held = False


def shelf(w: Tensor) -> Tensor:
    """No loss up to w₁ = 4, a slope, and from 5 on a level plateau at 0.1."""
    return 0.1 * (w[0] - 4).clamp(0, 1) + 0 * w[1]


def walled_shelf(w: Tensor) -> Tensor:
    """A plateau at 2 too, where w₁ is about 2.75."""
    return torch.where((w[0] - 2.75).abs() < 0.15, 2.0 + 0 * w[1], shelf(w))


def test_an_end_that_is_not_stuck_stays_where_it_is() -> None:
    with method_for(landscape(shelf), string_spec(0.05, patience=60)) as method:
        place_endpoints(method, [3.0, 0.0], [6.0, 0.1])
        first, last = (method.chain.weights[end] for end in (FIRST, LAST))
        missed: list[BeadFailed] = []
        while method.verdict is None and not missed:
            assert torch.equal(method.chain.weights[LAST], last)
            missed = [event for event in method.step(None) if isinstance(event, BeadFailed)]
        assert [(event.bead, event.remedy) for event in missed] == [(LAST, "new random weights")]
        assert method.chain.order == [FIRST, LAST]
        assert torch.equal(method.chain.weights[FIRST], first)
        assert not torch.equal(method.chain.weights[LAST], last)
        assert stage_of(method).given_up.attempts == {FIRST: 1, LAST: 2}
        run(method)
        assert outcome(method) is Outcome.CONNECTED


@pytest.mark.parametrize("stuck", [FIRST, LAST])
def test_an_end_that_stays_keeps_its_own_row(stuck: int) -> None:
    """Of a string with inner beads: steps and optimizer state of its end, and of none beside it."""
    momentum = Sgd(kind="sgd", lr=0.02, momentum=0.5)
    spec = string_spec(0.05, patience=60, optimizer=momentum)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.3, 0.0], [-1.3, 0.1])
        stage = stage_of(method)
        while len(method.chain.order) < 4:
            method.step(None)
        stage.string.advance()
        before, weights = stage.string.rows, dict(method.chain.weights)
        kept, place = (LAST, -1) if stuck == FIRST else (FIRST, 0)
        stage.given_up.begin_anew([stuck])
        assert method.chain.order == [FIRST, LAST]
        assert torch.equal(method.chain.weights[kept], weights[kept])
        assert not torch.equal(method.chain.weights[stuck], weights[stuck])
        rows, other = stage.string.rows, 0 if place else -1
        assert rows.steps[place] == before.steps[place] > rows.steps[other] == 0
        assert torch.equal(rows.theta[place], before.theta[place])
        assert rows.loss[place] == before.loss[place]
        for slot, tensor in before.state.items():
            assert torch.equal(rows.state[slot][place], tensor[place])
            assert not tensor[place].equal(tensor[place - 1 if place else 1])


def test_a_string_that_starts_over_is_said_to_hold_anew() -> None:
    """The second end is stuck on a shelf; a wall then stops the string to its successor."""
    with method_for(landscape(walled_shelf), string_spec(0.05, patience=60)) as method:
        place_endpoints(method, [3.0, 0.0], [6.0, 0.1])
        events = run(method)
        assert outcome(method) is Outcome.NOT_CONNECTED
    story = [e.name for e in events if isinstance(e, LevelHeld | BeadFailed | SegmentFailed)]
    assert story[:3] == ["level_held", "bead_failed", "level_held"]
    assert story[-1] == "segment_failed"


def test_the_diagnosis_is_of_a_string_between_the_ends_that_are_left() -> None:
    """The string to the end that was given up was lower than any to its successor."""
    with method_for(landscape(walled_shelf), string_spec(0.05, patience=60)) as method:
        place_endpoints(method, [3.0, 0.0], [6.0, 0.1])
        given_up = method.chain.weights[LAST]
        run(method)
        diagnosis = method.diagnosis()
        assert not torch.equal(method.chain.weights[LAST], given_up)
        assert highest_loss(method) == pytest.approx(2.0)
    assert diagnosis is not None
    assert diagnosis.barrier == pytest.approx(2.0)  # that of the string given up was 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_start_distance_is_bounded(seed: int) -> None:
    problem = landscape(ring, 20)
    ends = {}
    for limit in (None, 0.5, 1000.0):
        with method_for(problem, string_spec(0.05, seed, start_distance=limit)) as method:
            ends[limit] = [method.chain.weights[end] for end in (FIRST, LAST)]
    far, near, same = (last - first for first, last in ends.values())
    assert float(far.norm()) > 0.5
    assert float(near.norm()) == pytest.approx(0.5, rel=1e-5)
    torch.testing.assert_close(near / near.norm(), far / far.norm())
    assert torch.equal(same, far)
    assert torch.equal(ends[None][0], ends[0.5][0])


def test_the_start_distance_bounds_new_attempts_too() -> None:
    spec = string_spec(0.05, start_distance=0.5, patience=60, restarts=3)
    begun = 0
    with method_for(landscape(raised, 20), spec) as method:
        while method.verdict is None:
            missed = [event for event in method.step(None) if isinstance(event, BeadFailed)]
            if missed and method.verdict is None:
                begun += 1
                first, last = (method.chain.weights[end] for end in (FIRST, LAST))
                assert float((last - first).norm()) <= 0.5 * (1 + 1e-5)
    assert begun


@pytest.mark.parametrize("stop_after", [5, 20, 40])
def test_a_restored_search_that_starts_over_goes_on_to_the_same_events(stop_after: int) -> None:
    problem, spec = landscape(raised), string_spec(0.05, restarts=2, patience=60)
    with method_for(problem, spec) as method:
        for _ in range(stop_after):
            if method.verdict is None:
                method.step(None)
        state = method.state
        rest = run(method)
        expected = method.verdict
    with method_for(problem, spec) as again:
        again.resume(state)
        assert run(again) == rest
        assert again.verdict == expected
    assert any(isinstance(event, BeadFailed) for event in rest)
