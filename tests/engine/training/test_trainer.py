"""The batch with slots: rows end where they should and never depend on their batch mates."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest
import torch

from engine.backends.in_place import InPlaceBackend
from engine.breaks import Part, computing
from engine.problem.problem import Problem
from engine.spec.level import LevelOn
from engine.spec.training import Training
from engine.spec.validation import validated
from engine.steps.groups import Row
from engine.steps.recipe import Recipe
from engine.steps.rows import End
from engine.training.trainer import Job, Trainer, TrainerState
from engine.workers.pool import Item, Pool, Repeated, Result, Task
from tests.support.landscapes import landscape, ring
from tests.support.small_problem import small_problem
from tests.support.trainers import run_to_end
from tests.support.workers import Here, vmapped

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def pool(
    problem: Problem, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pool]:
    monkeypatch.setattr("engine.backends.torch_backend.WORTH_A_THREAD", 1)
    with Pool(vmapped(problem), [CPU] * request.param) as pool:
        yield pool


class Counting(Here):
    """Does a round at once; `counts` gets the samples that it says, and those that it passes."""

    counts: ClassVar[list[tuple[int, int]]] = []

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        assert isinstance(task, Repeated)
        part = Part(threading.Event())
        with computing(part):
            found = super().run(task, items)
        self.counts.append((sum(map(task.passed, items)), part.done))
        return found


@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize("batch_size", ["full", 16])
def test_a_round_passes_as_many_samples_as_it_says(
    batch_size: str | int, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[tuple[int, int]] = []
    monkeypatch.setattr(Counting, "counts", counts)
    problem = small_problem().with_objective(validated(LevelOn, {"split": split}), 20)
    how = training(batch_size=batch_size, check_every=7)
    trainer = Trainer(Recipe(how), Counting(vmapped(problem)))
    for bead in (1, 2):
        trainer.admit(Job(bead, -1.0, seed=bead), problem.initial(bead))
    trainer.advance()
    ((said, passed),) = counts
    assert passed == said > 0


def training(**keys: object) -> Training:
    tree = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 400, "patience": 400} | keys
    return validated(Training, tree)


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


@pytest.mark.parametrize("joined", [0, 2**20], ids=["in parts", "joined"])
@pytest.mark.parametrize("batch_size", ["full", 16])
def test_a_restored_trainer_goes_on_to_the_same_bits(
    problem: Problem,
    pool: Pool,
    batch_size: str | int,
    joined: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.training.trainer.JOINED", joined)

    def fresh() -> Trainer:
        return Trainer(Recipe(training(batch_size=batch_size)), pool)

    trainer = fresh()
    for bead in (4, 5):
        trainer.admit(Job(bead, 5e-4, seed=bead), problem.initial(bead))
    trainer.advance()
    state = trainer.state
    assert len(state.rows) == (1 if joined else 2)
    expected = run_to_end(trainer)  # which leaves the rows of the state as they are

    restored = fresh()
    restored.resume(state)
    found = run_to_end(restored)
    assert restored.bead_steps == trainer.bead_steps == sum(r.steps for r in found.values())
    for bead, row in expected.items():
        assert torch.equal(found[bead].theta, row.theta)
        assert (found[bead].steps, found[bead].loss) == (row.steps, row.loss)


def test_parts_that_cut_a_group_are_refused(problem: Problem, pool: Pool) -> None:
    trainer = Trainer(Recipe(training()), pool)
    for bead in (4, 5, 6):
        trainer.admit(Job(bead, 5e-4, seed=bead), problem.initial(bead))
    (rows,) = trainer.state.rows
    parts = (rows.part(slice(0, 2)), rows.part(slice(2, 3)))
    assert TrainerState(0, (4, 5, 6), (2, 1), parts).parts[0][0] is parts[0]
    assert [
        len(each) for part in TrainerState(0, (4, 5, 6), (1, 1, 1), parts).parts for each in part
    ] == [1, 1, 1]
    with pytest.raises(ValueError, match="sizes cut a group into two parts"):
        TrainerState(0, (4, 5, 6), (1, 2), parts)


def test_as_many_rows_train_at_once_as_memory_holds(
    problem: Problem, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(Recipe(training()), pool)  # adam: two tensors beside the weights
    vector = 4 * problem.parameter_count
    for limit, most in ((vector, 1), (2 * 3 * vector, 1), (5 * 2 * 3 * vector, 5)):
        monkeypatch.setattr("engine.training.trainer.ROWS_BYTES", limit)
        assert trainer.most_rows == most


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
