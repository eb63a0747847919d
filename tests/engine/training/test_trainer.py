"""The batch with slots: rows end where they should and never depend on their batch mates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from engine.backends.backend import Backend
from engine.backends.in_place import InPlaceBackend
from engine.problem.problem import Problem, build_problem
from engine.spec.keys import ProblemSpec, Training
from engine.spec.validation import validated
from engine.steps.mini_batches import sample_numbers
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Row
from engine.training.trainer import Job, Trainer
from engine.workers.pool import Pool
from tests.support.landscapes import landscape, ring
from tests.support.workers import vmapped

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def problem() -> Problem:
    tree = {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 50},
        "network": {"kind": "mlp", "sizes": [1, 4, 4, 1], "activation": "tanh"},
        "loss": "mse",
    }
    return build_problem(validated(ProblemSpec, tree))


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def pool(
    problem: Problem, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pool]:
    monkeypatch.setattr("engine.backends.torch_backend.WORTH_A_THREAD", 1)
    with Pool(vmapped(problem), [CPU] * request.param) as pool:
        yield pool


def training(**keys: object) -> Training:
    tree = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 400, "patience": 400} | keys
    return validated(Training, tree)


def run_to_end(trainer: Trainer) -> dict[int, Row]:
    ended: dict[int, Row] = {}
    while trainer.rows:
        trainer.advance()
        ended |= {row.bead: row for row in trainer.retire()}
    return ended


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_a_row_does_not_depend_on_who_shares_its_batch(
    problem: Problem, pool: Pool, batch_size: str | int
) -> None:
    how = training(batch_size=batch_size, check_every=7)
    job, start = Job(5, 2e-3, seed=11), problem.initial(5)
    alone = Trainer(Recipe(how), pool)
    alone.admit(job, start)
    expected = run_to_end(alone)[5]

    shared = Trainer(Recipe(how), pool)
    shared.admit(Job(1, 1e-3, seed=3), problem.initial(1))
    shared.admit(Job(2, 5e-2, seed=4), problem.initial(2))
    for _ in range(3):
        shared.advance()
    shared.admit(job, start)
    shared.admit(Job(3, 2e-2, seed=6), problem.initial(3))
    found = run_to_end(shared)[5]

    assert expected.end is found.end is End.REACHED
    assert found.steps == expected.steps > 20
    torch.testing.assert_close(found.theta, expected.theta, rtol=1e-4, atol=1e-5)


def test_with_all_data_a_row_stops_at_the_very_step_that_reaches_its_target(
    problem: Problem, pool: Pool
) -> None:
    target = 5e-3
    trainer = Trainer(Recipe(training(check_every=50)), pool)
    trainer.admit(Job(1, target, seed=2), problem.initial(4))
    row = run_to_end(trainer)[1]

    leaf = torch.nn.Parameter(problem.initial(4))
    adam = torch.optim.Adam([leaf], lr=0.02)
    steps = 0
    while True:
        loss, grad = vmapped(problem).loss_and_grad(leaf.detach()[None])
        if loss.item() <= target:
            break
        leaf.grad = grad[0]
        adam.step()
        steps += 1
    assert row.steps == steps
    torch.testing.assert_close(row.theta, leaf.detach(), rtol=1e-4, atol=1e-5)
    assert vmapped(problem).losses(row.theta[None]).item() == pytest.approx(row.loss, rel=1e-6)


def test_a_start_below_the_target_takes_no_step(problem: Problem, pool: Pool) -> None:
    start = problem.initial(4)
    loss = vmapped(problem).losses(start[None]).item()
    trainer = Trainer(Recipe(training()), pool)
    trainer.admit(Job(1, loss * 1.01, seed=2), start)
    trainer.advance()
    (row,) = trainer.retire()
    assert (row.end, row.steps) == (End.REACHED, 0)
    assert torch.equal(row.theta, start)


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_a_row_that_misses_its_target_says_how(
    problem: Problem, pool: Pool, batch_size: str | int
) -> None:
    trainer = Trainer(Recipe(training(max_steps=33, batch_size=batch_size)), pool)
    trainer.admit(Job(1, 1e-12, seed=2), problem.initial(4))
    row = run_to_end(trainer)[1]
    assert (row.end, row.steps) == (End.OUT_OF_STEPS, 33)


def test_a_dead_network_is_given_up_after_its_patience(problem: Problem, pool: Pool) -> None:
    trainer = Trainer(Recipe(training(optimizer={"kind": "sgd", "lr": 1e-9}, patience=25)), pool)
    trainer.admit(Job(1, 1e-6, seed=2), problem.initial(4))
    row = run_to_end(trainer)[1]
    assert (row.end, row.steps) == (End.STUCK, 25)


@pytest.mark.parametrize("batch_size", ["full", 3])
def test_a_loss_that_is_not_finite_ends_its_row_alone(batch_size: str | int) -> None:
    valley = landscape(ring)
    how = training(optimizer={"kind": "sgd", "lr": 0.02}, batch_size=batch_size)
    with Pool(vmapped(valley), [CPU]) as pool:
        trainer = Trainer(Recipe(how), pool)
        trainer.admit(Job(1, 1e-3, seed=2), torch.tensor([90.0, 60.0]))
        trainer.admit(Job(2, 1e-3, seed=3), torch.tensor([0.4, 0.3]))
        ended = run_to_end(trainer)
    assert ended[1].end is End.DIVERGED
    assert ended[2].end is End.REACHED


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_a_restored_trainer_goes_on_to_the_same_bits(
    problem: Problem, pool: Pool, batch_size: str | int
) -> None:
    def fresh() -> Trainer:
        return Trainer(Recipe(training(batch_size=batch_size)), pool)

    trainer = fresh()
    for bead in (4, 5):
        trainer.admit(Job(bead, 5e-4, seed=bead), problem.initial(bead))
    trainer.advance()
    tensors, plain = trainer.save()
    expected = run_to_end(trainer)

    restored = fresh()
    restored.restore(tensors, plain)
    found = run_to_end(restored)
    assert restored.bead_steps == trainer.bead_steps == sum(r.steps for r in found.values())
    for bead, row in expected.items():
        assert torch.equal(found[bead].theta, row.theta)
        assert (found[bead].steps, found[bead].loss) == (row.steps, row.loss)


def test_the_stream_of_samples_passes_through_all_of_them() -> None:
    stream = sample_numbers(9, 0, 30, samples=10)
    for epoch in range(3):
        assert sorted(stream[10 * epoch : 10 * epoch + 10].tolist()) == list(range(10))
    assert stream[:10].tolist() != stream[10:20].tolist()
    np.testing.assert_array_equal(sample_numbers(9, 7, 16, samples=10), stream[7:23])
    assert sample_numbers(8, 0, 30, samples=10).tolist() != stream.tolist()


@dataclass(frozen=True)
class Echo:
    """A task that gives its items back, or fails where it meets one."""

    fails_at: int | None = None

    def size(self, item: int) -> int:
        return 10**7

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[tuple[int, ...]]:
        if self.fails_at in items:
            raise ArithmeticError(f"item {self.fails_at}")
        return [tuple(items)] * len(items)


def test_an_exception_in_a_worker_comes_back(pool: Pool) -> None:
    with pytest.raises(ArithmeticError, match="item 3"):
        pool.run(Echo(fails_at=3), [3])


def test_shards_are_even_and_in_order(problem: Problem) -> None:
    with Pool(vmapped(problem), [CPU] * 3) as pool:
        assert pool.shards(range(7), 7 * [10**7]) == [range(0, 2), range(2, 5), range(5, 7)]
        assert pool.shards(range(7), 7 * [1]) == [range(0, 7)]
        assert pool.shards(range(2), 2 * [10**7]) == [range(0, 1), range(1, 2)]
        assert pool.run(Echo(), range(7)) == [(0, 1)] * 2 + [(2, 3, 4)] * 3 + [(5, 6)] * 2


def test_items_of_unequal_size_are_cut_evenly(problem: Problem) -> None:
    """One long item is as much as all the short ones before it."""
    sizes = [10**7] * 6 + [6 * 10**7]
    with Pool(vmapped(problem), [CPU] * 2) as pool:
        assert pool.shards(range(7), sizes) == [range(0, 6), range(6, 7)]
        assert pool.shards(range(7), sizes[::-1]) == [range(0, 1), range(1, 7)]


def test_faster_workers_get_more_once_all_speeds_are_known(problem: Problem) -> None:
    """As GPUs of two kinds would: the second does three times as many samples a second."""
    sizes = [10**7] * 8
    with Pool(vmapped(problem), [CPU] * 2) as pool:
        pool._learn(1, 300.0)
        assert pool.shards(range(8), sizes) == [range(0, 4), range(4, 8)]
        pool._learn(0, 100.0)
        assert pool.shards(range(8), sizes) == [range(0, 2), range(2, 8)]
        for _ in range(30):  # it is slowed down by something else
            pool._learn(1, 100.0)
        assert pool.shards(range(8), sizes) == [range(0, 4), range(4, 8)]


def test_rows_of_large_networks_take_their_rounds_one_after_another(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same result, and no more than one of them in memory twice."""
    how = training(batch_size=16, check_every=7, max_steps=60)
    ends: list[dict[int, Row]] = []
    stacked: list[int] = []
    objective = InPlaceBackend.objective

    def counting(self: InPlaceBackend, theta: torch.Tensor, *bound: torch.Tensor) -> torch.Tensor:
        stacked.append(len(theta))
        return objective(self, theta, *bound)

    monkeypatch.setattr(InPlaceBackend, "objective", counting)
    for large in (10**9, 1):
        monkeypatch.setattr("engine.backends.in_place.LARGE", large)
        stacked.clear()
        with Pool(InPlaceBackend(problem), [CPU]) as pool:
            trainer = Trainer(Recipe(how), pool)
            for bead in range(5):
                trainer.admit(Job(bead, 1e-4, seed=bead), problem.initial(bead))
            ends.append(run_to_end(trainer))
        assert max(stacked) == (1 if large == 1 else 5)
    for bead in range(5):
        together, alone = (end[bead] for end in ends)
        assert (together.end, together.steps) == (alone.end, alone.steps)
        torch.testing.assert_close(together.theta, alone.theta, rtol=1e-6, atol=1e-7)
