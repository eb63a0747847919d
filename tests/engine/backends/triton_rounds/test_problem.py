"""Kernels take the steps of compiled rounds, and compile for a GPU that is not here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.steps.rows import End
from tests.support.triton_cases import CASES, LAYOUTS, ROUNDING, everything

#: The difference that is allowed on a GPU, whose exponentials and quotients are approximate.
ON_GPU = 1e-4

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(
    find_spec("triton.backends") is None if find_spec("triton") else True,
    reason="there is no Triton here from version 3 on",
)


def lines_of(module: str, cache: Path, **environment: str) -> list[dict[str, Any]]:
    """What a module of tests.support prints in a process of its own."""
    given = os.environ | {"TRITON_CACHE_DIR": str(cache)} | environment
    command = [sys.executable, "-m", f"tests.support.{module}"]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_rounds_are_those_of_compiled_code(tmp_path: Path) -> None:
    """The steps of each network, optimizer and loss, and rows that end in each way."""
    check(lines_of("triton_cases", tmp_path, TRITON_INTERPRET="1"), ROUNDING)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
def test_rounds_on_a_gpu_are_those_of_compiled_code() -> None:
    check([asdict(found) for found in everything("cuda:0")], ON_GPU)


def check(found: list[dict[str, Any]], rounding: float) -> None:
    assert len(found) == len(LAYOUTS) + len(CASES) + 6
    other = [line for line in found if not line["same"] or line["apart"] > rounding]
    assert other == []
    assert [line["name"] for line in found[:-6] if not line["moved"]] == []
    for rounds in (found[-6:-3], found[-3:]):  # on all samples, and on mini-batches
        assert {end for line in rounds for end in line["ends"]} == set(End)


def test_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    found = lines_of("triton_compiled", tmp_path)
    assert [line["name"] for line in found] == ["advance", "measure"] * 2
    assert [line["warps"] for line in found] == [2, 2, 8, 8]
    assert all(line["bytes"] > 1000 for line in found)
