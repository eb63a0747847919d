"""A run folder to write to and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.record import finding
from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse


@pytest.fixture
def spec() -> Spec:
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.3, 0.7]},
                "network": {"kind": "mlp", "sizes": [1, 2, 1]},
                "loss": "mse",
            },
            "search": {"level": 0.02},
            "seed": 6,
        }
    )


@pytest.fixture
def run(spec: Spec, tmp_path: Path) -> RunDir:
    return finding.create(spec, "cubic", tmp_path / "run")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock."""
    monkeypatch.setattr("engine.record.lock.time.sleep", lambda seconds: None)
