"""What version 6706f4a wrote is read, and gone on with, to the same results.

`fixtures/6706f4a/README.md` says what is there and how it was made. Everything goes through the
command line, or reads files with the libraries that anybody has, so that these tests know nothing
of how the engine is built. The commands run in this process where nothing speaks against it: most
of a command's time is spent importing torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import yaml
from numpy.typing import NDArray
from safetensors import safe_open

from tests.support.kept import Program, digest, program, same_machine
from tests.support.more import always

HERE = Path(__file__).parent / "fixtures" / "6706f4a"
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
RUNS, STRINGS = EXPECTED["runs"], EXPECTED["strings"]
FINISHED = [name for name, run in RUNS.items() if "as_kept" in run]
UNFINISHED = [name for name, run in RUNS.items() if "resumed" in run]
#: Those that are resumed in a moment: a network with convolutions takes as long as all of them.
SOON = [name for name in UNFINISHED if "cnn" not in name]
#: Resumed by a process of their own, as users do.
APART = ["killed-greedy-digits"]
#: Resumed through constrained search, whose rounds compute otherwise since strings and single beads
#: have one trainer: they come to the same outcome, not to the same bits.
OTHER_BITS = {
    "stopped-constrained-quadratic",
    "stopped-constrained-springs",
    "stopped-files-constrained",
    "stopped-cnn-constrained",
    "stopped-auto-greedy",
    "stopped-auto-constrained",
    "paused-constrained-digits",
    "killed-constrained-quadratic",
    "limited-auto-endpoints",
    "limited-auto-detour",
}
#: Keys of run.yaml that a checkpoint's fingerprint leaves out.
ASIDE = ("limits", "description", "task", "checkpoint_seconds")
#: Of what `verify` says: measured numbers, and those that are as they are.
MEASURED = ("peaks", "normalized_length", "turning_angle", "disagreement", "by_frequencies")
PLAIN = ("holds", "level", "level_on", "beads", "points", "precision", "tolerance")


@pytest.fixture
def dss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The command line."""
    return program(capsys, monkeypatch)


@pytest.fixture(autouse=True)
def batched() -> None:
    """In place of the one for all tests: here beads are batched as users' are."""


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a string file of any ending."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files if name != "dss"}
    if path.suffix == ".pt":
        import torch

        tensors = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value.numpy() for name, value in tensors.items() if name != "dss"}
    return dict(safetensors.numpy.load_file(path))


def tree_of(run: Path) -> dict[str, Any]:
    tree = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))
    assert isinstance(tree, dict)
    return tree


def fingerprint(tree: dict[str, Any]) -> str:
    same = {key: value for key, value in tree.items() if key not in ASIDE}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def fingerprint_kept(checkpoint: Path) -> str:
    with safe_open(checkpoint, framework="numpy") as file:
        return str(file.metadata()["fingerprint"])


def copied(name: str, folder: Path) -> Path:
    """A copy of a run that names its files by their full paths, as an engine writes them."""
    copy = folder / name
    shutil.copytree(HERE / "runs" / name, copy)
    beside: dict[str, str] = RUNS[name].get("beside", {})
    if not beside:
        return copy
    before = fingerprint(tree_of(copy))
    tree = tree_of(copy)
    for key in beside:
        *steps, last = key.split(".")
        at = tree
        for step in steps:
            at = at[step]
        at[last] = str(copy / at[last])
    (copy / "run.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    checkpoint = copy / "checkpoint.safetensors"
    if checkpoint.exists():  # the two have as many digits, so the file's head stays as long
        content = checkpoint.read_bytes()
        assert content.count(before.encode()) == 1
        checkpoint.write_bytes(content.replace(before.encode(), fingerprint(tree).encode()))
    return copy


# ---------------------------------------------------------------- what is kept is whole


def test_everything_kept_is_described() -> None:
    assert {path.name for path in (HERE / "runs").iterdir()} == RUNS.keys()
    assert {path.name for path in (HERE / "strings").iterdir()} == STRINGS.keys()
    assert RUNS.keys() == {*FINISHED, *UNFINISHED}


@pytest.mark.parametrize("name", RUNS)
def test_a_checkpoint_knows_its_preset(name: str) -> None:
    """By a hash of what stands in run.yaml, whatever keys that has."""
    checkpoint = HERE / "runs" / name / "checkpoint.safetensors"
    if checkpoint.exists():
        assert fingerprint_kept(checkpoint) == fingerprint(tree_of(HERE / "runs" / name))


# ---------------------------------------------------------------- runs are read


def test_the_runs_are_listed(tmp_path: Path, dss: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(HERE / "runs", tmp_path / "kept")
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path / "kept"))
    status, printed = dss("ls")
    assert status == 0
    listed = dict(re.split(r"\s{2,}", line)[:2] for line in printed.splitlines()[1:])
    states = {"stop": "stopped", "pause": "stopped", "kill": "interrupted", "end": "limit reached"}
    assert listed == {
        name: run["as_kept"]["outcome"].replace("_", " ")
        if name in FINISHED
        else states[run["how"]]
        for name, run in RUNS.items()
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_exported(name: str, tmp_path: Path, dss: Program) -> None:
    run = copied(name, tmp_path)
    out = tmp_path / "string.npz"
    status, _ = dss("export", str(run), "--out", str(out))
    if not (run / "string.safetensors").exists():  # it was killed before its first checkpoint
        assert (status, RUNS[name]["how"]) == (2, "kill")
        return
    assert status == 0
    written, kept = arrays_of(out), arrays_of(run / "string.safetensors")
    assert written.keys() == kept.keys()
    assert all(np.array_equal(written[key], kept[key]) for key in kept)
    if name in FINISHED:
        assert len(written["beads"]) == RUNS[name]["as_kept"]["beads"]
        assert digest(written["beads"]) == RUNS[name]["as_kept"]["sha256"]


@pytest.mark.parametrize("name", FINISHED)
def test_a_run_that_has_ended_says_so(name: str, tmp_path: Path, dss: Program) -> None:
    run = copied(name, tmp_path)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    connected = RUNS[name]["as_kept"]["outcome"] == "connected"
    status, _ = dss("resume", str(run), "--headless")
    assert status == (0 if connected else 3)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    status, printed = dss("diagnose", str(run), "--json")
    assert status == (0 if connected else 3)
    assert json.loads(printed)["outcome"] == RUNS[name]["as_kept"]["outcome"]


# ---------------------------------------------------------------- runs are gone on with


@pytest.mark.parametrize("name", always(SOON, UNFINISHED))
def test_a_run_is_resumed(name: str, tmp_path: Path, dss: Program) -> None:
    """To the outcome and the beads, and where bits can be the same, to the same bits."""
    run, expected = copied(name, tmp_path), RUNS[name]["resumed"]
    arguments = ["resume", str(run), "--headless", *RUNS[name]["resume"]]
    if name in APART:
        ran = subprocess.run(
            [sys.executable, "-m", "dss_tui", *arguments],
            capture_output=True,
            text=True,
            env=os.environ,
        )
        assert ran.stderr.count("Traceback") == 0, ran.stderr
        status = ran.returncode
    else:
        status, _ = dss(*arguments)
    end = json.loads((run / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    beads = arrays_of(run / "string.safetensors")["beads"]
    assert (status, end["outcome"]) == (expected["status"], expected["outcome"])
    if same_machine(EXPECTED["machine"]) and name not in OTHER_BITS:
        assert len(beads) == expected["beads"]
        assert end["totals"]["bead_steps"] == expected["bead_steps"]
        assert digest(beads) == expected["sha256"]


# ---------------------------------------------------------------- string files


@pytest.mark.parametrize("name", STRINGS)
def test_a_string_file_holds(name: str, dss: Program) -> None:
    path, expected = HERE / "strings" / name, STRINGS[name]
    held = arrays_of(path)
    assert digest(held["beads"]) == expected["sha256"]
    assert {"data.x", "data.y"} <= held.keys() or "--with-data" not in expected["export"]
    _, verify, _, *options = expected["verify"]
    status, printed = dss(verify, str(path), *options)
    said, before = json.loads(printed), expected["said"]
    assert status == expected["status"]
    assert {key: said[key] for key in PLAIN} == {key: before[key] for key in PLAIN}
    for key in MEASURED:
        assert said[key] == (
            None if before[key] is None else pytest.approx(before[key], rel=1e-6, abs=1e-6)
        )
    for now, then in zip(said["along"], before["along"], strict=True):
        assert (now["metric"], now["split"]) == (then["metric"], then["split"])
        for bound in ("lowest", "highest"):
            assert now[bound] == pytest.approx(then[bound], rel=1e-6, abs=1e-6)
