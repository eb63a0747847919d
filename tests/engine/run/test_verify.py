"""Strings of real searches, measured in numpy alone with the reader of docs/string-file.md."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dss_tui.cli import main
from engine.record.string_file import StringFile, read
from engine.run.verify import verify
from tests.support.string_files import encode

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "string-file.md"

RUNS = {
    "quadratic": ["--seed", "3", "--set", "search.level=5e-3"],
    "digits": ["--set", "search.level=0.2"],
}


def data_of(preset: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The training set, made without the engine."""
    if preset == "quadratic":
        x = (np.arange(256) / 255).astype(np.float32).astype(np.float64)
        exact = np.arange(256) / 255
        y = (0.1 + 0.25 * exact + 0.5 * exact**2).astype(np.float32).astype(np.float64)
        return x[:, None], y[:, None]
    with np.load(ROOT / "engine" / "data" / "digits.npz") as held:
        return held["x"] / 16.0, held["y"].astype(int)


def loss_of(preset: str, output: NDArray[Any], y: NDArray[Any]) -> float:
    if preset == "quadratic":
        return float(((output - y) ** 2).sum(1).mean())
    shifted = output - output.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1))
    return float((log_sum - shifted[np.arange(len(y)), y]).mean())


@pytest.mark.parametrize("preset", RUNS)
def test_numpy_measures_what_the_file_says(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["run", preset, "--headless", "--out", str(tmp_path / "run"), *RUNS[preset]]
    assert main(run) == 0
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "path.npz")]) == 0
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {}
    (snippet,) = [
        code
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
        if "path.npz" in code
    ]
    exec(snippet, shown)
    file, head, forward = shown["f"], shown["head"], shown["forward"]
    x, y = data_of(preset)

    beads = file["beads"].astype(np.float64)
    losses = np.array([loss_of(preset, forward(theta, x), y) for theta in beads])
    np.testing.assert_allclose(file["losses"], losses, atol=1e-5, rtol=1e-5)
    profiles = np.array(
        [
            [loss_of(preset, forward((1 - t) * a + t * b, x), y) for t in file["t"]]
            for a, b in pairwise(beads)
        ]
    )
    np.testing.assert_allclose(file["profiles"], profiles, atol=1e-5, rtol=1e-5)
    assert profiles.max() <= head["level"]
    assert losses.max() <= head["alpha"] * head["level"] * (1 + 1e-5)
    steps = np.linalg.norm(np.diff(beads, axis=0), axis=1)
    length = steps.sum() / np.linalg.norm(beads[-1] - beads[0])
    check = verify(read(tmp_path / "path.npz"), 401)
    assert check.normalized_length == pytest.approx(length, rel=1e-9)
    assert check.below_level and check.agrees
    last = json.loads((tmp_path / "run" / "events.jsonl").read_text().splitlines()[-1])
    assert last["totals"]["normalized_length"] == pytest.approx(length, rel=1e-6)
    assert last["totals"]["max_peak"] == pytest.approx(max(check.peaks), rel=1e-3)
    assert last["totals"]["beads"] == len(beads)


def test_a_finer_grid_finds_nothing_above_the_level(tmp_path: Path) -> None:
    """At the preset's own level."""
    sampled = ["--seed", "5", "--set", "search.certify=off"]
    assert main(["run", "quadratic", "--headless", "--out", str(tmp_path), *sampled]) == 0
    file = read(tmp_path / "string.safetensors")
    check = verify(file, 2001)
    assert check.below_level
    assert file.string.losses.max() <= file.header.alpha * file.header.level * (1 + 1e-5)
    assert file.header.audit["points"] - 1 >= 10 * (33 - 1)
    assert file.header.audit["precision"] == "float64"


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> StringFile:
    folder = tmp_path_factory.mktemp("connected")
    sets = ["--set", "search.level=5e-3", "--set", "problem.data.points=64", "--seed", "3"]
    assert main(["run", "quadratic", "--headless", "--out", str(folder), *sets]) == 0
    return read(folder / "string.safetensors")


@pytest.mark.parametrize(("tolerance", "holds"), [(0.2, True), (0.05, False), (0.0, False)])
def test_segments_hold_up_to_the_tolerance_and_both_numbers_are_told(
    tolerance: float,
    holds: bool,
    connected: StringFile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A string whose highest point is 1.1 times the level that its file says."""
    level = max(verify(connected, 101).peaks) / 1.1
    header = replace(connected.header, level=level, tolerance=tolerance)
    path = tmp_path / "string.npz"
    path.write_bytes(encode(replace(connected, header=header), ".npz"))
    assert main(["verify", str(path), "--grid", "101"]) == (0 if holds else 3)
    said = capsys.readouterr().out.splitlines()
    told = next(line for line in said if "× level" in line)
    beyond = f"the level {level:g} by more than its tolerance {tolerance:g}." if tolerance else ""
    assert f"1.1000 × level {level:g}" in told
    assert (f"with tolerance {tolerance:g}," in told) == bool(tolerance)
    assert said[-1].endswith(beyond or "segments exceed the level.")
    assert said[-1].startswith("HOLDS" if holds else "DOES NOT HOLD")
    assert main(["verify", str(path), "--grid", "101", "--json"]) == (0 if holds else 3)
    tree = json.loads(capsys.readouterr().out)
    assert (tree["level"], tree["level_tolerance"]) == (level, tolerance)


@pytest.mark.parametrize("part", ["losses", "profiles"])
@pytest.mark.parametrize(("share", "agrees"), [(0.0, True), (0.01, False), (-0.01, False)])
def test_a_changed_loss_is_noticed_however_low_the_level(
    part: str, share: float, agrees: bool, connected: StringFile
) -> None:
    """A difference is held against the level: 5e-5 is a hundredth of it here."""
    values = getattr(connected.string, part).copy()
    values.flat[1] += share * connected.header.level
    changed = replace(connected, string=replace(connected.string, **{part: values}))
    check = verify(changed, 11)
    assert check.agrees is agrees
    assert check.disagreement == pytest.approx(abs(share), abs=1e-4)


@pytest.mark.parametrize("level", [1e-4, 1e-6])
def test_rounding_is_no_disagreement_where_losses_are_tiny(level: float, tmp_path: Path) -> None:
    """In float32, outputs near 1 make losses of 1e-6 that are off by a thousandth."""
    sets = ["--set", f"search.level={level}", "--set", "problem.data.coefficients=[1.0, 1.0]"]
    sets += ["--set", "endpoints.max_steps=60000", "--set", "search.certify=off", "--seed", "2"]
    main(["run", "quadratic", "--headless", "--out", str(tmp_path), *sets])
    check = verify(read(tmp_path / "string.safetensors"), 33)
    assert check.agrees, (check.disagreement, check.tolerance)


def test_a_run_leaves_its_tolerance_in_its_files(tmp_path: Path) -> None:
    sets = ["search.level=5e-3", "search.tolerance=0.25", "problem.data.points=64", "seed=3"]
    options = [part for line in sets for part in ("--set", line)]
    assert main(["run", "quadratic", "--headless", "--out", str(tmp_path), *options]) == 0
    assert read(tmp_path / "string.safetensors").header.tolerance == 0.25
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert first["tolerance"] == 0.25
    assert "(level 0.005, tolerance 0.25; proven in " in last["sentence"]
    assert json.loads((tmp_path / "progress.json").read_text())["tolerance"] == 0.25
