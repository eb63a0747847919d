"""Predicts what a GPU would do from launches, bytes and operations; nothing is measured on one.

For each preset it counts what torch asks for in a step (launches, bytes that they read and write,
operations), and takes for whole rounds in one launch the instructions of the machine code that
Triton compiles for an H100. Published peak figures of the GPU and the assumptions below make a time
of that.

python benchmarks/predicted.py [PRESET …] [--beads 128]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from engine.backends import rounds, vmapped
from engine.backends.fused.layout import Layout, fused_layout
from engine.backends.triton_rounds.tiles import fits, net_of, warps_of
from engine.problem.problem import Problem, build_problem
from engine.spec.stages import stages_of
from engine.spec.training import Training
from engine.steps.groups import Group
from engine.steps.recipe import Recipe
from engine.steps.rows import fresh
from presets import load_preset

PRESETS = (
    "quadratic",
    "cubic",
    "quadratic-paper",
    "cubic-paper",
    "permutation-control",
    "permutation-disconnect",
    "linear",
    "digits",
    "digits-cnn",
    "custom-example",
    "mnist-small",
    "cifar10-cnn",
    "text-lstm",
)

#: Seconds to ask for a kernel from Python under `torch.func.vmap`, and the least that a kernel
#: takes of a recorded graph.
LAUNCH_S, KERNEL_S = 10e-6, 2e-6
#: The share of the published peak that kernels of that size reach.
SHARE = 0.5
#: The instructions that one warp issues in a cycle, when it waits for nothing but its own results.
WARP_ISSUE = 0.35
#: The cycles of a barrier, of a load from the second cache, and the loads of a step that wait for
#: each other.
BARRIER, LOAD, LOADS = 40, 300, 8


#: The searches of the paper's quadratic figure, 10 levels × 100 pairs, and the bead-steps of one:
#: the mean of 50 that `dss-tui sweep quadratic-paper --set problem.data.points=256` took at them.
SEARCHES, BEAD_STEPS = 1000, 35_669


@dataclass(frozen=True)
class Gpu:
    """The published figures of a GPU."""

    name: str
    flop_per_s: float
    """Operations in float32 without tensor cores."""
    bytes_per_s: float
    processors: int
    clock_hz: float
    registers: int = 65536
    issue: int = 4
    """The instructions of a processor in a cycle, each for 32 threads."""
    warps: int = 64
    blocks: int = 32


#: NVIDIA's data sheets of the H100 SXM and the H200 SXM (67 TFLOP/s; 3.35 and 4.8 TB/s), and the
#: Hopper architecture white paper (132 processors, 65 536 registers, 4 schedulers, 64 warps, 32
#: blocks each). The clock is the one of the published peak.
GPUS = (
    Gpu("H100", 67e12, 3.35e12, 132, 1.98e9),
    Gpu("H200", 67e12, 4.8e12, 132, 1.98e9),
)


@dataclass(frozen=True)
class Code:
    """The machine code of a round's kernel for compute capability 9.0."""

    piece: int
    """The instructions of a warp for a piece of the samples."""
    step: int
    """Those of a step besides its pieces."""
    registers: int
    """The registers of a thread."""
    barriers_piece: int
    barriers_step: int


#: What `cuobjdump -sass -res-usage` shows of the kernels that Triton 3.9.0 compiles for the steps
#: of these presets, loop by loop.
CODE = {
    "quadratic": Code(276, 861, 154, 0, 27),
    "cubic": Code(276, 861, 154, 0, 27),
    "quadratic-paper": Code(454, 735, 151, 0, 21),
    "cubic-paper": Code(449, 954, 177, 0, 31),
    "permutation-control": Code(156, 573, 96, 0, 3),
    "permutation-disconnect": Code(93, 415, 60, 0, 3),
    "linear": Code(873, 274, 140, 16, 8),
    "digits": Code(2078, 1255, 255, 19, 18),
}


@dataclass(frozen=True)
class Kernel:
    """A kernel that torch launches."""

    bytes: int
    """What it reads and writes."""
    operations: int


class Counting(TorchDispatchMode):
    """Notes the kernels that torch would launch on a GPU: each operation that is no mere view."""

    def __init__(self) -> None:
        """Makes a counter of no kernels."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels: list[Kernel] = []

    def __torch_dispatch__(
        self, func: Any, types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Returns an operation's result, and counts it."""
        given = kwargs or {}
        result = func(*args, **given)
        before = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, torch.Tensor)]
        after = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        held = {leaf.untyped_storage().data_ptr() for leaf in before}
        shares = all(leaf.untyped_storage().data_ptr() in held for leaf in after)
        if after and (func._schema.is_mutable or not shares):
            count = flop_registry.get(func.overloadpacket)
            operations = sum(leaf.numel() for leaf in after)
            if count is not None:
                operations = count(*args, **given, out_val=result)
            moved = sum(leaf.nbytes for leaf in (*before, *after))
            self.kernels.append(Kernel(moved, int(operations)))
        return result


def kernels_of(problem: Problem, training: Training, beads: int) -> list[Kernel]:
    """Returns the kernels of one step of some beads, its judging and its optimizer included.

    They are those by which a round of two steps is longer than a round of one.
    """
    found: list[list[Kernel]] = []
    for steps in (1, 2):
        recipe = Recipe(training.model_copy(update={"check_every": steps, "max_steps": 10**6}))
        theta = torch.stack([problem.initial(seed) for seed in range(beads)])
        rows = fresh(theta, recipe.slots, 0.0, 10**6, range(beads))
        with Counting() as counting:
            rounds.advance(
                vmapped.VmappedBackend(problem), recipe, [Group(tuple(range(beads)), rows)]
            )
        found.append(counting.kernels)
    one, two = found
    return two[-(len(two) - len(one)) :]


def of_launches(kernels: Sequence[Kernel], beads: int, gpu: Gpu) -> tuple[float, float]:
    """Returns bead-steps per second, by launches from Python, and from a recorded graph."""
    times = [
        max(
            KERNEL_S,
            kernel.bytes / (SHARE * gpu.bytes_per_s),
            kernel.operations / (SHARE * gpu.flop_per_s),
        )
        for kernel in kernels
    ]
    return beads / max(sum(times), LAUNCH_S * len(kernels)), beads / sum(times)


def of_whole_rounds(code: Code, pieces: int, warps: int, beads: int, gpu: Gpu) -> float:
    """Returns bead-steps per second of blocks that take a bead each through whole rounds."""
    instructions = pieces * code.piece + code.step
    barriers = pieces * code.barriers_piece + code.barriers_step
    alone = instructions / WARP_ISSUE + barriers * BARRIER + LOADS * LOAD
    fit = min(gpu.registers // (code.registers * 32 * warps), gpu.warps // warps, gpu.blocks)
    each = ceil(beads / gpu.processors)
    together = min(each, max(1, fit))
    cycles = max(alone, together * instructions * warps / gpu.issue) * ceil(each / together)
    return beads * gpu.clock_hz / cycles


def scaled(kernels: Sequence[Kernel], factor: float) -> list[Kernel]:
    """Returns the kernels of so many times as many beads."""
    return [
        replace(each, bytes=int(factor * each.bytes), operations=int(factor * each.operations))
        for each in kernels
    ]


def lines_of(name: str, beads: int) -> Iterator[str]:
    """Returns the lines of a preset: one for each backend that can compute it on a GPU."""
    spec = load_preset(name)
    problem, training = build_problem(spec.problem), stages_of(spec).greedy
    kernels = scaled(kernels_of(problem, training, 2), beads / 2)
    moved, operations = (sum(getattr(k, of) for k in kernels) for of in ("bytes", "operations"))
    counts = f"{moved / beads:.3g} | {operations / beads:.3g}"
    alone = [of_launches(scaled(kernels, 1 / beads), 1, gpu)[0] for gpu in GPUS]
    together = [of_launches(kernels, beads, gpu) for gpu in GPUS]
    ways = (
        ("loop", f"{len(kernels)} a bead", alone),
        ("vmap", str(len(kernels)), [launched for launched, _ in together]),
        ("graph", "1 replay", [recorded for _, recorded in together]),
    )
    for way, launches, rates in ways:
        share = operations / beads * rates[0] / GPUS[0].flop_per_s
        told = " | ".join(f"{rate:.2g}" for rate in rates)
        yield f"| {name} | {way} | {launches} | {counts} | {told} | {100 * share:.2g} % |"
    layout = fused_layout(spec.problem.network, spec.problem.loss)
    if layout is None or not fits(layout) or name not in CODE:
        return
    size = Recipe(training).samples(len(problem.train))
    pieces, warps = pieces_and_warps(layout, size)
    whole = [of_whole_rounds(CODE[name], pieces, warps, beads, gpu) for gpu in GPUS]
    told = " | ".join(f"{rate:.2g}" for rate in whole)
    read = 4 * size * (layout.sizes[0] + layout.sizes[-1])
    issued = 32 * warps * (pieces * CODE[name].piece + CODE[name].step)
    share = operations / beads * whole[0] / GPUS[0].flop_per_s
    counts = f"{read:.3g} | {issued:.3g}"
    yield f"| {name} | triton | 1 a round | {counts} | {told} | {100 * share:.2g} % |"


def pieces_and_warps(layout: Layout, size: int) -> tuple[int, int]:
    """Returns the pieces of a step that sees so many samples, and the warps of its block."""
    net = net_of(layout, size)
    return ceil(size / net.block), warps_of(net)


def figure(gpu: Gpu) -> str:
    """Returns a sentence on the paper's quadratic figure, with its 10 000 points."""
    spec = load_preset("quadratic-paper")
    layout = fused_layout(spec.problem.network, spec.problem.loss)
    assert layout is not None
    pieces, warps = pieces_and_warps(layout, 10_000)
    rate = of_whole_rounds(CODE["quadratic-paper"], pieces, warps, gpu.processors, gpu)
    return (
        f"Prediction: {SEARCHES} searches of {BEAD_STEPS} bead-steps are "
        f"{SEARCHES * BEAD_STEPS / rate:.1f} s in the kernels on one {gpu.name}."
    )


def main() -> None:
    """Prints a table in Markdown, and the paper's quadratic figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--beads", type=int, default=128)
    asked = parser.parse_args()
    vmapped.FEW_TOGETHER = 2
    predicted = " | ".join(f"bead-steps/s, {gpu.name} (prediction)" for gpu in GPUS)
    print(
        f"| {asked.beads} beads | backend | launches | bytes | operations | {predicted} "
        f"| of the {GPUS[0].name}'s peak |"
    )
    print("|---|---|---|---|---|---|" + "---|" * len(GPUS))
    for name in asked.presets:
        for line in lines_of(name, asked.beads):
            print(line)
    for gpu in GPUS:
        print(figure(gpu))


if __name__ == "__main__":
    main()
