"""Steps with smoothed labels, changed images and dropout are those of a plain loop in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.backends.backend import Backend
from engine.backends.in_place import InPlaceBackend
from engine.backends.vmapped import VmappedBackend
from engine.data.base import ByImage, Dataset
from engine.problem.problem import Problem, build_problem
from engine.record.packing import pack, unpack
from engine.spec.augment import Augment
from engine.spec.problem import ProblemSpec
from engine.spec.training import Training
from engine.spec.validation import validated
from engine.steps.mini_batches import mini_batches
from engine.steps.practice import PLAIN, Practice, practice_of, row_keys, sample_keys
from engine.steps.recipe import Recipe
from engine.training.trainer import Job, Trainer, TrainerState
from tests.support.more import more
from tests.support.torch_recipes import TorchRecipe, changed, kept, standardized
from tests.support.trainers import run_to_end
from tests.support.workers import Here

SAMPLES, SIDE, CLASSES, WIDTH, SHARE = 26, 7, 3, 11, 0.3
WEIGHTS = (0.5, 2.0, 1.3)
AUGMENT = {"crop": 2, "flip": 0.4, "brightness": 40.0, "contrast": [0.3, 1.7]}
STEPS = 30


def data() -> Dataset:
    """Random images of which networks see a square in the middle, standardized each."""
    random = np.random.default_rng(8)
    x = random.integers(0, 256, (SAMPLES, 2, SIDE + 2, SIDE + 3)).astype(np.uint8)
    y = random.integers(0, CLASSES, SAMPLES)
    return Dataset(x, y, x[:5], y[:5], CLASSES, ByImage(), crop=SIDE)


@pytest.fixture(scope="module")
def problem() -> Problem:
    """A network with dropout on them, in float64, with weights of classes."""
    tree = {
        "data": {"kind": "cifar10"},  # whose keys are not read
        "network": {
            "kind": "mlp",
            "sizes": [2 * SIDE**2, WIDTH, CLASSES],
            "activation": "tanh",
            "dropout": SHARE,
        },
        "loss": {"kind": "cross_entropy", "class_weights": list(WEIGHTS)},
    }
    return build_problem(validated(ProblemSpec, tree), data()).to(dtype=torch.float64)


def training(**keys: Any) -> Training:
    tree = {
        "optimizer": {"kind": "sgd", "lr": 0.02, "momentum": 0.8, "nesterov": True},
        "schedule": {"kind": "cosine", "length": 50},
        "clip": {"norm": 0.4},
        "batch_size": 9,
        "check_every": 5,
        "max_steps": STEPS,
        "label_smoothing": 0.2,
        "augment": AUGMENT,
        "micro_batch": 4,
    }
    return validated(Training, tree | keys)


# ---------------------------------------------------------------- a plain loop


@dataclass(frozen=True)
class Plain:
    """A loop of steps of one model in torch alone."""

    problem: Problem
    training: Training
    seed: int

    def trained(self, theta: Tensor, steps: int) -> Tensor:
        """The weights after so many steps."""
        leaf = theta.clone()
        recipe = TorchRecipe(self.training, [leaf])
        for step in range(steps):
            recipe.step(self.gradient(leaf, step))
        return leaf

    def samples(self, step: int) -> list[int]:
        size = self.training.batch_size
        if size == "full":
            return list(range(SAMPLES))
        found: list[int] = mini_batches([self.seed], [step], 1, size, SAMPLES)[0, 0].tolist()
        return found

    def images(self, step: int, samples: Sequence[int]) -> Tensor:
        """Images as the step sees them, flat."""
        found = []
        for sample in samples:
            image = torch.from_numpy(data().x[sample]).double()
            if self.training.augment is None:
                image = image[:, 1 : 1 + SIDE, 1 : 1 + SIDE]
            else:
                image = changed(image, self.seed, step, sample, self.training.augment, SIDE)
            found.append(standardized(image).flatten())
        return torch.stack(found)

    def gradient(self, theta: Tensor, step: int) -> Tensor:
        leaf = theta.clone().requires_grad_()
        samples = self.samples(step)
        sizes = [WIDTH * 2 * SIDE**2, WIDTH, CLASSES * WIDTH, CLASSES]
        w1, b1, w2, b2 = torch.split(leaf, sizes)
        hidden = torch.tanh(self.images(step, samples) @ w1.view(WIDTH, -1).T + b1)
        if self.training.dropout is not False:
            mask = kept(self.seed, step, samples, 1, WIDTH, SHARE)
            hidden = hidden * mask / (1 - SHARE)
        loss = functional.cross_entropy(
            hidden @ w2.view(CLASSES, -1).T + b2,
            torch.from_numpy(data().y[samples]),
            weight=torch.tensor(WEIGHTS, dtype=torch.float64),
            label_smoothing=self.training.label_smoothing,
        )
        (grad,) = torch.autograd.grad(loss, leaf)
        return grad


def start(seed: int, problem: Problem) -> Tensor:
    return 2 * problem.initial(seed)


WAYS: dict[str, Callable[[Problem], Backend]] = {
    "vmap": partial(VmappedBackend, piece_bytes=40_000),
    "loop": InPlaceBackend,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "keys",
    [
        {},
        more({"batch_size": "full", "micro_batch": None}),
        more({"dropout": False}),
        {"augment": None, "micro_batch": 100},
    ],
    ids=str,
)
def test_rows_admitted_at_different_times_follow_a_plain_loop(
    way: str, keys: dict[str, Any], problem: Problem
) -> None:
    how = training(**keys)
    trainer = Trainer(Recipe(how), Here(WAYS[way](problem)))
    for seed in range(9):  # so many that they are computed together
        trainer.admit(Job(seed, 0.0, 70 + seed), start(seed, problem))
        if seed % 3 == 0:
            trainer.advance()
    ended = run_to_end(trainer)
    for seed in (0, 4, 8):
        expected = Plain(problem, how, 70 + seed).trained(start(seed, problem), STEPS)
        assert ended[seed].steps == STEPS
        torch.testing.assert_close(ended[seed].theta, expected, rtol=0, atol=1e-9)
    moved = (ended[8].theta - start(8, problem)).abs().max()
    assert moved > 0.01


def test_what_is_judged_has_none_of_it(problem: Problem) -> None:
    """The loss of the end is that of torch on the images' middles, with weights of classes."""
    for size in ("full", 9):
        how = training(batch_size=size, max_steps=5)
        trainer = Trainer(Recipe(how), Here(VmappedBackend(problem)))
        trainer.admit(Job(1, 0.0, 71), start(1, problem))
        (row,) = run_to_end(trainer).values()
        plain = Plain(problem, training(augment=None), 0)
        sizes = [WIDTH * 2 * SIDE**2, WIDTH, CLASSES * WIDTH, CLASSES]
        w1, b1, w2, b2 = torch.split(row.theta, sizes)
        hidden = torch.tanh(plain.images(0, range(SAMPLES)) @ w1.view(WIDTH, -1).T + b1)
        logits = hidden @ w2.view(CLASSES, -1).T + b2
        weight = torch.tensor(WEIGHTS, dtype=torch.float64)
        expected = functional.cross_entropy(logits, torch.from_numpy(data().y), weight=weight)
        assert row.loss == pytest.approx(expected.item(), rel=1e-12)


def test_a_resumed_training_takes_the_same_steps(problem: Problem) -> None:
    pool = Here(VmappedBackend(problem))
    whole, cut = (Trainer(Recipe(training()), pool) for _ in range(2))
    for trainer in (whole, cut):
        for seed in range(3):
            trainer.admit(Job(seed, 0.0, 70 + seed), start(seed, problem))
    for _ in range(3):
        cut.advance()
    resumed = Trainer(Recipe(training()), pool)
    resumed.resume(unpack(TrainerState, pack(cut.state), Path("a file")))
    expected, found = run_to_end(whole), run_to_end(resumed)
    for seed in range(3):
        assert torch.equal(found[seed].theta, expected[seed].theta)


def test_a_practice_says_whether_steps_see_what_is_judged(problem: Problem) -> None:
    plain = training(label_smoothing=0.0, augment=None, dropout=False, micro_batch=None)
    assert practice_of(plain, drops=True) == PLAIN
    assert practice_of(training(augment={}), drops=False).augment is None
    for keys in ({"dropout": True}, {"augment": {"flip": 0.5}}, {"label_smoothing": 0.1}):
        how = plain.model_copy(update={"batch_size": "full"})
        assert Recipe(how).sees_objective(problem)
        assert not Recipe(validated(Training, how.model_dump() | keys)).sees_objective(problem)
    pieces = practice_of(plain.model_copy(update={"micro_batch": 5}), drops=True)
    assert pieces.as_judged and not pieces.draws
    assert Practice(label_smoothing=0.1, augment=Augment(flip=0.5), dropout=True).words == (
        "label_smoothing, augment and dropout"
    )


def test_keys_differ_between_seeds_steps_and_samples() -> None:
    rows = row_keys(torch.tensor([5, 6, 5]), torch.tensor([0, 0, 1]))
    numbers = torch.tensor([[3, 4], [3, 4], [3, 4]])
    assert len(set(sample_keys(rows, numbers).flatten().tolist())) == 6
