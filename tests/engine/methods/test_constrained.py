"""Constrained DSS on landscapes where it is known what is connected, and at which level."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from engine.methods.constrained import ConstrainedSearch
from engine.methods.method import StagedMethod
from engine.path.chain import Chain
from engine.problem.problem import Problem, build_problem
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
from engine.run.choose_backend import backend_of
from engine.spec.keys import Spec
from engine.spec.optimizers import Sgd
from engine.spec.search import Constrained
from engine.spec.yaml_file import parse
from engine.steps.rows import End
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.landscapes import double_well, goal, landscape, ring, spec_for
from tests.support.searches import highest_loss, method_for, run
from tests.support.workers import vmapped


def string_spec(level: float, seed: int = 3, restarts: int = 5, **constrained: object) -> Spec:
    """A spec for a landscape, whose method is constrained."""
    spec = spec_for(level, seed)
    values = {"optimizer": Sgd(kind="sgd", lr=0.02)} | constrained
    search = {"method": "constrained", "constrained": Constrained.model_validate(values)}
    return spec.model_copy(
        update={
            "search": spec.search.model_copy(update=search),
            "endpoints": spec.endpoints.model_copy(update={"restarts": restarts}),
        }
    )


def stage_of(method: StagedMethod) -> ConstrainedSearch:
    (stage,) = (stage for stage in method.stages if isinstance(stage, ConstrainedSearch))
    return stage


def outcome(method: StagedMethod) -> Outcome:
    assert method.verdict is not None
    return method.verdict.outcome


def place_endpoints(method: StagedMethod, first: list[float], last: list[float]) -> None:
    """Two models to start from, in place of random ones."""
    stage, weights = stage_of(method), [torch.tensor(first), torch.tensor(last)]
    method.chain.begin([(bead, w, 0) for bead, w in zip((FIRST, LAST), weights, strict=True)])
    stage.held = (False, False)
    stage._train(stage._fresh())


def off_the_planes(method: StagedMethod) -> float:
    """How far a bead is from the plane equidistant from its neighbours, over their distance."""
    beads = torch.from_numpy(method.string().beads).double()
    if len(beads) < 3:
        return 0.0
    left, right = beads[:-2], beads[2:]
    chord = right - left
    off = ((beads[1:-1] - (left + right) / 2) * chord).sum(1)
    return float((off / chord.square().sum(1)).abs().max())


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
            level, settled = stage.level, not stage.rows.going.any()
            final = level <= stage.target
            for event in method.step(None):
                if isinstance(event, BeadInserted):
                    inserted += 1
                    assert settled
                    assert event.loss > (0.01 if final else 1.25 * level) * 0.98
    assert inserted >= 5


def bent(seed: int, beads: int = 9) -> Tensor:
    """Beads beside half the ring, at random places in four directions that cost nothing."""
    generator = torch.Generator().manual_seed(seed)
    first, span = torch.rand(2, generator=generator)
    angle = 6.28 * first + torch.linspace(0, 1, beads) * (1.5 + 1.5 * span)
    radius = torch.full((beads,), 1.5)
    radius[[0, -1]] = 1
    free = 0.3 * torch.randn(beads, 4, generator=generator)
    return torch.cat([(radius * torch.stack([angle.cos(), angle.sin()])).T, free], dim=1)


def length_with_springs(problem: Problem, seed: int, zeta: float, hyperplane: str) -> float:
    """Of a crooked string that is lowered between ends that stay.

    Strings that begin straight are nearly as short as they can be, so springs show little there.
    """
    spec = string_spec(0.05, seed, zeta=zeta, hyperplane=hyperplane)
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        chain = Chain(pool, goal(0.05), 5)
        beads = bent(seed)
        order = [FIRST, *range(3, len(beads) + 1), LAST]
        chain.begin([(bead, theta, 0) for bead, theta in zip(order, beads, strict=True)])
        chain.measure(chain.keys)
        search = ConstrainedSearch(spec, chain)
        search.begin()
        for _ in range(2000):
            if search.done:
                break
            search.step(None)
        assert search.done
        assert search.stuck is None
        return chain.shape().normalized_length


@pytest.mark.parametrize("hyperplane", ["hard", "off"])
def test_springs_shorten_the_string(hyperplane: str) -> None:
    problem = landscape(lambda w: ring(w[:2]), 6)
    falls = 0
    for seed in range(20):
        lengths = [length_with_springs(problem, seed, zeta, hyperplane) for zeta in (0, 0.1, 0.3)]
        falls += lengths[0] > lengths[1] > lengths[2]
    assert falls >= 18


# ---------------------------------------------------------------- stuck


def raised(w: Tensor) -> Tensor:
    """A ring whose valley is at 0.1."""
    return ring(w) + 0.1


def walled(w: Tensor) -> Tensor:
    """Two valleys, and a level plateau between them on which no bead can move."""
    side = (w[0].abs() - 1.5).square() + w[1].square()
    return torch.where(w[0].abs() < 0.8, 2.0 + 0 * side, side)


def test_a_string_that_gets_stuck_is_reported_with_its_level_and_bead() -> None:
    spec = string_spec(0.05, on_stuck="report", patience=60)
    with method_for(landscape(raised), spec) as method:
        events = run(method)
        level = stage_of(method).level
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
        while stage_of(method).taken_out < 2:
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
        assert stage_of(method).attempts == {FIRST: 1, LAST: 2}
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
        stage.trainer.advance()
        before, weights = stage.rows, dict(method.chain.weights)
        kept, place = (LAST, -1) if stuck == FIRST else (FIRST, 0)
        stage._reinit([stuck])
        assert method.chain.order == [FIRST, LAST]
        assert torch.equal(method.chain.weights[kept], weights[kept])
        assert not torch.equal(method.chain.weights[stuck], weights[stuck])
        rows, other = stage.rows, 0 if place else -1
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
            rows, blocked = stage.trainer.rows, stage.blocked
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


# ---------------------------------------------------------------- start


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


# ---------------------------------------------------------------- what is not connected


@pytest.mark.parametrize("on_stuck", ["report", "reinit", "greedy"])
@pytest.mark.parametrize("hyperplane", ["hard", "off"])
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
    [("sgd", 1), ("sgd", 3), ("sgd", 10), ("sgd", 60), ("adam", 5), ("adam", 30)],
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


# ---------------------------------------------------------------- the ends' own share of the level


@pytest.mark.parametrize("share", [None, 0.5, 1.0])
def test_ends_rest_at_their_own_share_of_the_level(share: float | None) -> None:
    """Small steps, so that they stop just below it; the others go on to the search's share."""
    level, alpha = 0.02, 0.8
    tree = spec_for(level, seed=4).model_dump(mode="json")
    tree["endpoints"]["alpha"] = share
    tree["search"] |= {"method": "constrained", "alpha": alpha}
    small = {"optimizer": {"kind": "sgd", "lr": 1e-3}, "check_every": 1, "max_steps": 10**6}
    tree["search"]["constrained"] |= small | {"patience": 10**4, "hyperplane": "off"}
    with method_for(landscape(ring), parse(tree)) as method:
        run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        first, *inner, last = method.string().losses.tolist()
        own = alpha if share is None else share
        for loss in (first, last):
            assert 0.9 * own * level <= loss <= own * level
        assert not inner or max(inner) <= alpha * level * (1 + 1e-6)
