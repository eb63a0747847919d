"""Greedy DSS on landscapes where it is known what is connected, and at which level."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.methods.greedy import GreedySearch
from engine.methods.starts import LADDER
from engine.path.segments import Measured
from engine.record.events import (
    FIRST,
    LAST,
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    EndpointTrained,
    Outcome,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
)
from engine.record.unfit import Unfit
from engine.workers.pool import Pool
from tests.support.landscapes import double_well, landscape, ring, spec_for
from tests.support.searches import highest_loss, method_for, place_endpoints, run


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("t_star", ["peak", "half"])
def test_opposite_points_of_a_ring_are_connected_around_its_hill(seed: int, t_star: str) -> None:
    spec = spec_for(level=0.05, seed=seed, t_star=t_star)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.0, 0.01 * (seed + 1)], [-1.0, 0.03])
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(method) <= 0.05
        length = method.progress().normalized_length
        # A chord of the valley at level 0.05 stays beyond radius √(1 − √0.05) = 0.881.
        assert 0.88 * math.pi / 2 < length < math.pi / 2


def test_two_wells_are_not_connected_below_their_pass() -> None:
    with method_for(landscape(double_well), spec_for(level=0.3, max_depth=6)) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        events = run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.NOT_CONNECTED
        assert "does not prove" in method.verdict.sentence
        assert method.progress().max_peak >= 1.0  # any path crosses the pass of height 1
        assert any(isinstance(event, SegmentFailed) for event in events)


def test_two_wells_are_connected_above_their_pass() -> None:
    with method_for(landscape(double_well), spec_for(level=1.1)) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert method.progress().beads == 2  # the straight line will do


def test_both_halves_of_every_split_are_searched() -> None:
    """Each bead that was trained has two measured segments, and each open one a bead."""
    with method_for(landscape(ring), spec_for(level=0.02)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        events = run(method)
        measured = {(e.left, e.right) for e in events if isinstance(e, SegmentMeasured)}
        trained = [e for e in events if isinstance(e, BeadTrained)]
        assert len(trained) >= 3
        for event in trained:
            assert {(event.left, event.bead), (event.bead, event.right)} <= measured
        closed = {(e.left, e.right) for e in events if isinstance(e, SegmentClosed)}
        inserted = {(e.left, e.right) for e in events if isinstance(e, BeadInserted)}
        assert measured == closed | inserted
        assert not closed & inserted
        now = method.progress()
        assert set(pairwise(now.order)) == closed
        assert sum(now.beads_per_depth) == now.beads == len(trained) + 2


def test_every_open_segment_trains_in_the_same_batch() -> None:
    with method_for(landscape(ring), spec_for(level=0.005)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        most = 0
        while method.verdict is None:
            inserted = [e for e in method.step(None) if isinstance(e, BeadInserted)]
            most = max(most, len(inserted))
        assert most >= 3


def test_slots_and_bead_limits_bound_the_batch() -> None:
    with method_for(landscape(ring), spec_for(level=0.005, slots=2)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        while method.verdict is None:
            method.step(None)
            assert len(method.progress().training) <= 2
        assert method.verdict.outcome is Outcome.CONNECTED
    with method_for(landscape(ring), spec_for(level=0.005)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        for _ in range(2000):
            method.step(beads_left=max(0, 5 - method.progress().beads))
        assert method.progress().beads == 5
        assert method.verdict is None


def test_a_stuck_bead_gets_the_other_starts_then_its_segment_fails() -> None:
    """No start reaches the target: the valley between the endpoints is a plateau."""

    def plateau(w: Tensor) -> Tensor:
        return torch.where(w[0].abs() < 0.99, 0.5 + 0 * w[1], 0 * w[1] + 0.01 + 0 * w[0])

    spec = spec_for(level=0.1, patience=30)
    with method_for(landscape(plateau), spec) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        events = run(method)
    missed = [event for event in events if isinstance(event, BeadFailed)]
    assert [event.attempt for event in missed] == [1, 2, 3, 4]
    assert [event.reason for event in missed] == ["stuck"] * 4
    assert [event.remedy for event in missed] == [f"{s} start" for s in LADDER[1:]] + ["none left"]
    assert len({event.bead for event in missed}) == 1
    assert method.verdict is not None
    assert method.verdict.outcome is Outcome.NOT_CONNECTED


def test_a_segment_that_fails_the_audit_is_reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that sees no peak at all is put right by the audit."""
    from engine.path import chain, segments

    honest = segments.measure

    def blind(
        pool: Pool, pairs: list[tuple[Tensor, Tensor]], t: np.ndarray, samples: int, **keys: object
    ) -> list[Measured]:
        measured = honest(pool, pairs, t, samples, **keys)  # type: ignore[arg-type]
        if len(t) != 33 or blind.calls >= 1:  # type: ignore[attr-defined]
            return measured
        blind.calls += 1  # type: ignore[attr-defined]
        return [replace(m, peak=0.001) for m in measured]

    blind.calls = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(chain, "measure", blind)
    with method_for(landscape(ring), spec_for(level=0.05)) as method:
        place_endpoints(method, [1.0, 0.02], [-1.0, 0.03])
        events = run(method)
        failed = [event for event in events if isinstance(event, AuditFailed)]
        assert [(e.left, e.right) for e in failed] == [(FIRST, LAST)]
        assert failed[0].peak == pytest.approx(1.0, abs=0.01)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(method) <= 0.05


def test_endpoints_are_trained_from_random_weights() -> None:
    with method_for(landscape(ring), spec_for(level=0.01)) as method:
        events = run(method)
    trained = [event for event in events if isinstance(event, EndpointTrained)]
    assert {event.bead for event in trained} == {FIRST, LAST}
    assert all(event.loss <= 0.8 * 0.01 for event in trained)


@pytest.mark.parametrize(
    ("floor", "lr", "words"),
    [
        (0.02, 0.02, "stopped falling at 0.0"),
        (0.0, 3.0, "non-finite .* lower endpoints.optimizer.lr"),
    ],
)
def test_an_endpoint_that_is_not_trained_is_its_own_outcome(
    floor: float, lr: float, words: str
) -> None:
    def raised(w: Tensor) -> Tensor:
        return ring(w) + floor

    spec = spec_for(level=0.01)
    optimizer = spec.endpoints.optimizer.model_copy(update={"lr": lr})
    endpoints = spec.endpoints.model_copy(
        update={"optimizer": optimizer, "patience": 200, "restarts": 2}
    )
    spec = spec.model_copy(update={"endpoints": endpoints})
    with method_for(landscape(raised), spec) as method:
        events = run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.ENDPOINT_NOT_TRAINED
        assert re.search(words, method.verdict.sentence)
        misses = [event for event in events if isinstance(event, BeadFailed)]
        assert max(event.attempt for event in misses) == 3
        assert misses[-1].remedy == "none left"
        assert method.string().beads.shape == (2, 2)  # as far as they came


@pytest.mark.parametrize("stop_after", [1, 3, 10, 30, 60])
def test_a_restored_search_goes_on_to_the_same_bits(stop_after: int) -> None:
    problem, spec = landscape(ring), spec_for(level=0.01)
    with method_for(problem, spec) as method:
        for _ in range(stop_after):
            if method.verdict is None:
                method.step(None)
        state = method.state
        rest = run(method)
        expected = method.string()
    with method_for(problem, spec) as again:
        again.resume(state)
        assert run(again) == rest
        found = again.string()
    assert found.beads.tobytes() == expected.beads.tobytes()
    assert found.profiles.tobytes() == expected.profiles.tobytes()


def test_a_bead_in_training_must_be_a_new_one() -> None:
    """A checkpoint in which it is on the string already, or was never made, is not gone on with."""
    with method_for(landscape(double_well), spec_for(level=0.3)) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        (stage,) = [stage for stage in method.stages if isinstance(stage, GreedySearch)]
        while not stage.beads_in_training:
            method.step(None)
        stage.check_ready()
        (bead,) = stage.beads_in_training
        chain = method.chain
        chain.next_bead = bead
        with pytest.raises(Unfit, match=f"bead {bead} is in training, but cannot be new"):
            stage.check_ready()
        chain.next_bead = bead + 1
        stage.check_ready()
        chain.weights[bead] = chain.weights[FIRST]
        with pytest.raises(Unfit, match=f"bead {bead} is in training, but cannot be new"):
            stage.check_ready()
