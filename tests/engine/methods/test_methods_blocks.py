"""Each stage goes by its own block of keys, seen in what it does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.methods.polish import Polish
from engine.path import audit
from engine.path.audit import Audit
from engine.record.events import FIRST, LAST, BeadFailed, BeadInserted, Event
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.landscapes import double_well, landscape, ring, spec_for
from tests.support.searches import method_for, place_endpoints, run


def settings(level: float = 0.3, seed: int = 3, **search: Any) -> Spec:
    """The spec of a landscape with further keys of its search."""
    tree = spec_for(level, seed, max_depth=2, grid=9).model_dump(mode="json")
    for key, value in search.items():
        held = tree["search"][key]
        tree["search"][key] = held | value if isinstance(value, dict) else value
    return parse(tree)


def missed(events: list[Event]) -> list[BeadFailed]:
    return [event for event in events if isinstance(event, BeadFailed)]


@pytest.mark.parametrize(("block", "steps"), [({}, 2000), ({"max_steps": 7}, 7)])
def test_beads_are_released_by_their_own_block(block: dict[str, int], steps: int) -> None:
    """A bead on a slope that is too long ends when its steps are spent."""
    spec = settings(0.1, polish={"patience": 10**6} | block)
    problem = landscape(lambda w: 10 + 0 * w.sum())
    with method_for(problem, spec.model_copy(update={"seed": 5})) as method:
        chain = method.chain
        chain.begin([(FIRST, torch.zeros(2), 0), (3, torch.ones(2), 1), (LAST, torch.ones(2), 0)])
        chain.measure(chain.keys)
        stage = Polish(spec, chain)
        stage.begin()
        events: list[Event] = []
        while not stage.done:
            events += stage.step(None)
        assert {event.steps for event in missed(events)} == {steps}


def test_a_model_to_go_around_by_is_trained_by_its_own_block() -> None:
    """With steps too small to get anywhere, all are spent: (restarts + 1) × max_steps a detour."""
    slow = {"optimizer": {"kind": "sgd", "lr": 1e-9}, "max_steps": 9, "restarts": 1}
    others: dict[str, Any] = {
        "greedy": {"max_steps": 100},
        "constrained": {"patience": 20, "max_beads": 4},
    }
    spec = settings(seed=2, method="auto", detour=slow | {"patience": 10**6}, **others)
    with method_for(landscape(double_well), spec) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        tried = [(event.steps, event.attempt, event.remedy) for event in missed(run(method))]
        assert tried[-4:] == [(9, 1, "new random weights"), (9, 2, "none left")] * 2


@pytest.mark.parametrize(("own", "t"), [(None, 0.2), (0.4, 0.4)])
def test_a_bead_of_constrained_dss_starts_by_its_own_margin(own: float | None, t: float) -> None:
    """The peak lies close to the first endpoint, so the bead is put at the margin."""
    spec = settings(
        0.05, method="constrained", greedy={"margin": 0.2}, constrained={"margin": own, "grid": 33}
    )

    def near_the_start(w: torch.Tensor) -> torch.Tensor:
        return (-(((w[0] - 0.1) / 0.05) ** 2)).exp() + w[1].square()

    with method_for(landscape(near_the_start), spec) as method:
        chain, stage = method.chain, method.stages[0]
        chain.begin([(FIRST, torch.zeros(2), 0), (LAST, torch.tensor([1.0, 0.0]), 0)])
        stage.begin()
        events: list[Event] = []
        while not (inserted := [e for e in events if isinstance(e, BeadInserted)]):
            events += stage.step(None)
        assert inserted[0].t == pytest.approx(t)


@pytest.mark.parametrize(
    ("search", "points"),
    [
        ({}, 9),
        ({"grid": 13}, 13),
        ({"method": "constrained", "constrained": {"grid": 11}}, 11),
        ({"method": "constrained", "constrained": {"grid": 11}, "grid": 13}, 13),
    ],
)
def test_segments_are_looked_at_on_the_grid(search: dict[str, Any], points: int) -> None:
    with method_for(landscape(ring), settings(**search)) as method:
        assert len(method.chain.grid) == points


@pytest.mark.parametrize(
    ("keys", "fine"),
    [
        ({}, False),
        ({"share": 0.9}, True),
        ({"batch_size": 1}, False),
        ({"grid": "fine"}, True),
        ({"grid": "coarse", "share": 0.9}, False),
    ],
)
def test_the_audit_is_fine_where_it_costs_its_share(
    keys: dict[str, Any], fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs 2·10·9 products a sample and segment; the run 3 for each of its bead-steps."""
    monkeypatch.setattr(audit, "ALWAYS_CHEAP", 0)
    with method_for(landscape(ring), settings(audit=keys)) as method:
        place_endpoints(method, [1.0, 0.0], [0.9, 0.0])
        method.chain.begin([(FIRST, torch.ones(2), 0), (LAST, torch.ones(2), 0)])
        assert Audit(method.spec, method.chain, bead_steps=150).fine is fine


def test_the_runs_cost_is_reckoned_by_the_audits_own_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A landscape has three samples: with steps on one of them the run costs a third."""
    monkeypatch.setattr(audit, "ALWAYS_CHEAP", 0)
    for batch_size, fine in (("full", True), (1, False)):
        with method_for(landscape(ring), settings(audit={"batch_size": batch_size})) as method:
            method.chain.begin([(FIRST, torch.ones(2), 0), (LAST, torch.ones(2), 0)])
            assert Audit(method.spec, method.chain, bead_steps=310).fine is fine


def test_an_early_stop_of_the_search_leaves_the_other_blocks() -> None:
    """The greedy search's own steps are bounded by its own block, whatever polish says."""
    spec = settings(polish={"max_steps": 1}, greedy={"max_steps": 30})
    with method_for(landscape(double_well), spec) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        assert max(event.steps for event in missed(run(method))) == 30
