"""Whole rounds by the kernels of Triton, in its interpreter, beside compiled rounds on the CPU.

A process takes to the interpreter when Triton is imported, so it has one of its own:
TRITON_INTERPRET=1 python -m tests.support.triton_cases. It prints a `Found` for each case, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from engine.backends.fused.layout import Layout
from engine.backends.fused.problem import FusedProblem
from engine.backends.triton_rounds.problem import TritonProblem
from engine.spec.optimizers import Optimizer
from engine.spec.training import Training
from engine.steps.judge import IMPROVEMENT
from engine.steps.mini_batches import mini_batches
from engine.steps.optimizers import build_optimizer
from engine.steps.rows import Rows, fresh, joined
from tests.support.torch_recipes import BLOCKS, OPTIMIZERS

ROUNDING = 1e-6
SAMPLES = 41
SMALL = Layout((2, 3, 2), True, "tanh", "identity", "mse")

#: Each activation, output and loss, with biases and without, narrow networks and wide ones.
LAYOUTS = [
    SMALL,
    Layout((1, 4, 4, 1), False, "sigmoid", "sigmoid", "l1"),
    Layout((1, 4, 4, 1), True, "relu", "identity", "mse"),
    Layout((2, 3, 3), True, "relu", "identity", "cross_entropy"),
    Layout((3, 5), False, "relu", "tanh", "cross_entropy"),
    Layout((3, 2, 3), True, "identity", "relu", "l1"),
    Layout((6, 8, 8, 3), False, "identity", "identity", "mse"),
    Layout((5, 17, 3), True, "tanh", "sigmoid", "mse"),
    Layout((20, 9, 5), True, "relu", "identity", "cross_entropy"),
]


@dataclass(frozen=True)
class Case:
    layout: Layout = SMALL
    optimizer: Optimizer = field(default_factory=lambda: OPTIMIZERS["adam"])
    keys: dict[str, Any] = field(default_factory=dict)
    batch: int | None = None
    exempt: bool = False
    """Whether every other weight does not decay."""


@dataclass(frozen=True)
class Found:
    name: str
    apart: float
    """The largest difference, relative to the largest entry of its tensor."""
    same: bool
    """Whether ends, steps, and what is not finite are the same."""
    moved: bool
    ends: list[int]


CASES = {
    **{str(layout): Case(layout) for layout in LAYOUTS},
    **{name: Case(optimizer=rule, keys=keys) for name, (rule, keys) in BLOCKS.items()},
    "mini-batches": Case(batch=7),
    "wide, mini-batches": Case(LAYOUTS[-1], batch=13),
    "weights that do not decay": Case(optimizer=OPTIMIZERS["sgd-decay"], exempt=True),
    "weights that do not decay, apart": Case(optimizer=OPTIMIZERS["adamw"], exempt=True),
}


def samples_of(layout: Layout, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(8)
    x = random.normal(0.2, 1.0, (count, layout.sizes[0])).astype(np.float32)
    if layout.loss == "cross_entropy":
        return torch.from_numpy(x), torch.from_numpy(random.integers(0, layout.sizes[-1], count))
    y = random.normal(0.1, 1.0, (count, layout.sizes[-1])).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


def weights_of(layout: Layout, beads: int) -> torch.Tensor:
    drawn = np.random.default_rng(3).normal(0, 0.6, (beads, layout.parameter_count))
    return torch.from_numpy(drawn.astype(np.float32))


def rounds_of(case: Case, training: Training, rows: Rows, device: str = "cpu") -> tuple[Rows, Rows]:
    """Rows after a round of compiled code and after one of the kernels on a device."""
    x, y = samples_of(case.layout, SAMPLES)
    batches = decays = None
    if case.batch:
        taken = rows.steps.tolist()
        batches = mini_batches(rows.seeds, taken, training.check_every, case.batch, SAMPLES)
    if case.exempt:
        decays = torch.arange(case.layout.parameter_count).remainder(2).float()
    theirs = joined([rows])
    FusedProblem(case.layout, x, y).advance(training, theirs, IMPROVEMENT, batches, decays)
    there = torch.device(device)
    ours = joined([rows.to(there)])
    batches, decays = (None if each is None else each.to(there) for each in (batches, decays))
    TritonProblem(case.layout, x.to(there), y.to(there)).advance(training, ours, batches, decays)
    return theirs, ours.to(torch.device("cpu"))


def compared(name: str, before: Rows, theirs: Rows, ours: Rows) -> Found:
    pairs = [(theirs.theta, ours.theta), (theirs.loss, ours.loss), (theirs.best, ours.best)]
    pairs += [(theirs.state[slot], ours.state[slot]) for slot in theirs.state]
    columns = ("end", "steps", "best_step")
    same = all(torch.equal(getattr(theirs, each), getattr(ours, each)) for each in columns)
    same &= all(torch.equal(a.isfinite(), b.isfinite()) for a, b in pairs)
    return Found(
        name=name,
        apart=max(_apart(a[a.isfinite()], b[a.isfinite()]) for a, b in pairs),
        same=same,
        moved=not torch.equal(before.theta, theirs.theta),
        ends=theirs.end.tolist(),
    )


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / a.abs().max()) if a.numel() else 0.0


def steps(device: str = "cpu") -> Iterator[Found]:
    """Three steps of a row in each case, from the middle of its schedule."""
    for name, case in CASES.items():
        keys = {"batch_size": case.batch or "full", "check_every": 3} | case.keys
        training = Training(optimizer=case.optimizer, **keys)
        slots = build_optimizer(case.optimizer).slots
        rows = fresh(weights_of(case.layout, 1), slots, 1e-3, 100, [5])
        rows = replace(rows, steps=rows.steps + 9)
        yield compared(name, rows, *rounds_of(case, training, rows, device))


def losses(device: str = "cpu") -> Iterator[Found]:
    """The losses of two models of each network."""
    for layout in LAYOUTS:
        x, y = samples_of(layout, SAMPLES)
        theta = weights_of(layout, 2)
        theirs = torch.from_numpy(FusedProblem(layout, x, y).losses(theta))
        ours = TritonProblem(layout, x.to(device), y.to(device)).losses(theta.to(device))
        yield Found(f"losses of {layout}", _apart(theirs, ours.cpu()), True, True, [])


def ends(device: str = "cpu") -> Iterator[Found]:
    """Rows that end in each way at different steps, and go into later rounds as they ended."""
    for batch in (None, 7):
        training = Training(
            optimizer=OPTIMIZERS["sgd"], check_every=4, max_steps=8, batch_size=batch or "full"
        )
        rows = fresh(weights_of(SMALL, 6), (), 1e-3, 100, range(6))
        rows.theta[1] = torch.nan
        rows.theta[2] *= 1e20  # its squared errors overflow
        rows.target[3] = torch.inf
        rows.steps[4] = 6
        rows.patience[5] = 2
        rows.best[5], rows.best_step[5], rows.steps[5] = 1e-9, 1, 2
        for number in range(3):
            theirs, ours = rounds_of(Case(batch=batch), training, rows, device)
            yield compared(f"ends, batch {batch}, round {number}", rows, theirs, ours)
            rows = theirs


def everything(device: str = "cpu") -> Iterator[Found]:
    yield from losses(device)
    yield from steps(device)
    yield from ends(device)


def main() -> None:
    for found in everything():
        print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
