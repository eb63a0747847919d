"""Compiles the kernels for an H100, as they are launched, without any GPU.

Triton asks an acted driver which GPU there is, and everything passes but the launch itself.
python -m tests.support.triton_compiled prints a line for each kernel, as JSON: the name, the bytes
of machine code, and the warps of a block.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from engine.backends.fused.layout import Layout
from engine.backends.triton_rounds.kernels import calls
from engine.backends.triton_rounds.problem import TritonProblem
from engine.spec.optimizers import Adam
from engine.spec.training import Training
from engine.steps.rows import fresh
from tests.support.triton_cases import SMALL, samples_of, weights_of


class ActedDriver:
    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


class Unlaunched:
    """A kernel that is compiled for its arguments where it would be launched."""

    def __init__(self, name: str) -> None:
        self.name, self.kernel = name, getattr(calls, name)

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def compiled(*arguments: object, **options: object) -> None:
            made = self.kernel.run(*arguments, grid=grid, warmup=True, **options)
            line = {"name": self.name, "bytes": len(made.asm["cubin"])}
            print(json.dumps(line | {"warps": made.metadata.num_warps}), flush=True)

        return compiled


def compile_rounds(layout: Layout, batch: int | None) -> None:
    training = Training(optimizer=Adam(kind="adam"), batch_size=batch or "full", check_every=2)
    rows = fresh(weights_of(layout, 2), ("mean", "square"), 0.0, 5, [0, 1])
    problem = TritonProblem(layout, *samples_of(layout, 100))
    batches = None if batch is None else torch.zeros(2, 2, batch, dtype=torch.int64)
    problem.advance(training, rows, batches)
    problem.losses(rows.theta)


def main() -> None:
    driver.set_active(ActedDriver())
    for name in ("advance", "measure"):
        setattr(calls, name, Unlaunched(name))
    compile_rounds(SMALL, None)
    compile_rounds(Layout((4, 20, 3), True, "relu", "identity", "cross_entropy"), 10)


if __name__ == "__main__":
    main()
