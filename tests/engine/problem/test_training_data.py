"""Training samples that go into a string file a few at a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine.problem.problem import build_problem
from engine.problem.training_data import training_data
from engine.record.string_parts import of_data
from engine.record.tensor_file import bytes_of
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.kinds import factory
from tests.support.more import more

MIB = 2**20


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.parametrize("piece", [64, 2**20])
@pytest.mark.parametrize(
    ("network", "data", "loss"),
    [
        ("plain", "values", "mse"),
        ("plain", "labelled", "mse"),
        ("Tagger", "tags", "cross_entropy"),
        ("Pooled", "by_name", "mse"),
        ("TwoInputs", "by_place", "mse"),
    ],
)
def test_a_file_holds_what_network_and_loss_take(
    network: str, data: str, loss: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.record.tensor_file.PIECE", piece)
    tree = {
        "data": {"kind": "custom"} | factory(data),
        "network": {"kind": "custom"} | factory(network),
        "loss": loss,
    }
    spec = validated(ProblemSpec, tree)
    x, y = build_problem(spec).train.part(slice(None), torch.float32)
    expected = {"data.x": x} if isinstance(x, Tensor) else {f"data.x.{k}": v for k, v in x.items()}
    arrays = {name: each.numpy() for name, each in (expected | {"data.y": y}).items()}
    found = of_data(*training_data(spec))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert b"".join(bytes_of(found[name])) == array.tobytes()


# ---------------------------------------------------------------- memory


class Images(Dataset[Any]):
    """Images of a sparse file, of which a pixel says the class."""

    def __init__(self, path: str, side: int) -> None:
        self._path, self._side = path, side

    def __len__(self) -> int:
        return os.path.getsize(self._path) // (3 * self._side**2)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        image = np.fromfile(self._path, np.uint8, 3 * self._side**2, offset=0)
        image[0] = number % 2
        return image.reshape(3, self._side, self._side), number % 2


class OnePixel(nn.Linear):
    """Sees the first pixels."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input[:, 0, 0, :2])


WRITE = """
import json
import sys
from engine.problem.training_data import training_data
from engine.record.string_file import WRITERS
from engine.record.string_parts import of_data
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated

spec = validated(ProblemSpec, json.loads(sys.argv[1]))
with open(sys.argv[2], "wb") as held:
    WRITERS[sys.argv[3]](of_data(*training_data(spec)), "{}", held)
"""


def anonymous(process: int) -> int:
    """Returns the bytes of a process that the system cannot take back, 0 where it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's accounts")
@pytest.mark.parametrize("ending", [".safetensors", more(".npz")])
def test_data_larger_than_the_memory_that_they_may_take(ending: str, tmp_path: Path) -> None:
    """They are 320 MiB in float32, of which a process never holds much."""
    sparse, out = tmp_path / "images", tmp_path / "data"
    with open(sparse, "wb") as file:
        file.truncate(80 * MIB)
    tree = {
        "data": {
            "kind": "custom",
            "factory": f"{__name__}:Images",
            "args": {"path": str(sparse), "side": 128},
        },
        "network": {"kind": "custom", "factory": f"{__name__}:OnePixel"},
        "loss": "cross_entropy",
    }
    command = [sys.executable, "-c", WRITE, json.dumps(tree), str(out), ending]
    process = subprocess.Popen(command, env=os.environ | {"DSS_TUI_CACHE": str(tmp_path)})
    most, began = 0, 0
    while process.poll() is None:
        now = anonymous(process.pid)
        began = now if not out.exists() else began
        most = max(most, now)
        time.sleep(0.01)
    assert process.returncode == 0
    assert out.stat().st_size > 310 * MIB
    assert began > 50 * MIB  # the measurement has seen something
    assert most < began + 150 * MIB
