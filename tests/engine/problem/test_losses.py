"""Losses of single samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import TorchBackend
from engine.backends.vmapped import VmappedBackend
from engine.data.base import Dataset
from engine.errors import InputError
from engine.problem.losses import LOSSES, CrossEntropy, never_negative, smoothed
from engine.problem.problem import Problem, Split, build_problem
from engine.run.plain_torch import PlainTorch
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.steps.practice import PLAIN
from tests.support.kinds import factory


def test_losses_against_numpy() -> None:
    output, target = np.array([[0.3, -1.2], [2.0, 0.5]]), np.array([[0.1, 0.4], [1.0, -0.5]])
    a, b = torch.from_numpy(output), torch.from_numpy(target)
    assert LOSSES["mse"](a, b).tolist() == pytest.approx(((output - target) ** 2).sum(1))
    assert LOSSES["l1"](a, b).tolist() == pytest.approx(abs(output - target).sum(1))
    softmax = np.exp(output) / np.exp(output).sum(1, keepdims=True)
    entropy = -np.log(softmax[[0, 1], [1, 0]])
    assert LOSSES["cross_entropy"](a, torch.tensor([1, 0])).tolist() == pytest.approx(entropy)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, (0.25, 3.0, 1.2)], ids=str)
def test_weighted_and_smoothed_losses_are_torchs(
    weights: tuple[float, ...] | None, smoothing: float
) -> None:
    """Over classes and over tokens; outputs beyond the classes have the weight 1."""
    random = torch.Generator().manual_seed(2)
    loss = CrossEntropy(weights, smoothing)
    for shape in ((40,), (10, 6)):
        output = torch.randn(shape[0], 4, *shape[1:], generator=random, dtype=torch.float64)
        target = torch.randint(3, shape, generator=random)
        given = None if weights is None else torch.tensor((*weights, 1.0), dtype=torch.float64)
        expected = functional.cross_entropy(
            output, target, weight=given, label_smoothing=smoothing
        ).item()
        found = loss(output, target).sum() / loss.weight(target).sum()
        assert found.item() == pytest.approx(expected, rel=1e-12)


def test_only_the_cross_entropy_is_smoothed() -> None:
    assert smoothed(LOSSES["mse"], 0.0) is LOSSES["mse"]
    assert smoothed(LOSSES["cross_entropy"], 0.1) == CrossEntropy(None, 0.1)
    assert smoothed(CrossEntropy((1.0, 2.0)), 0.1) == CrossEntropy((1.0, 2.0), 0.1)
    assert never_negative(CrossEntropy()) and never_negative(LOSSES["l1"])
    assert not never_negative(lambda output, target: output)


# ---------------------------------------------------------------- weights of classes, in pieces

WEIGHTED = {"kind": "cross_entropy", "class_weights": [0.2, 5.0, 1.5]}


def weighted_problem() -> Problem:
    """Uneven classes, of which each piece has other shares."""
    random = np.random.default_rng(1)
    x = random.standard_normal((90, 5)).astype(np.float32)
    y = np.sort(random.integers(0, 3, 90))
    tree = {
        "data": {"kind": "digits"},  # whose keys are not read
        "network": {"kind": "mlp", "sizes": [5, 6, 3], "activation": "tanh"},
        "loss": WEIGHTED,
    }
    data = Dataset(x[:70], y[:70], x[70:], y[70:], 3)
    return build_problem(validated(ProblemSpec, tree), data).to(dtype=torch.float64)


def mean_of(problem: Problem, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The weighted mean by torch's own function, for one weight vector."""
    w1, b1, w2, b2 = torch.split(theta, [30, 6, 18, 3])
    logits = torch.tanh(x @ w1.view(6, 5).T + b1) @ w2.view(3, 6).T + b2
    weight = torch.tensor(WEIGHTED["class_weights"], dtype=torch.float64)
    return functional.cross_entropy(logits, y, weight=weight)


@pytest.mark.parametrize("piece_bytes", [600, 2**28], ids=["in pieces", "at once"])
@pytest.mark.parametrize("way", [VmappedBackend, InPlaceBackend])
def test_the_judged_loss_is_the_weighted_mean_of_torch(
    way: type[TorchBackend], piece_bytes: int
) -> None:
    problem = weighted_problem()
    backend = way(problem, piece_bytes)
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    splits: tuple[Split, ...] = ("train", "held_out")
    for split in splits:
        samples = problem.samples(split)
        expected = [mean_of(problem, row, samples.x.double(), samples.y) for row in theta]
        found = backend.losses(theta, split)
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=0)
        bound = found.clone()
        bound[::2] *= 0.3  # some are given up, and then their values are beyond the bound
        given_up = backend.losses(theta, split, bound)
        assert (given_up[::2] > bound[::2]).all()
        torch.testing.assert_close(given_up[1::2], found[1::2], rtol=1e-12, atol=0)
    errors = backend.error_rates(theta)
    assert torch.equal((errors * 70).round() / 70, errors)  # shares of samples, not of weights


def tagging(weights: object, held_out: int = 20) -> Problem:
    """Tokens of three classes, of which a third has none, and a sample that has none at all."""
    random = np.random.default_rng(3)
    x = random.integers(0, 7, (60, 5))
    y = np.where(random.random((60, 5)) < 0.3, -100, random.integers(0, 3, (60, 5)))
    y[4] = -100
    cut = len(x) - held_out
    tree = {
        "data": {"kind": "digits"},  # whose keys are not read
        "network": {"kind": "custom"} | factory("Tagger"),
        "loss": weights or "cross_entropy",
    }
    data = Dataset(x[:cut], y[:cut], x[cut:], y[cut:], 3)
    return build_problem(validated(ProblemSpec, tree), data).to(dtype=torch.float64)


@pytest.mark.parametrize("piece_bytes", [600, 2**28], ids=["in pieces", "at once"])
@pytest.mark.parametrize("weights", [None, WEIGHTED], ids=["plain", "weighted"])
@pytest.mark.parametrize("way", [VmappedBackend, InPlaceBackend])
def test_what_has_no_class_is_passed_over_as_by_torch(
    way: type[TorchBackend], weights: object, piece_bytes: int
) -> None:
    problem = tagging(weights)
    backend = way(problem, piece_bytes)
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    given = torch.tensor(WEIGHTED["class_weights"], dtype=torch.float64) if weights else None
    splits: tuple[Split, ...] = ("train", "held_out")
    for split in splits:
        x, y = (part.long() for part in (problem.samples(split).x, problem.samples(split).y))
        logits = [scores(problem, row, x) for row in theta]
        expected = [functional.cross_entropy(each, y, weight=given) for each in logits]
        found = backend.losses(theta, split)
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=0)
        wrong = [(each.argmax(1) != y)[y >= 0].double().mean() for each in logits]
        torch.testing.assert_close(backend.error_rates(theta, split), torch.stack(wrong))
    numbers = torch.tensor([[4, 7, 9], [4, 4, 4]]).repeat(5, 1)[:9]
    loss, grad = backend.practised(theta, numbers, PLAIN)
    assert (loss[1::2] == 0).all() and (grad[1::2] == 0).all()  # of a sample without any class
    x, y = problem.train.x[[4, 7, 9]].long(), problem.train.y[[4, 7, 9]].long()
    expected = [functional.cross_entropy(scores(problem, r, x), y, weight=given) for r in theta]
    torch.testing.assert_close(loss[::2], torch.stack(expected)[::2], rtol=1e-12, atol=0)


def scores(problem: Problem, theta: Tensor, x: Tensor) -> Tensor:
    """What the network computes, written out."""
    words, weight, bias = torch.split(theta, [28, 12, 3])
    return (torch.tanh(words.view(7, 4)[x]) @ weight.view(3, 4).T + bias).transpose(1, 2)


@pytest.mark.parametrize("piece_bytes", [2_000, 2**28], ids=["in pieces", "at once"])
def test_gradients_are_those_of_the_weighted_mean(piece_bytes: int) -> None:
    problem = weighted_problem()
    backend = VmappedBackend(problem, piece_bytes)
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    numbers = torch.stack([torch.randperm(70)[:13] for _ in range(9)])
    x, y = problem.train.x.double(), problem.train.y
    for batches in (None, numbers):
        found = backend.practised(theta, batches, PLAIN)
        for row, (loss, grad) in enumerate(zip(*found, strict=True)):
            leaf = theta[row].clone().requires_grad_()
            some = slice(None) if batches is None else batches[row]
            expected = mean_of(problem, leaf, x[some], y[some])
            (slopes,) = torch.autograd.grad(expected, leaf)
            torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
            torch.testing.assert_close(grad, slopes, rtol=1e-9, atol=1e-12)


def test_plain_torch_finds_the_same_weighted_mean() -> None:
    problem = weighted_problem()
    spec = validated(
        ProblemSpec,
        {
            "data": {"kind": "digits"},
            "network": {"kind": "mlp", "sizes": [5, 6, 3], "activation": "tanh"},
            "loss": WEIGHTED,
        },
    )
    theta = problem.initial(4)
    found = PlainTorch(spec, problem).value(theta, LevelOn(split="held_out"))
    expected = VmappedBackend(problem).losses(theta[None], "held_out").item()
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_weight_is_given_for_each_class() -> None:
    tree = {
        "data": {"kind": "digits"},
        "network": {"kind": "mlp", "sizes": [64, 10]},
        "loss": WEIGHTED,
    }
    with pytest.raises(InputError, match="has 3 weights, but the data have 10 classes"):
        build_problem(validated(ProblemSpec, tree))
