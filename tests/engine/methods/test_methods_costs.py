"""What whole searches cost, against a backend that counts each pass that it is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.methods import build_method
from engine.problem.problem import build_problem
from engine.record.costs import NOTHING, Costs
from engine.record.events import Outcome
from engine.run.loop import totals
from engine.run.prepare import prepare
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from engine.workers.pool import Pool
from engine.workers.shared import SharedPool
from tests.support.counting import counting
from tests.support.more import more
from tests.support.searches import run

EACH_STEP = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 900, "check_every": 1}
BATCHES = {"batch_size": 5}


def spec_of(method: str, steps: dict[str, Any], **search: Any) -> Spec:
    """A search whose rounds are single steps, so that no pass of a batch is left unused."""
    block = EACH_STEP | {"patience": 300} | steps
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.1, 0.8], "points": 12},
                "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
                "loss": "mse",
            },
            "endpoints": block | {"restarts": 3},
            "search": {
                "method": method,
                "level": 0.01,
                "certify": "off",
                "greedy": block | {"grid": 9},
                "constrained": block | {"grid": 9, "hyperplane": "soft", "max_beads": 12},
                "shortening": {"sweeps": 3, "doublings": 1},
            }
            | search,
            "seed": 2,
            "device": "cpu",
            "workers": 1,
        }
    )


@pytest.mark.parametrize(
    ("method", "steps", "search"),
    [
        ("greedy", {}, {}),
        more("greedy", BATCHES, {}),
        ("greedy", {}, {"shorten": True}),
        more("constrained", {}, {}),
        ("constrained", BATCHES, {}),
        more("neb", {}, {"neb": {"check_every": 1, "beads": 3, "cycle": 20}}),
        ("neb", BATCHES, {"neb": {"check_every": 1, "beads": 3, "cycle": 20}}),
        ("bezier", {}, {"bezier": {"look_every": 20}}),
        ("polychain", BATCHES, {"polychain": {"look_every": 20}}),
        ("simplex", {}, {"simplex": {"look_every": 20}}),
    ],
    ids=lambda each: each if isinstance(each, str) else "+".join(each) or "plain",
)
def test_the_totals_are_a_count_by_hand(
    method: str, steps: dict[str, Any], search: dict[str, Any]
) -> None:
    spec = spec_of(method, steps, **search)
    kind, asked = counting()
    with Pool(kind(build_problem(spec.problem)), [torch.device("cpu")]) as pool:
        at_work = build_method(spec, pool)
        run(at_work)
    assert at_work.verdict is not None and at_work.verdict.outcome is Outcome.CONNECTED
    assert ("shorten" in search) == (at_work.state.stages[-1].kind == "shorten")
    counted = sum(asked, start=NOTHING)
    costs = at_work.progress().costs
    assert costs is not None
    assert costs.sample_gradients == counted.sample_gradients > 800
    assert costs.forward_samples == counted.forward_samples > 1000


def test_a_string_that_is_respaced_counts_each_inner_bead_as_moved() -> None:
    spec = spec_of("constrained", {}, constrained={**EACH_STEP, "grid": 9, "hyperplane": "hard"})
    kind, asked = counting()
    with Pool(kind(build_problem(spec.problem)), [torch.device("cpu")]) as pool:
        at_work = build_method(spec, pool)
        run(at_work)
    counted, costs = sum(asked, start=NOTHING), at_work.progress().costs
    assert costs is not None and costs.sample_gradients == counted.sample_gradients
    assert counted.forward_samples <= costs.forward_samples < 1.5 * counted.forward_samples


def test_the_passes_of_matching_are_counted() -> None:
    """By weights nothing is compared; the relabelled model is checked on all 12 samples, twice."""
    costs: list[Costs] = []
    for align in (None, "weights"):
        spec = spec_of("greedy", {})
        endpoints = spec.endpoints.model_copy(update={"align": align})
        spec = spec.model_copy(update={"endpoints": endpoints})
        with Pool(counting()[0](build_problem(spec.problem)), [torch.device("cpu")]) as pool:
            at_work = build_method(spec, pool)
            while len(getattr(at_work.stages[0], "trained")) < 2:  # noqa: B009
                at_work.step(None)
            found = at_work.progress().costs
            assert found is not None
            costs.append(found)
    assert costs[1] == costs[0] + Costs(forward_samples=2 * 12)


def test_searches_that_share_their_batches_cost_what_each_costs_alone() -> None:
    spec = spec_of("greedy", {"check_every": 10})
    specs = [spec.model_copy(update={"seed": seed}) for seed in (2, 3, 4)]
    with Pool(counting()[0](build_problem(spec.problem)), [torch.device("cpu")]) as pool:
        alone = []
        for each in specs:
            at_work = build_method(each, pool)
            run(at_work)
            alone.append(at_work.progress().costs)
        shared = SharedPool(pool)
        together = [build_method(each, shared) for each in specs]
        shared.run_all([lambda one=one: run(one) for one in together])  # type: ignore[misc]
    assert [one.progress().costs for one in together] == alone
    assert len({str(costs) for costs in alone}) == 3


def test_a_search_from_a_checkpoint_without_costs_does_not_know_them() -> None:
    spec = spec_of("greedy", {})
    with Pool(counting()[0](build_problem(spec.problem)), [torch.device("cpu")]) as pool:
        at_work, again = build_method(spec, pool), build_method(spec, pool)
        at_work.step(None)
        again.resume(at_work.state)
        assert again.progress().costs == at_work.progress().costs != NOTHING
        again.resume(replace(at_work.state, costs=None))
        again.step(None)
        assert again.progress().costs is None
        now = totals(again.progress(), 1.0)
    assert now.sample_gradients is None and now.forward_samples is None


def test_compiled_code_and_torch_cost_the_same() -> None:
    """Rounds of many steps, within which rows end."""
    tree = {"check_every": 25}
    found = []
    for batching in ("fused", "vmap"):
        prepared = prepare(spec_of("constrained", tree | BATCHES, batching=batching))
        with Pool(prepared.backend, [torch.device("cpu")]) as pool:
            at_work = build_method(prepared.spec, pool)
            for _ in range(12):  # before rounding can matter
                at_work.step(None)
            found.append(at_work.progress().costs)
    assert found[0] == found[1] and found[0] is not None
    assert found[0].sample_gradients == 5 * at_work.bead_steps > 0
