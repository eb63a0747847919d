"""Steps of custom networks by each backend of torch, and as torch's compiler makes them.

One thread. The table has the microseconds of a bead-step, which is the loss and the gradient on a
mini-batch of 128 samples, by turns for some numbers of beads in a call; and the seconds of the
first call, which compiles. Rings are the preset custom-example.

    python -m benchmarks.compiled_steps [--repeats 5] [--beads 1,8,32]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.backends.compiled import CompiledBackend
from engine.backends.compiled_steps import CompiledStepsBackend
from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import TorchBackend
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from presets import load_preset

SAMPLES = 128
#: The ways by the keys of a preset that choose them.
WAYS: dict[str, Callable[[Problem], TorchBackend]] = {
    "loop": InPlaceBackend,
    "vmap": VmappedBackend,
    "loop, compile": CompiledBackend,
    "vmap, compile": CompiledStepsBackend,
}


class Attention(nn.Module):
    """One head over the rows of an image of 8 × 8, with a residual and a normalization."""

    def __init__(self) -> None:
        """Makes the layers, with 1 402 parameters."""
        super().__init__()
        self.embedding, self.qkv = nn.Linear(8, 16), nn.Linear(16, 48)
        self.norm, self.mix, self.last = nn.LayerNorm(16), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the scores of the classes, (sample, 10)."""
        h = self.embedding(x.view(-1, 8, 8))
        q, k, v = self.qkv(h).chunk(3, -1)
        h = self.norm(h + self.mix(torch.softmax(q @ k.mT / 4, -1) @ v))
        scores: Tensor = self.last(h.mean(1))
        return scores


class Residual(nn.Module):
    """A fully connected network of width 32 with LayerNorm, GELU and a residual."""

    def __init__(self) -> None:
        """Makes the layers, with 3 530 parameters."""
        super().__init__()
        self.first, self.norm = nn.Linear(64, 32), nn.LayerNorm(32)
        self.middle, self.last = nn.Linear(32, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the scores of the classes, (sample, 10)."""
        h = nn.functional.gelu(self.norm(self.first(x.flatten(1))))
        scores: Tensor = self.last(nn.functional.gelu(self.middle(h)) + h)
        return scores


def on_digits(factory: type[nn.Module]) -> Problem:
    """Returns the problem of a module on the handwritten digits."""
    network = {"kind": "custom", "factory": f"benchmarks.compiled_steps:{factory.__name__}"}
    tree = {"data": {"kind": "digits"}, "network": network, "loss": "cross_entropy"}
    return build_problem(validated(ProblemSpec, tree))


def problems() -> dict[str, Problem]:
    """Returns the problems by their names."""
    named = {
        "dense with LayerNorm, GELU": on_digits(Residual),
        "attention": on_digits(Attention),
    }
    presets = {"rings, BatchNorm": "custom-example", "digits-cnn": "digits-cnn"}
    return named | {
        words: build_problem(load_preset(name).problem) for words, name in presets.items()
    }


def first_and_typical(problem: Problem, beads: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Returns the seconds of the first call and the microseconds of a bead-step, by way."""
    theta = torch.stack([problem.initial(seed) for seed in range(beads)])
    generator = torch.Generator().manual_seed(0)
    batches = torch.randint(len(problem.train), (beads, SAMPLES), generator=generator)
    calls = {way: make(problem).loss_and_grad_on for way, make in WAYS.items()}

    def seconds(way: str) -> float:
        began = time.perf_counter()
        calls[way](theta, batches)
        return time.perf_counter() - began

    first = {way: seconds(way) for way in calls}
    taken: dict[str, list[float]] = {way: [] for way in calls}
    for _ in range(10 * repeats):
        for way in calls:
            taken[way].append(seconds(way))
    return {way: (first[way], 1e6 * statistics.median(taken[way]) / beads) for way in calls}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--beads", default="1,8,32")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    gained = "gain on the better of the first two"
    print(f"| network | beads | {' | '.join(WAYS)} | {gained} | first call |")
    print(f"|---|---|{'---|' * len(WAYS)}---|---|")
    for name, problem in problems().items():
        for beads in map(int, asked.beads.split(",")):
            found = first_and_typical(problem, beads, asked.repeats)
            gain = min(found["loop"][1], found["vmap"][1]) / found["vmap, compile"][1]
            numbers = " | ".join(f"{typical:.0f}" for _, typical in found.values())
            first = found["vmap, compile"][0]
            print(f"| {name} | {beads} | {numbers} | {gain:.1f} | {first:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
