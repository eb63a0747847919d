"""On a CUDA device: the same losses, a whole run, its resume; skipped where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from dss_tui.cli import main
from engine.backends.backend import Backend
from engine.path.segments import measure, search_grid
from engine.problem.problem import build_problem
from engine.record.string_file import read
from engine.run.verify import verify
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.workers import vmapped

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device here"
)
TWO = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="torch sees fewer than two GPUs")


@pytest.mark.parametrize("preset", ["quadratic", "digits", "digits-cnn"])
def test_losses_gradients_and_profiles_are_those_of_the_cpu(preset: str) -> None:
    problem = build_problem(load_preset(preset).problem)
    on_gpu = problem.to(torch.device("cuda:0"))
    theta = torch.stack([problem.initial(seed) for seed in range(12)])
    for ours, theirs in zip(
        vmapped(on_gpu).loss_and_grad(theta.cuda()),
        vmapped(problem).loss_and_grad(theta),
        strict=True,
    ):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-5)
    pairs, grid, profiles = list(pairwise(theta)), search_grid(17), []
    for device in ("cuda:0", "cpu"):
        with Pool(vmapped(problem), [torch.device(device)]) as pool:
            profiles.append(measure(pool, pairs, grid, len(problem.train)))
    for one, other in zip(*profiles, strict=True):
        assert one.peak == pytest.approx(other.peak, rel=1e-4)


@pytest.mark.parametrize("batching", ["vmap", "graph", "auto"])
def test_a_run_connects_and_its_string_holds_on_the_cpu(batching: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["run", "digits", "--headless", "--device", "cuda", "--out", str(out)]
    assert main([*words, "--set", f"search.batching={batching}"]) == 0
    check = verify(read(out / "string.safetensors"), 501)
    assert check.below_level and check.agrees


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    words = ["run", "digits", "--headless", "--device", "cuda", "--out", out]
    assert main([*words, "--set", "limits.steps=400"]) == 3
    assert main(["resume", out, "--headless", "--set", "limits.steps=null"]) == 0


@dataclass(frozen=True)
class Where:
    """A task that tells which device did each item."""

    def size(self, item: int) -> int:
        return 1000

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[tuple[int, str]]:
        return [(item, str(backend.problem.device)) for item in items]


@TWO
def test_two_gpus_share_the_items() -> None:
    devices = [torch.device("cuda:0"), torch.device("cuda:1")]
    with Pool(vmapped(build_problem(load_preset("digits").problem)), devices) as pool:
        for _ in range(3):
            found = pool.run(Where(), list(range(100)))
            assert [item for item, _ in found] == list(range(100))
            assert {device for _, device in found} == {"cuda:0", "cuda:1"}
