"""Small problems with random paths, and their models in plain torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import vector_to_parameters

from engine.data import Dataset
from engine.problem.problem import Problem, build_problem
from engine.quantities import quantity
from engine.quantities.base import Found, Measurement
from engine.quantities.models import OneByOne
from engine.quantities.path import Path, path_of
from engine.record.quantity import Table
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.workers import Here

MLP: dict[str, Any] = {"kind": "mlp", "sizes": [6, 7, 5, 3]}
NORMALIZED: dict[str, Any] = {
    "kind": "cnn",
    "input": [1, 2, 3],
    "layers": [
        {"kind": "conv", "channels": 4, "norm": "batch"},
        {"kind": "conv", "channels": 3, "norm": "batch"},
    ],
    "outputs": 3,
}
LSTM: dict[str, Any] = {"kind": "lstm", "vocabulary": 5, "embedding": 3, "hidden": 4}


def drawn_problem(
    network: dict[str, Any] = MLP,
    loss: Any = "cross_entropy",
    train: int = 37,
    held_out: int = 11,
    **more: Any,
) -> Problem:
    """A problem of random samples: six values and one of three classes, or tokens for an LSTM."""
    rng = np.random.default_rng(7)
    count = train + held_out
    x: NDArray[Any] = rng.normal(size=(count, 6)).astype(np.float32)
    y, classes = rng.integers(0, 3, count), 3
    if network["kind"] == "lstm":
        text = rng.integers(0, 5, (count, 8))
        x, y, classes = text[:, :-1], text[:, 1:], 5
    if network["kind"] == "cnn":
        x = x.reshape(count, 1, 2, 3)
    data = Dataset(x[:train], y[:train], x[train:], y[train:], classes)
    tree = {"data": {"kind": "digits"}, "network": network, "loss": loss} | more
    return build_problem(validated(ProblemSpec, tree), data)


def drawn_beads(problem: Problem, count: int = 4, scale: float = 1.0) -> NDArray[np.float32]:
    """Random beads, whose segments differ in length."""
    beads = [scale * (1 + 0.3 * seed) * problem.initial(seed) for seed in range(count)]
    return torch.stack(beads).numpy()


def path_through(problem: Problem, beads: NDArray[Any], between: int = 0) -> Path:
    return path_of(beads, None, problem.parameter_count, between)


def measurement(
    problem: Problem, beads: NDArray[Any], between: int = 0, seed: int = 5
) -> Measurement:
    path = path_through(problem, beads, between)
    return Measurement(path, Here(OneByOne(problem)), torch.float64, seed)


def found_of(name: str, problem: Problem, beads: NDArray[Any], between: int = 0) -> Found:
    return quantity(name).measured(measurement(problem, beads, between))


def check_pieces(name: str, problem: Problem, beads: NDArray[Any]) -> tuple[Found, Found]:
    """A quantity as a whole, and in pieces of three samples with two points between each two beads.

    Their series are the same at the beads, and have no numbers between.
    """
    whole, on = found_of(name, problem, beads), measurement(problem, beads, between=2)
    small = OneByOne(problem, piece_bytes=3 * 8 * problem.cost.values)
    assert len(small.to(on.dtype).bounds(problem.held_out)) > 2
    cut = quantity(name).measured(replace(on, pool=Here(small)))
    for one, other in zip(whole.series, cut.series, strict=True):
        np.testing.assert_allclose(np.array(other.values)[::3], one.values, rtol=1e-9, atol=1e-12)
        assert np.isnan(np.array(other.values)[1::3]).all()
    return whole, cut


def values(found: Found, key: str) -> NDArray[np.float64]:
    """The values of the series of that key."""
    (series,) = (each for each in found.series if each.key == key)
    return np.array(series.values)


def row(table: Table | None, words: str) -> NDArray[np.float64]:
    """The values of the row of that name."""
    assert table is not None
    (found,) = (each for each in table.rows if each.words == words)
    return np.array(found.values)


def plain(problem: Problem, theta: Any) -> nn.Module:
    """A model as a user makes it: a fresh module with these weights, in float64 and eval mode.

    Batch normalization has statistics of all training samples in one batch.
    """
    network = problem.make_network().double()
    vector_to_parameters(torch.tensor(np.asarray(theta), dtype=torch.float64), network.parameters())
    norms = [each for each in network.modules() if isinstance(each, _BatchNorm)]
    for each in norms:
        each.momentum = None
        each.reset_running_stats()
    if norms:
        network.train()
        with torch.no_grad():
            network(inputs(problem, "train")[0])
    return network.eval().requires_grad_(True)


def inputs(problem: Problem, split: Any) -> tuple[Tensor, Tensor]:
    """All samples of a split, in float64."""
    x, y = problem.samples(split).part(slice(None), torch.float64)
    return x, y


def put_out(problem: Problem, theta: Any, split: Any) -> NDArray[np.float64]:
    """A model's outputs for all samples of a split."""
    with torch.no_grad():
        return np.asarray(plain(problem, theta)(inputs(problem, split)[0]))
