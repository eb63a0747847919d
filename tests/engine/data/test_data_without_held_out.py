"""Data of which nothing is held out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dss_tui.cli import main
from engine.problem.problem import build_problem
from presets import load_preset
from tests.support.workers import vmapped


def test_the_loss_of_a_split_without_samples_is_not_a_number() -> None:
    problem = build_problem(load_preset("permutation-control").problem)
    theta = torch.stack([problem.initial(seed) for seed in range(4)])
    assert vmapped(problem).losses(theta, "held_out").isnan().tolist() == [True] * 4
    assert vmapped(problem).losses(theta).isfinite().all()


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not standard JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_run_without_held_out_samples_works_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["run", "permutation-control", "--headless", "--out", str(out)]) == 0
    progress = strict((out / "progress.json").read_text())
    segments = progress["segments"]
    assert segments
    for segment in segments:
        assert segment["secondary"]
        assert set(segment["secondary"]) == {None}
        assert None not in segment["profile"]
    for line in (out / "events.jsonl").read_text().splitlines():
        strict(line)
    capsys.readouterr()
    exported = tmp_path / "path.npz"
    assert main(["verify", str(out / "string.safetensors")]) == 0
    assert main(["export", str(out), "--out", str(exported), "--with-data"]) == 0
    assert main(["verify", str(exported)]) == 0
    assert main(["ls"]) == 0
    assert "nan" not in capsys.readouterr().out.lower()
