"""What versions after 6706f4a wrote is read, and gone on with, to the same results.

The README.md of each folder of `fixtures/` says what is there and how it was made. Everything goes
through the command line, or reads files with the libraries that anybody has.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
from safetensors import safe_open

from tests.support.kept import Program, digest, program, same_machine
from tests.support.more import always

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = ("9e652d2", "829532e", "1f37f0d")
#: The version of checkpoints that each wrote.
CHECKPOINTS = {"9e652d2": "3", "829532e": "4", "1f37f0d": "4"}
EXPECTED: dict[str, dict[str, Any]] = {
    version: json.loads((FIXTURES / version / "expected.json").read_text(encoding="utf-8"))
    for version in VERSIONS
}
#: All folders; those of one run that has ended or was stopped; and those of many runs.
KEPT = [(version, name) for version in VERSIONS for name in EXPECTED[version]["folders"]]
FINISHED = [(version, name) for version, name in KEPT if name.startswith("finished")]
MANY = [
    (version, name)
    for version, name in KEPT
    if name in ("stopped-sweep", "stopped-components", "stopped-compare")
]
STOPPED = [each for each in KEPT if each not in (*FINISHED, *MANY)]
#: Those that most runs of the tests go on with: each kind of folder, and each version.
SOON = {
    ("9e652d2", "stopped-greedy"),
    ("829532e", "stopped-apart"),
    ("1f37f0d", "stopped-constrained"),
    ("1f37f0d", "stopped-sweep"),
    ("1f37f0d", "stopped-compare"),
}
#: What is in the tables of a folder of many runs wherever it is gone on with.
SURE = ("level", "pair", "seed", "method", "a", "b", "models", "size", "outcome", "connected")
#: How near losses, lengths and peaks are, which are kept to six digits.
DIGITS = 1e-5


@pytest.fixture
def dss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The command line."""
    return program(capsys, monkeypatch)


@pytest.fixture(autouse=True)
def batched() -> None:
    """In place of the one for all tests: here beads are batched as users' are."""


def expected_of(version: str, name: str) -> dict[str, Any]:
    """What is expected of a folder."""
    found: dict[str, Any] = EXPECTED[version]["folders"][name]
    return found


def copied(version: str, name: str, folder: Path) -> Path:
    """A copy of a folder that may be written to."""
    return Path(shutil.copytree(FIXTURES / version / name, folder / name))


def events_of(run: Path) -> list[dict[str, Any]]:
    """The events of a run."""
    return [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]


def check_string(run: Path, expected: dict[str, Any], version: str) -> None:
    """A run has the end that is expected of it, to the bit where bits can be the same."""
    end, held = events_of(run)[-1], safetensors.numpy.load_file(run / "string.safetensors")
    with safe_open(run / "string.safetensors", framework="numpy") as file:
        level = json.loads(file.metadata()["dss"])["level"]
    assert (end["event"], end["outcome"]) == ("run_finished", expected["outcome"])
    assert level == expected["level"]
    peaks = held["profiles"].max(axis=1)
    assert (peaks.max() <= level) == (expected["outcome"] == "connected")
    if same_machine(EXPECTED[version]["machine"]):
        assert len(held["beads"]) == expected["beads"]
        assert end["totals"]["bead_steps"] == expected["bead_steps"]
        assert digest(held["beads"]) == expected["sha256"]
        length = end["totals"]["normalized_length"]
        assert length == pytest.approx(expected["normalized_length"], rel=DIGITS)
        assert peaks == pytest.approx(expected["peaks"], rel=DIGITS)
        assert held["losses"] == pytest.approx(expected["losses"], rel=DIGITS)


# ---------------------------------------------------------------- what is kept is whole


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_kept_is_described(version: str) -> None:
    there = {path.name for path in (FIXTURES / version).iterdir() if path.is_dir()}
    assert there == EXPECTED[version]["folders"].keys()


@pytest.mark.parametrize(("version", "name"), KEPT)
def test_checkpoints_are_of_that_version(version: str, name: str) -> None:
    checkpoints = list((FIXTURES / version / name).rglob("checkpoint.safetensors"))
    assert checkpoints
    for path in checkpoints:
        with safe_open(path, framework="numpy") as file:
            assert file.metadata()["checkpoint"] == CHECKPOINTS[version]


@pytest.mark.parametrize("version", ["829532e", "1f37f0d"])
def test_beads_at_rest_have_files_of_their_own(version: str) -> None:
    assert len(list((FIXTURES / version / "stopped-apart" / "beads").iterdir())) >= 5


# ---------------------------------------------------------------- read


@pytest.mark.parametrize("version", VERSIONS)
def test_the_folders_are_listed(
    version: str,
    tmp_path: Path,
    dss: Program,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(FIXTURES / version, tmp_path / "kept")
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path / "kept"))
    status, printed = dss("ls")
    assert status == 0
    listed = dict(re.split(r"\s{2,}", line)[:2] for line in printed.splitlines()[1:])
    assert listed == {
        name: "connected"
        if (version, name) in FINISHED
        else "unfinished 1/2"
        if (version, name) in MANY
        else "stopped"
        for name in EXPECTED[version]["folders"]
    }


@pytest.mark.parametrize(("version", "name"), [*FINISHED, *STOPPED])
def test_a_run_is_exported(version: str, name: str, tmp_path: Path, dss: Program) -> None:
    run, out = copied(version, name, tmp_path), tmp_path / "string.safetensors"
    assert dss("export", str(run), "--out", str(out))[0] == 0
    written, kept = map(safetensors.numpy.load_file, (out, run / "string.safetensors"))
    assert written.keys() == kept.keys()
    assert all(written[key].tobytes() == kept[key].tobytes() for key in kept)


@pytest.mark.parametrize(("version", "name"), FINISHED)
def test_a_run_that_has_ended_says_so_and_holds(
    version: str, name: str, tmp_path: Path, dss: Program
) -> None:
    run = copied(version, name, tmp_path)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert dss("resume", str(run), "--headless")[0] == 0
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    status, printed = dss("diagnose", str(run), "--json")
    assert (status, json.loads(printed)["outcome"]) == (0, "connected")
    assert dss("verify", str(run / "string.safetensors"))[0] == 0
    expected = expected_of(version, name)["as_kept"]
    held = safetensors.numpy.load_file(run / "string.safetensors")
    assert digest(held["beads"]) == expected["sha256"]
    assert held["profiles"].max(axis=1) == pytest.approx(expected["peaks"], rel=DIGITS)
    assert held["losses"] == pytest.approx(expected["losses"], rel=DIGITS)


# ---------------------------------------------------------------- gone on with


@pytest.mark.parametrize("kept", always(SOON & {*STOPPED}, STOPPED), ids="-".join)
def test_a_run_is_resumed(kept: tuple[str, str], tmp_path: Path, dss: Program) -> None:
    version, name = kept
    run, expected = copied(version, name, tmp_path), expected_of(version, name)["resumed"]
    assert events_of(run)[-1]["outcome"] == "stopped"
    before = len(events_of(run))
    status, _ = dss("resume", str(run), "--headless")
    assert status == expected["status"] == 0
    assert len(events_of(run)) > before
    check_string(run, expected, version)
    status, printed = dss("verify", str(run / "string.safetensors"), "--json")
    said = json.loads(printed)
    assert (status, said["holds"], said["level"]) == (0, True, expected["level"])


@pytest.mark.parametrize("kept", always(SOON & {*MANY}, MANY), ids="-".join)
def test_many_runs_are_resumed(kept: tuple[str, str], tmp_path: Path, dss: Program) -> None:
    """To the table that is expected, and runs that have ended are left as they are.

    The folder that their cells name models in is on the machine that they were made on.
    """
    version, name = kept
    folder, expected = copied(version, name, tmp_path), expected_of(version, name)["resumed"]
    ended = {path: path.read_bytes() for path in folder.rglob("string.safetensors")}
    assert 0 < len(ended) < len(expected["strings"])
    status, _ = dss("resume", str(folder), "--headless")
    assert status == expected["status"] == 0
    assert {path: path.read_bytes() for path in ended} == ended
    for place, string in expected["strings"].items():
        check_string(folder / place, string, version)
        path = str(folder / place / "string.safetensors")
        assert dss("verify", path)[0] == 0
    for table, lines in expected["tables"].items():
        with open(folder / table, encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        same = same_machine(EXPECTED[version]["machine"])
        for now, then in zip(found, lines, strict=True):
            columns = [key for key in then if same or key in SURE]
            assert {key: now[key] for key in columns} == {key: then[key] for key in columns}
