"""Mini-batches that grow: when they double, and that what grows is found again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from engine.backends.backend import Backend
from engine.backends.fused import backend as fused_backend
from engine.backends.fused.compilation import available
from engine.backends.in_place import InPlaceBackend
from engine.backends.vmapped import VmappedBackend
from engine.errors import InputError
from engine.methods import build_method
from engine.methods.endpoints import EndpointTraining
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.record.events import Outcome
from engine.record.packing import pack, unpack
from engine.run.prepare import prepare
from engine.spec.checks import check_method
from engine.spec.training import Training
from engine.spec.validation import validated
from engine.spec.yaml_file import parse
from engine.steps.groups import Group, Row
from engine.steps.growth import batch_size, grown
from engine.steps.recipe import Recipe, recipe_of
from engine.steps.rows import End, fresh
from engine.training.trainer import Job, Round, Trainer, TrainerState, judged_last
from engine.workers.metered import Metered
from engine.workers.pool import Pool
from tests.support.searches import highest_loss, run
from tests.support.small_problem import small_problem
from tests.support.trainers import run_to_end
from tests.support.workers import Here

SIZE, PATIENCE, CHECK = 4, 160, 5
ROUNDS = 80


@dataclass(frozen=True)
class Trained:
    """What became of rows in training."""

    ended: dict[int, Row]
    grew: dict[int, int]
    """How often the mini-batch of each had doubled when it was last seen in training."""
    costs: Costs | None
    rounds: int


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


def training(**keys: object) -> Training:
    tree = {
        "optimizer": {"kind": "adam", "lr": 0.02},
        "batch_size": SIZE,
        "grow_batch": True,
        "check_every": CHECK,
        "patience": PATIENCE,
        "max_steps": 3000,
    }
    return validated(Training, tree | keys)


def trainer_on(backend: Backend, **keys: object) -> Trainer:
    return Trainer(Recipe(training(**keys)), Here(backend))


def test_a_mini_batch_doubles_until_it_is_full() -> None:
    how = training(batch_size=100)
    sizes = [batch_size(how, doublings, 1000) for doublings in range(6)]
    assert sizes == [100, 200, 400, 800, "full", "full"]
    assert batch_size(training(batch_size="full"), 3, 1000) == "full"
    assert Recipe(how).samples(1000, 2) == 400 and Recipe(how).samples(1000, 9) == 1000


@pytest.mark.parametrize(
    ("best", "judged", "every", "doubles"),
    [
        (0, 0, 5, False),
        (0, 15, 5, False),
        (0, 20, 5, True),  # two sixteenths of 160 steps
        (0, 25, 5, False),
        (0, 60, 25, True),
        (17, 35, 5, False),
        (17, 37, 5, True),
        (40, 40, 40, False),  # it was lower when it was judged
        (0, 40, 40, True),
    ],
)
def test_it_doubles_with_each_sixteenth_of_the_patience(
    best: int, judged: int, every: int, doubles: bool, problem: Problem
) -> None:
    rows = fresh(problem.initial(0)[None], (), 0.0, PATIENCE, [0])
    rows = replace(rows, steps=rows.steps + judged + every, best_step=rows.steps + best)
    group = Group((3,), rows, 2)
    assert grown(group, [judged], every).doublings == (3 if doubles else 2)
    ended = replace(rows, end=rows.end + int(End.REACHED))
    assert grown(replace(group, rows=ended), [judged], every).doublings == 2  # it steps no more


@pytest.mark.parametrize("check_every", [50, 100])
def test_it_does_not_double_while_each_check_finds_a_lower_loss(
    check_every: int, problem: Problem
) -> None:
    trainer = trainer_on(VmappedBackend(problem), check_every=check_every)
    trainer.admit(Job(1, 0.0, seed=3), problem.initial(3))
    best = torch.inf
    for _ in range(4):
        trainer.advance()
        (row,) = trainer.rows
        assert row.loss < 0.99 * best
        best = row.loss
    assert [group.doublings for group in trainer.groups] == [0]


def test_small_mini_batches_get_stuck_where_growing_ones_come_to_the_target(
    problem: Problem,
) -> None:
    """At this rate one sample a step never comes as low as all samples do."""
    job, start = Job(1, 2e-5, seed=3), problem.initial(3)
    found = {}
    for grows in (False, True):
        trainer = trainer_on(VmappedBackend(problem), batch_size=1, grow_batch=grows)
        trainer.admit(job, start)
        found[grows] = run_to_end(trainer)[1]
    assert found[False].end in (End.STUCK, End.OUT_OF_STEPS) and found[False].loss > job.target
    assert found[True].end is End.REACHED
    loss = VmappedBackend(problem).losses(found[True].theta[None]).item()
    assert loss <= job.target and loss == pytest.approx(found[True].loss, rel=1e-5)


@pytest.mark.parametrize("hashed", [False, True], ids=["walks", "hashed"])
@pytest.mark.parametrize("kind", [VmappedBackend, InPlaceBackend])
def test_groups_with_mini_batches_of_several_sizes_go_on_as_each_alone(
    kind: type[VmappedBackend], hashed: bool, problem: Problem
) -> None:
    round_ = Round(Recipe(training(), hashed=hashed), len(problem.train), 1)
    groups = []
    for bead, doublings in enumerate([0, 3, 0, 1, 12]):
        rows = fresh(problem.initial(bead)[None], Recipe(training()).slots, 1e-3, 90, [bead])
        groups.append(Group((bead,), rows, doublings))
    backend = kind(problem)
    together = round_(backend, groups)
    for before, after in zip(groups, together, strict=True):
        (alone,) = round_(backend, [before])
        assert (after.beads, after.doublings) == (alone.beads, alone.doublings)
        assert after.rows.told == alone.rows.told
        torch.testing.assert_close(after.rows.theta, alone.rows.theta, rtol=1e-5, atol=1e-6)
        assert round_.size(before) == min(SIZE << before.doublings, len(problem.train))
    whole = Round(Recipe(training(batch_size="full")), len(problem.train), 1)
    (full,) = whole(backend, [groups[-1]])
    assert torch.equal(full.rows.theta, together[-1].rows.theta)


def test_a_restored_trainer_goes_on_with_its_grown_mini_batches(problem: Problem) -> None:
    def made() -> Trainer:
        return trainer_on(VmappedBackend(problem))

    trainer = made()
    for bead in (4, 5):
        trainer.admit(Job(bead, 1e-5, seed=bead, patience=40), problem.initial(bead))
    while not any(group.doublings for group in trainer.groups):
        trainer.advance()
    state = trainer.state
    again = unpack(TrainerState, pack(state), Path("checkpoint"))
    assert again.doublings == state.doublings and any(again.doublings)
    expected = run_to_end(trainer)
    restored = made()
    restored.resume(again)
    found = run_to_end(restored)
    for bead, row in expected.items():
        assert torch.equal(found[bead].theta, row.theta) and found[bead].steps == row.steps


def test_a_state_from_before_there_was_growth_has_none(problem: Problem) -> None:
    trainer = trainer_on(VmappedBackend(problem))
    trainer.admit(Job(4, 1e-5, seed=4), problem.initial(4))
    trainer.resume(replace(trainer.state, doublings=()))
    assert [group.doublings for group in trainer.groups] == [0]
    with pytest.raises(ValueError, match="doublings are of 2 groups, not 1"):
        replace(trainer.state, doublings=(0, 0))


def search_tree(**search: object) -> dict[str, object]:
    block = {
        "optimizer": {"kind": "adam", "lr": 0.01},
        "batch_size": 8,
        "grow_batch": True,
        "check_every": 10,
        "patience": 400,
        "max_steps": 4000,
    }
    return {
        "problem": {
            "data": {"kind": "polynomial", "coefficients": [0.1, 0.25, 0.5], "points": 300},
            "network": {"kind": "mlp", "sizes": [1, 4, 4, 1], "activation": "tanh"},
            "loss": "mse",
        },
        "endpoints": block,
        "search": {"level": 1e-4, "greedy": block} | search,
        "seed": 1,
        "device": "cpu",
        "workers": 1,
    }


def at_work(steps: int, **search: object) -> tuple[Costs, int, list[int]]:
    """What a search has cost after so many rounds, its bead-steps, and how often groups grew."""
    prepared = prepare(parse(search_tree(**search)))
    with Pool(prepared.backend, [torch.device("cpu")]) as pool:
        method = build_method(prepared.spec, pool)
        for _ in range(steps):
            method.step(None)
        stage = method.stages[0]
        assert isinstance(stage, EndpointTraining)
        doublings = [group.doublings for group in stage.trainer.groups]
        costs = method.progress().costs
        assert costs is not None
        return costs, method.bead_steps, doublings


def test_a_search_with_growing_mini_batches_connects_and_its_samples_are_counted() -> None:
    """Its steps see more samples than without growth, and fewer than all."""
    prepared = prepare(parse(search_tree()))
    with Pool(prepared.backend, [torch.device("cpu")]) as pool:
        method = build_method(prepared.spec, pool)
        run(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(method) <= 1e-4
        costs = method.progress().costs
    assert costs is not None
    assert 8 * method.bead_steps < costs.sample_gradients < 300 * method.bead_steps


def to_the_end(round_products: int, monkeypatch: pytest.MonkeyPatch, **keys: object) -> Trained:
    """What becomes of six rows in compiled rounds of about so many products."""
    monkeypatch.setattr(fused_backend, "ROUND_PRODUCTS", round_products)
    block = search_tree()["endpoints"]
    assert isinstance(block, dict)
    prepared = prepare(parse(search_tree(batching="fused", greedy=block | keys)))
    spec, backend = prepared.spec, prepared.backend
    pool = Metered(Here(backend))
    trainer = Trainer(recipe_of(spec, spec.search.greedy), pool)
    for bead in range(6):  # the last one ends at once
        target = 1.0 if bead == 5 else 2e-5
        trainer.admit(Job(bead, target, seed=70 + bead), backend.problem.initial(bead))
    rounds, grew = 0, dict.fromkeys(range(6), 0)
    ended: dict[int, Row] = {}
    while trainer.groups:
        trainer.advance()
        rounds += 1
        grew |= {group.beads[0]: group.doublings for group in trainer.groups}
        ended |= {row.bead: row for row in trainer.retire()}
    return Trained(ended, grew, pool.costs, rounds)


@pytest.mark.skipif(not available(), reason="numba cannot be imported")
@pytest.mark.parametrize("keys", [{}, {"max_steps": 777, "check_every": 50}, {"patience": 16}])
def test_the_length_of_compiled_rounds_changes_no_row(
    keys: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its bits, nor when its mini-batch doubles, nor what it has cost."""
    short = to_the_end(0, monkeypatch, **keys)
    longer = to_the_end(2**20, monkeypatch, **keys)
    assert longer.rounds < short.rounds / 2
    assert longer.grew == short.grew and any(short.grew.values())
    assert longer.costs == short.costs is not None
    for bead, row in short.ended.items():
        found = longer.ended[bead]
        assert (found.steps, found.loss, found.end) == (row.steps, row.loss, row.end)
        assert torch.equal(found.theta, row.theta)


def test_a_round_is_as_long_as_its_samples_are_worth() -> None:
    recipe = Recipe(training(batch_size=100, check_every=10), round_samples=10_000)
    found = [recipe.grown(doublings, 1000).checks(1000) for doublings in range(5)]
    assert found == [5, 3, 2, 1, 1]  # 1 000 samples judge, and 1 000, 2 000, … are for steps
    assert replace(recipe, round_samples=0).checks(1000) == 1
    assert replace(recipe, hashed=True).checks(1000) == 1
    round_ = Round(recipe, 1000, 10)
    group = Group((0,), fresh(torch.zeros(1, 3), (), 0.0, 9, [0]), 1)
    assert round_.size(group) == 200 * 10 * 3


@pytest.mark.parametrize(
    ("before", "after", "judged"),
    [(0, 5, 0), (0, 10, 5), (10, 25, 20), (10, 27, 25), (10, 10, 10), (3, 8, 3)],
)
def test_a_row_was_judged_before_its_last_steps(before: int, after: int, judged: int) -> None:
    assert judged_last(before, after, every=5) == judged


@pytest.mark.skipif(not available(), reason="numba cannot be imported")
def test_compiled_code_and_torch_grow_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """For so many rounds rounding does not matter, and one of the ends has begun to grow."""
    monkeypatch.setattr(fused_backend, "ROUND_PRODUCTS", 0)  # rounds as short as torch's
    compiled, in_torch = (
        at_work(ROUNDS, batching=batching, level=2e-6) for batching in ("fused", "vmap")
    )
    assert compiled == in_torch
    costs, steps, doublings = compiled
    assert any(doublings) and costs.sample_gradients > 8 * steps


@pytest.mark.parametrize(
    ("tree", "key", "words"),
    [
        ({"search": {"constrained": {"grow_batch": True}}}, "search.constrained", "together"),
        ({"endpoints": {"schedule": {"kind": "constant", "unit": "epochs"}}}, "endpoints", "unit"),
        ({"endpoints": {"drop_last": True}}, "endpoints", "drop_last"),
        ({"endpoints": {"until": "epochs", "epochs": 2}}, "endpoints", "until: level"),
        ({"endpoints": {"swa": 2}}, "endpoints", "without swa"),
    ],
)
def test_what_counts_in_equal_mini_batches_is_refused(
    tree: dict[str, dict[str, object]], key: str, words: str
) -> None:
    grows = search_tree()
    for block, keys in tree.items():
        grows[block] = {**grows[block], **keys}  # type: ignore[dict-item]
    with pytest.raises(InputError, match=words) as caught:
        check_method(parse(grows))
    assert caught.value.key == f"{key}.grow_batch"
