"""A data set is added in one file and one line, and then serves as the others do."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from tests.support.registered import command_lines

REGISTERED = """
from engine.data import KINDS
from tests.support.toys.wave import WaveData
KINDS.register(WaveData)
"""
LEVEL = 0.03
PRESET = {
    "problem": {
        "data": {"kind": "wave", "frequency": 2.5},
        "network": {"kind": "mlp", "sizes": [1, 5, 1], "activation": "tanh"},
        "loss": "mse",
    },
    "endpoints": {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 3000},
    "search": {"level": LEVEL, "greedy": {"optimizer": {"kind": "adam", "lr": 0.02}}},
    "seed": 3,
    "device": "cpu",
}


def loss(theta: NDArray[np.float64], x: NDArray[np.float64]) -> float:
    """The mean squared error of the network on the wave, written out."""
    w1, b1, w2, b2 = theta[:5], theta[5:10], theta[10:15], theta[15]
    return float(np.mean((np.tanh(x * w1 + b1) @ w2 + b2 - np.sin(2.5 * x[:, 0])) ** 2))


def test_a_new_kind_of_data_is_trained_on_connected_exported_and_verified(tmp_path: Path) -> None:
    preset, run, file = (tmp_path / name for name in ("p.yaml", "run", "string.safetensors"))
    preset.write_text(json.dumps(PRESET))
    ended = command_lines(
        REGISTERED,
        ["run", str(preset), "--headless", "--out", str(run)],
        ["export", str(run), "--out", str(file)],
        ["verify", str(file)],
    )
    assert [status for status, _ in ended] == [0, 0, 0], ended
    assert "HOLDS" in ended[-1][1]
    assert "points: 21" in (run / "run.yaml").read_text()
    with safe_open(file, "numpy") as held:
        beads = held.get_tensor("beads").astype(np.float64)
        described = json.loads(held.metadata()["dss"])
    assert described["problem"]["data"] == {"kind": "wave", "frequency": 2.5, "points": 21}
    x = np.linspace(-1, 1, 21)[:, None]
    along = [
        loss((1 - t) * a + t * b, x) for a, b in pairwise(beads) for t in np.linspace(0, 1, 41)
    ]
    assert max(along) <= LEVEL * (1 + 1e-5)
    assert np.linalg.norm(beads[0] - beads[-1]) > 1


def test_it_is_listed_where_the_others_are() -> None:
    (one, said), (all_, listed) = command_lines(REGISTERED, ["data", "wave"], ["data", "--json"])
    assert (one, all_) == (0, 0)
    assert said.startswith("wave: A sine, shipped")
    assert [survey["name"] for survey in json.loads(listed)][-1] == "wave"


def test_mistakes_in_its_keys_are_said_as_for_the_others(tmp_path: Path) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text(json.dumps(PRESET))
    mistakes = {
        "problem.data.kind=waev": "unknown kind 'waev'; did you mean 'wave'?",
        "problem.data.frequency=-2": "frequency: is -2, but must be greater than 0",
        "problem.network.sizes=[3, 5, 1]": "the first size is 3, but the data have 1 features",
    }
    run = ["run", str(preset), "--headless", "--set"]
    ended = command_lines(REGISTERED, *([*run, override] for override in mistakes))
    for (status, said), sentence in zip(ended, mistakes.values(), strict=True):
        assert status == 2
        assert sentence in said
