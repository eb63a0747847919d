"""The small form of `benchmarks/streaming.py`: samples that are mapped do not come into memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import streaming
from engine.data import load_data, room
from engine.problem.problem import build_problem
from engine.run.choosing import backend_of
from engine.spec.yaml_file import load

MIB = 2**20
DATA = 96 * MIB


def measure(preset: Path) -> None:
    """Reads, judges and trains in this process; prints the peak of anonymous memory before it,
    after the samples are read, and at the end, in bytes, and the bytes of the samples."""
    room.IN_MEMORY = MIB
    spec = load(preset)
    torch.set_num_threads(1)
    torch.nn.Linear(3, 3)(torch.ones(2, 3)).sum().backward()
    peaks = [streaming.anonymous_bytes(os.getpid())]
    with streaming.Peak() as peak:
        data = load_data(spec.problem.data)
        peaks.append(peak.bytes())
        problem = build_problem(spec.problem)
        backend = backend_of("loop", spec.problem, problem, 8 * MIB)
        theta = torch.stack([problem.initial(seed) for seed in range(3)])
        losses = backend.losses(theta)
        exact = backend.to(torch.float64).losses(theta.double())
        torch.testing.assert_close(losses.double(), exact, rtol=1e-5, atol=0)
        backend.loss_and_grad(theta)
        backend.loss_and_grad_on(theta, torch.arange(96).view(3, 32))
        peaks.append(peak.bytes())
    print(json.dumps([*peaks, data.x.nbytes]))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_samples_that_are_mapped_take_no_memory(tmp_path: Path) -> None:
    preset = streaming.preset(tmp_path, DATA / 2**30, "loop")
    code = "from pathlib import Path; from tests.benchmarks.test_streaming import *; "
    code += f"measure(Path({str(preset)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, read, peak, size = json.loads(done.stdout)
    assert size > 0.8 * DATA
    assert read - before < 24 * MIB
    assert peak - before < 96 * MIB  # 50 MiB mostly; in float32 the samples alone are 384 MiB
