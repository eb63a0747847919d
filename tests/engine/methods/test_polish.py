"""Between two searches: what is kept of a string that got stuck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from engine.methods.constrained import ConstrainedSearch
from engine.methods.polish import Polish
from engine.path.chain import Chain
from engine.record.events import FIRST, LAST, BeadFailed, BeadTrained, Event, Outcome, SegmentFailed
from engine.record.unfit import Unfit
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from tests.support.landscapes import Surface, double_well, goal, landscape, spec_for
from tests.support.more import always
from tests.support.searches import method_for
from tests.support.workers import vmapped

LEVEL = 0.1
TARGET = 0.8 * LEVEL


def tilted(w: Tensor) -> Tensor:
    """Beads with w₁ < 1 slide down to w₂ = 0; beyond is a plateau of height 1."""
    return torch.where(w[0] < 1, w[1].square(), 1 + 0 * w[1])


def spec(patience: int = 20) -> Spec:
    made = spec_for(level=LEVEL)
    constrained = made.search.constrained.model_copy(update={"patience": patience})
    search = made.search.model_copy(update={"constrained": constrained})
    return made.model_copy(update={"search": search})


@contextmanager
def released(
    surface: Surface, beads: Sequence[tuple[int, float, float]]
) -> Iterator[tuple[Polish, Chain]]:
    """The stage on a string of beads (id, w₁, w₂), all of whose open segments have failed."""
    problem, settings = landscape(surface), spec()
    with Pool(vmapped(problem), [torch.device("cpu")]) as pool:
        chain = Chain(pool, goal(LEVEL), 9)
        chain.begin([(bead, torch.tensor([x, y]), int(bead > LAST)) for bead, x, y in beads])
        chain.measure(chain.keys)
        for segment in chain.in_order():
            if segment.state == "open":
                chain.fail(segment, "stuck")
        stage = Polish(settings, chain)
        stage.begin()
        yield stage, chain


def run(stage: Polish) -> list[Event]:
    events: list[Event] = []
    for _ in range(1000):
        if stage.done or stage.verdict is not None:
            return events
        events += stage.step(None)
    raise AssertionError("it does not end")


GOOD, HIGH, LOST = (3, 0.2, 0.9), (4, 0.5, 0.8), (5, 2.0, 0.0)
ENDS = ((FIRST, -1.0, 0.1), (LAST, 0.9, 0.1))


def test_beads_that_reach_the_target_stay_and_others_are_taken_out() -> None:
    with released(tilted, [ENDS[0], GOOD, LOST, HIGH, ENDS[1]]) as (stage, chain):
        events = run(stage)
        assert stage.verdict is None
        assert chain.order == [FIRST, 3, 4, LAST]
        beads = torch.stack([chain.weights[bead] for bead in chain.order])
        assert (vmapped(chain.problem).losses(beads) <= TARGET * (1 + 1e-6)).all()
        assert beads[:, 0].tolist() == pytest.approx([-1.0, 0.2, 0.5, 0.9])  # freed of neighbours
    (missed,) = [event for event in events if isinstance(event, BeadFailed)]
    assert (missed.bead, missed.left, missed.right) == (5, 3, 4)
    assert (missed.reason, missed.remedy) == ("stuck", "taken out")
    trained = [event for event in events if isinstance(event, BeadTrained)]
    assert {event.bead for event in trained} == {3, 4}
    assert all(event.loss <= TARGET for event in trained)


def test_neighbours_that_are_both_lost() -> None:
    beads = [ENDS[0], LOST, (6, 3.0, 0.0), (7, 4.0, 0.5), ENDS[1]]
    with released(tilted, beads) as (stage, chain):
        events = run(stage)
        assert chain.order == [FIRST, LAST]
        assert chain.keys == chain.unmeasured == [(FIRST, LAST)]
        missed = [event for event in events if isinstance(event, BeadFailed)]
        assert {event.bead for event in missed} == {5, 6, 7}
        chain.measure(chain.unmeasured)
        assert chain.segments[FIRST, LAST].state == "closed"


def test_what_moved_is_measured_anew_and_what_did_not_is_not() -> None:
    """A bead that is below the target stays where it is, to the bit."""
    low, lower = (6, -0.5, 0.1), (7, -0.2, 0.2)
    with released(tilted, [ENDS[0], low, lower, HIGH, LOST, ENDS[1]]) as (stage, chain):
        before = {bead: chain.weights[bead].clone() for bead in (FIRST, 6, 7, LAST)}
        run(stage)
        assert chain.order == [FIRST, 6, 7, 4, LAST]
        assert all(torch.equal(chain.weights[bead], theta) for bead, theta in before.items())
        assert chain.unmeasured == [(7, 4), (4, LAST)]
        states = {segment.key: segment.state for segment in chain.in_order()}
        assert states[FIRST, 6] == states[6, 7] == "closed"


@pytest.mark.parametrize("end", [FIRST, LAST])
def test_an_endpoint_that_is_lost_ends_the_search(end: int) -> None:
    ends = [(bead, 2.0, 0.0) if bead == end else (bead, x, y) for bead, x, y in ENDS]
    with released(tilted, [ends[0], GOOD, ends[1]]) as (stage, chain):
        events = run(stage)
        assert stage.verdict is not None
        assert stage.verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
        assert f"Endpoint {end} was not trained" in stage.verdict.sentence
        assert "in 1 attempt:" in stage.verdict.sentence
        assert "search.polish." in stage.verdict.sentence
        assert "endpoints." not in stage.verdict.sentence
        (missed,) = [e for e in events if isinstance(e, BeadFailed)]
        assert (missed.bead, missed.left, missed.right) == (end, None, None)
        assert (missed.remedy, missed.attempt) == ("none left", 1)
        assert chain.order[0] == FIRST and chain.order[-1] == LAST


def test_beads_wait_where_memory_is_short_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beads = [ENDS[0], GOOD, LOST, HIGH, ENDS[1]]
    with released(tilted, beads) as (stage, chain):
        run(stage)
        expected = {bead: theta.tolist() for bead, theta in chain.weights.items()}
    monkeypatch.setattr("engine.training.trainer.ROWS_BYTES", 1)
    with released(tilted, beads) as (stage, chain):
        assert (len(stage.trainer.groups), len(stage.waiting)) == (1, 4)
        while len(stage.waiting) > 2:
            stage.step(None)
        kept = stage.state
        assert len(kept.waiting) == 2
        stage.resume(kept)
        stage.check_ready()
        while not stage.done:
            assert len(stage.trainer.groups) <= 1
            stage.step(None)
        assert {bead: theta.tolist() for bead, theta in chain.weights.items()} == expected
        stage.waiting = [GOOD[0], GOOD[0]]
        with pytest.raises(Unfit, match="which cannot all wait"):
            stage.check_ready()


def test_nothing_happens_to_a_closed_string() -> None:
    """Even to beads above the target: the string connects as it is."""
    height = (0.9 * LEVEL) ** 0.5
    with released(tilted, [ENDS[0], (3, 0.2, height), ENDS[1]]) as (stage, chain):
        assert [segment.state for segment in chain.in_order()] == ["closed", "closed"]
        assert stage.done
        assert stage.training() == ()
        before = [chain.weights[bead].clone() for bead in chain.order]
        assert stage.step(None) == []
        assert (stage.verdict, stage.bead_steps, chain.order) == (None, 0, [FIRST, 3, LAST])
        after = [chain.weights[bead] for bead in chain.order]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_search_after_it_counts_depth_anew() -> None:
    with released(tilted, [ENDS[0], GOOD, HIGH, ENDS[1]]) as (stage, chain):
        chain.depths[4] = 9
        stage.begin()
        assert chain.depths == {FIRST: 0, 3: 1, 4: 1, LAST: 0}
        assert "failed" not in {segment.state for segment in chain.in_order()}


@pytest.mark.parametrize("seed", always([5], [1, 2, 5]))
def test_a_stuck_constrained_string_is_released(seed: int) -> None:
    """Between two wells the string is stuck with beads on the pass; freed, they fall into one."""
    made = spec_for(level=0.3, seed=seed, max_depth=4, patience=40)
    sgd = made.endpoints.optimizer
    constrained = made.search.constrained.model_copy(
        update={"optimizer": sgd, "patience": 40, "on_stuck": "greedy"}
    )
    search = made.search.model_copy(update={"method": "constrained", "constrained": constrained})
    with method_for(landscape(double_well), made.model_copy(update={"search": search})) as method:
        first, polish, _ = method.stages
        assert isinstance(first, ConstrainedSearch) and isinstance(polish, Polish)
        events: list[Event] = []
        while method.current == 0:
            events += method.step(None)
        assert first.stuck is not None
        assert any(isinstance(event, SegmentFailed) for event in events)
        stuck_beads = list(method.chain.order)
        assert {row.bead for row in polish.trainer.rows} == set(stuck_beads)
        released_events: list[Event] = []
        while method.current == 1:
            released_events += method.step(0)
        taken_out = {e.bead for e in released_events if isinstance(e, BeadFailed)}
        assert method.chain.order == [bead for bead in stuck_beads if bead not in taken_out]
        beads = torch.stack([method.chain.weights[bead] for bead in method.chain.order])
        assert (vmapped(method.chain.problem).losses(beads) <= 0.8 * 0.3 * (1 + 1e-6)).all()
