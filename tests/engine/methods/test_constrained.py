"""Constrained DSS on landscapes where it is known what is connected, and at which level."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from engine.problem.problem import build_problem
from engine.record.events import (
    FIRST,
    LAST,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    EndpointTrained,
    Event,
    LevelHeld,
    LevelLowered,
    Outcome,
    SegmentFailed,
)
from engine.steps.rows import End
from presets import load_preset
from tests.support.landscapes import double_well, landscape, ring
from tests.support.more import more
from tests.support.searches import highest_loss, method_for, run
from tests.support.strings import (
    off_the_planes,
    outcome,
    place_endpoints,
    raised,
    stage_of,
    string_spec,
)
from tests.support.workers import vmapped

# ---------------------------------------------------------------- strings that connect


@pytest.mark.parametrize("hyperplane", ["hard", "soft", "off"])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_opposite_points_of_a_ring_are_connected_around_its_hill(
    hyperplane: str, level: float
) -> None:
    spec = string_spec(level, hyperplane=hyperplane)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.4, 0.1], [-1.3, 0.05])
        run(method)
        assert outcome(method) is Outcome.CONNECTED
        assert highest_loss(method) <= level
        now = method.progress()
        assert 1.3 < now.normalized_length < 1.6  # half a circle
        assert max(now.losses) <= 0.8 * level * (1 + 1e-6)
        assert now.count("closed") == len(now.segments) == now.beads - 1


@pytest.mark.parametrize("seed", range(4))
def test_random_endpoints_are_lowered_with_the_string(seed: int) -> None:
    with method_for(landscape(ring), string_spec(0.02, seed)) as method:
        events = run(method)
        assert outcome(method) is Outcome.CONNECTED
        assert highest_loss(method) <= 0.02
    lowered = [event for event in events if isinstance(event, LevelLowered)]
    assert lowered[-1].level == pytest.approx(0.8 * 0.02)
    assert all(a.level == b.met for a, b in pairwise(lowered))


@pytest.mark.parametrize("seed", range(8))
def test_a_hard_string_ends_equidistant_from_its_neighbours(seed: int) -> None:
    with method_for(landscape(ring), string_spec(0.05, seed)) as method:
        run(method)
        assert outcome(method) is Outcome.CONNECTED
        assert off_the_planes(method) <= 1e-5


@pytest.mark.parametrize("seed", [1, 6])
def test_a_hard_string_of_networks_ends_equidistant_from_its_neighbours(seed: int) -> None:
    """On the shipped quadratic task, with seeds that connect."""
    words = ["search.method=constrained", "search.level=2e-3", f"seed={seed}"]
    spec = load_preset("quadratic", words)
    with method_for(build_problem(spec.problem), spec) as method:
        run(method)
        assert outcome(method) is Outcome.CONNECTED
        assert method.progress().beads > 2
        assert off_the_planes(method) <= 1e-5
        assert highest_loss(method, 1001) <= 2e-3


@pytest.mark.parametrize("seed", [2, 4, 7])
@pytest.mark.parametrize("hyperplane", ["hard", "off"])
def test_beads_are_said_to_be_trained_once_and_at_their_target(seed: int, hyperplane: str) -> None:
    with method_for(landscape(ring), string_spec(0.05, seed, hyperplane=hyperplane)) as method:
        events = run(method)
        assert outcome(method) is Outcome.CONNECTED
        order = method.progress().order
    said = [event for event in events if isinstance(event, EndpointTrained | BeadTrained)]
    assert sorted(event.bead for event in said) == sorted(order)
    assert all(event.loss <= 0.8 * 0.05 * (1 + 1e-6) for event in said)


# ---------------------------------------------------------------- the level


@pytest.mark.parametrize("hyperplane", ["hard", "soft", "off"])
@pytest.mark.parametrize(("seed", "rho"), [(1, 0.7), (2, 0.5), (7, 0.9)])
def test_the_level_falls_when_every_bead_is_below_it(
    hyperplane: str, seed: int, rho: float
) -> None:
    problem, spec = landscape(ring), string_spec(0.01, seed, hyperplane=hyperplane, rho=rho)
    target, count = 0.8 * 0.01, 0
    with method_for(problem, spec) as method:
        while method.verdict is None:
            for event in method.step(None):
                if not isinstance(event, LevelLowered):
                    continue
                count += 1
                beads = [method.chain.weights[bead] for bead in method.chain.order]
                losses = vmapped(problem).losses(torch.stack(beads))
                assert float(losses.max()) <= event.met * (1 + 1e-6)
                assert float(losses.max()) == pytest.approx(event.highest, rel=1e-6)
                assert float(losses.min()) == pytest.approx(event.lowest, rel=1e-6)
                peak = max(segment.height for segment in method.chain.in_order())
                assert peak <= 1.25 * event.met * (1 + 1e-6)
                # The last level is the target, however near.
                assert target <= event.level <= max(target, rho * event.met)
                assert event.level < event.met
                assert set(event.held_up_by) <= set(method.chain.order)
    assert count >= 3


def test_a_bead_is_inserted_at_a_peak_that_exceeds_the_level_by_alpha1() -> None:
    with method_for(landscape(ring), string_spec(0.01)) as method:
        place_endpoints(method, [1.4, 0.1], [-1.3, 0.05])
        stage, inserted = stage_of(method), 0
        while method.verdict is None:
            level, settled, final = stage.string.level, not stage.string.going, stage.string.final
            for event in method.step(None):
                if isinstance(event, BeadInserted):
                    inserted += 1
                    assert settled
                    assert event.loss > (0.01 if final else 1.25 * level) * 0.98
    assert inserted >= 5


# ---------------------------------------------------------------- stuck


def test_a_string_that_gets_stuck_is_reported_with_its_level_and_bead() -> None:
    spec = string_spec(0.05, on_stuck="report", patience=60)
    with method_for(landscape(raised), spec) as method:
        events = run(method)
        level = stage_of(method).string.level
        assert outcome(method) is Outcome.NOT_CONNECTED
    (held,) = [event for event in events if isinstance(event, LevelHeld)][-1:]
    failed = [event for event in events if isinstance(event, SegmentFailed)]
    assert failed
    assert events.index(held) < events.index(failed[0])
    assert held.level == level
    assert set(held.held_up_by) & {FIRST, LAST}
    assert 60 > held.steps >= 30
    for event in failed:
        assert event.reason.startswith(f"stuck at level {level:.4g}: the loss of bead ")
        assert "stopped falling at 0.1" in event.reason
    assert not any(isinstance(event, BeadFailed) for event in events)


def test_greedy_goes_on_where_the_string_had_no_room() -> None:
    spec = string_spec(0.005, on_stuck="greedy", max_beads=4)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.4, 0.1], [-1.3, 0.05])
        phases = [method.progress().phase]
        while method.verdict is None:
            method.step(None)
            if method.progress().phase != phases[-1]:
                phases.append(method.progress().phase)
        assert outcome(method) is Outcome.CONNECTED
        assert highest_loss(method) <= 0.005
        assert method.progress().beads > 4
    assert phases == ["search", "polish", "search", "audit"]


@pytest.mark.parametrize("hyperplane", ["hard", "off"])
def test_more_beads_than_allowed_end_the_search(hyperplane: str) -> None:
    spec = string_spec(0.005, max_beads=4, hyperplane=hyperplane, on_stuck="report")
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.4, 0.1], [-1.3, 0.05])
        events: list[Event] = []
        while method.verdict is None:
            events += method.step(None)
            assert method.progress().beads <= 4
        assert outcome(method) is Outcome.NOT_CONNECTED
    reasons = [event.reason for event in events if isinstance(event, SegmentFailed)]
    assert reasons
    assert all("search.constrained.max_beads = 4" in reason for reason in reasons)


def test_a_string_at_rest_is_shown_unless_it_has_no_room() -> None:
    """Beads that move are shown; where none does, all are, since the level falls next."""
    at_rest = 0
    with method_for(landscape(ring), string_spec(0.005)) as method:
        place_endpoints(method, [1.4, 0.1], [-1.3, 0.05])
        stage = stage_of(method)
        while method.verdict is None:
            method.step(None)
            rows, blocked = stage.string.each(), stage.blocked
            going = [row.bead for row in rows if row.end is not End.REACHED]
            everyone = [row.bead for row in rows]
            assert [bead.bead for bead in stage.training()] == (going or everyone)
            stage.blocked = True
            assert [bead.bead for bead in stage.training()] == going
            stage.blocked = blocked
            at_rest += not going and len(rows) > 0
    assert at_rest


def test_beads_left_bound_the_string() -> None:
    with method_for(landscape(ring), string_spec(0.005)) as method:
        place_endpoints(method, [1.4, 0.1], [-1.3, 0.05])
        for _ in range(400):
            method.step(beads_left=max(0, 5 - method.progress().beads))
            assert method.progress().beads <= 5
        assert method.verdict is None
        run(method)
        assert outcome(method) is Outcome.CONNECTED


# ---------------------------------------------------------------- what is not connected


@pytest.mark.parametrize(
    ("hyperplane", "on_stuck"),
    [
        *(("hard", "report"), ("hard", "reinit"), ("off", "greedy")),
        *(more("hard", "greedy"), more("off", "report"), more("off", "reinit")),
    ],
)
def test_two_wells_are_not_connected_below_their_pass(on_stuck: str, hyperplane: str) -> None:
    spec = string_spec(0.3, on_stuck=on_stuck, hyperplane=hyperplane, max_beads=12, patience=60)
    greedy = spec.search.greedy.model_copy(update={"max_depth": 2, "patience": 60})
    spec = spec.model_copy(update={"search": spec.search.model_copy(update={"greedy": greedy})})
    with method_for(landscape(double_well), spec) as method:
        place_endpoints(method, [-1.2, 0.1], [1.2, -0.2])
        run(method)
        assert outcome(method) is Outcome.NOT_CONNECTED
        assert method.progress().max_peak >= 1.0  # any path crosses the pass of height 1


@pytest.mark.parametrize("seed", range(5))
def test_random_ends_in_two_wells_are_not_connected(seed: int) -> None:
    spec = string_spec(0.3, seed, on_stuck="report", patience=60, max_beads=12)
    with method_for(landscape(double_well), spec) as method:
        run(method)
        ends = [float(method.chain.weights[end][0]) for end in (FIRST, LAST)]
        in_one_well = ends[0] * ends[1] > 0
        assert (outcome(method) is Outcome.CONNECTED) == in_one_well


# ---------------------------------------------------------------- restored


@pytest.mark.parametrize(
    ("optimizer", "stop_after"),
    [
        *(("sgd", 1), ("sgd", 10), ("adam", 30)),
        *(more("sgd", 3), more("sgd", 60), more("adam", 5)),
    ],
)
def test_a_restored_search_goes_on_to_the_same_bits(stop_after: int, optimizer: str) -> None:
    problem = landscape(ring)
    spec = string_spec(0.01, seed=2, optimizer={"kind": optimizer, "lr": 0.02}, zeta=0.01)
    with method_for(problem, spec) as method:
        for _ in range(stop_after):
            if method.verdict is None:
                method.step(None)
        state = method.state
        rest = run(method)
        expected = method.string()
        assert outcome(method) is Outcome.CONNECTED
    with method_for(problem, spec) as again:
        again.resume(state)
        assert run(again) == rest
        found = again.string()
    assert found.beads.tobytes() == expected.beads.tobytes()
    assert found.profiles.tobytes() == expected.profiles.tobytes()
