"""Pairs of models, trained a little by plain torch, and what plain torch measures between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.data.digits import DigitsData
from engine.problem.problem import build_problem
from engine.record.geometry import BeadString
from engine.record.string_file import Header, StringFile
from engine.spec.problem import ProblemSpec

Split = tuple[Tensor, Tensor]
Model = Callable[[Tensor], Tensor]
Pair = tuple[nn.Module, nn.Module]
Vector = NDArray[np.float64]


def digits() -> tuple[Split, Split]:
    """The digits to train on and those held out, in float64."""
    held = DigitsData(kind="digits").read()
    pairs = ((held.x, held.y), (held.x_held_out, held.y_held_out))
    train, test = ((torch.from_numpy(x).double(), torch.from_numpy(y)) for x, y in pairs)
    return train, test


def estimating(x: Tensor) -> Tensor:
    """The 1024 samples from which a new run of a preset takes statistics."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order[:1024].sort().values]


def mlp(sizes: tuple[int, ...]) -> nn.Module:
    """A fully connected network whose parameters have the engine's names."""
    layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
    network = nn.Module()
    network.layers = layers
    return network


def trained(make: Callable[[], nn.Module], forward: Callable[..., Tensor], seed: int) -> nn.Module:
    """A model after a few steps on the digits."""
    torch.manual_seed(seed)
    model = make()
    (x, y), _ = digits()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(25):
        optimizer.zero_grad()
        functional.cross_entropy(forward(model, x.float()), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model


def saved(models: Pair, folder: Path) -> tuple[str, str]:
    """The checkpoints of two models, made in a folder."""
    for name, model in zip("ab", models, strict=True):
        torch.save(model.state_dict(), folder / f"{name}.pt")
    return str(folder / "a.pt"), str(folder / "b.pt")


def drawn(count: int, scale: float = 0.3, seed: int = 0) -> tuple[Vector, Vector]:
    """Two weight vectors of so many normal numbers."""
    draw = np.random.default_rng(seed)
    return draw.normal(0, scale, count), draw.normal(0, scale, count)


def between(one: nn.Module, other: nn.Module, t: float) -> dict[str, Tensor]:
    """The parameters at t between two models, in float64."""
    theirs = dict(other.named_parameters())
    return {
        name: ((1 - t) * mine.double() + t * theirs[name].double()).detach()
        for name, mine in one.named_parameters()
    }


def scores(model: Model, splits: tuple[Split, Split]) -> list[float]:
    """Training loss, training error, held-out loss and held-out error of a model."""
    found = []
    with torch.no_grad():
        for x, y in splits:
            output = model(x)
            found.append(functional.cross_entropy(output, y).item())
            found.append((output.argmax(1) != y).double().mean().item())
    return found


def definitions(t: Vector, values: Vector) -> tuple[float, float, float]:
    """The peak, the peak over the mean of the ends, and that over their interpolation."""
    chord = (1 - t) * values[0] + t * values[-1]
    peak = float(values.max())
    return peak, peak - float(values[0] + values[-1]) / 2, float((values - chord).max())


def string_of(problem: ProblemSpec, count: int = 3, seed: int = 0) -> StringFile:
    """A string of random beads, with ids that are not in order."""
    made = build_problem(problem)
    draw = np.random.default_rng(seed)
    beads = draw.normal(0, 0.5, (count, made.parameter_count)).astype(np.float32)
    header = Header(
        outcome="running",
        level=0.1,
        alpha=0.8,
        method="greedy",
        seed=0,
        problem=problem,
        parameters=tuple((each.name, each.shape) for each in made.parameters),
        data_sha256=made.checksum,
        bead_ids=(1, *range(17, 17 + count - 2), 2),
        elapsed_s=1.0,
    )
    t = np.array([0.0, 0.5, 1.0])
    string = BeadString(beads, np.ones(count), t, np.ones((count - 1, 3)))
    return StringFile(header, string)
