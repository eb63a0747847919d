"""A network is added in one file and one line, and then does all that the others do."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from tests.support.registered import command_lines

REGISTERED = """
from engine.networks import KINDS
from tests.support.toys.softplus import SoftplusNetwork
KINDS.register(SoftplusNetwork)
"""
LEVEL = 0.02
PRESET = {
    "problem": {
        "data": {"kind": "polynomial", "coefficients": [0.1, -0.6, 0.9], "points": 25},
        "network": {"kind": "softplus", "units": 6},
        "loss": "mse",
    },
    "endpoints": {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 3000},
    "search": {"level": LEVEL, "greedy": {"optimizer": {"kind": "adam", "lr": 0.02}}},
    "seed": 3,
    "device": "cpu",
}


def loss(theta: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The mean squared error of the network, written out."""
    w1, b1, w2, b2 = theta[:6], theta[6:12], theta[12:18], theta[18]
    return float(np.mean((np.log1p(np.exp(x * w1 + b1)) @ w2 + b2 - y) ** 2))


def test_a_new_kind_of_network_is_trained_connected_exported_and_verified(tmp_path: Path) -> None:
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
    assert "kind: softplus" in (run / "run.yaml").read_text()
    with safe_open(file, "numpy") as held:
        beads = held.get_tensor("beads").astype(np.float64)
        described = json.loads(held.metadata()["dss"])
    assert described["problem"]["network"] == PRESET["problem"]["network"]  # type: ignore[index]
    x = np.arange(25)[:, None] / 24
    y = (0.1 - 0.6 * x + 0.9 * x**2)[:, 0]
    along = [
        loss((1 - t) * a + t * b, x, y) for a, b in pairwise(beads) for t in np.linspace(0, 1, 41)
    ]
    assert max(along) <= LEVEL * (1 + 1e-5)
    assert np.linalg.norm(beads[0] - beads[-1]) > 1


def test_mistakes_in_its_keys_are_said_as_for_the_others(tmp_path: Path) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text(json.dumps(PRESET))
    mistakes = {
        "problem.network.kind=softplsu": "unknown kind 'softplsu'; did you mean 'softplus'?",
        "problem.network.units=0": "units: is 0, but must be greater than 0",
        "problem.data={kind: digits}": "kind: is softplus, which takes one value, but the data",
    }
    run = ["run", str(preset), "--headless", "--set"]
    ended = command_lines(REGISTERED, *([*run, override] for override in mistakes))
    for (status, said), sentence in zip(ended, mistakes.values(), strict=True):
        assert status == 2
        assert sentence in said
