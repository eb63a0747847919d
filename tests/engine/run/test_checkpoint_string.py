"""Strings out of checkpoints: of a process that was killed, and of searches at other moments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dss_tui.cli import main
from engine.errors import InputError
from engine.methods.method import StagedMethod
from engine.problem.problem import build_problem
from engine.record import finding, string_file
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from engine.run import bead_files, checkpoint
from engine.run.checkpoint import Checkpoint
from engine.run.checkpoint_string import string_of_checkpoint
from engine.run.verify import verify
from engine.spec.keys import Spec
from presets import load_preset
from tests.support.commands import refused
from tests.support.searches import method_for

SPEC = load_preset(
    "quadratic",
    ["seed=3", "problem.data.points=16", "search.level=2e-2", "device=cpu", "workers=1"],
)

#: An engine whose checkpoints refer to files of beads, and which so writes no string.
ENGINE = """
import sys
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run import bead_files, session
from pathlib import Path
bead_files.APART = 0
session.run(RunDir(Path(sys.argv[1])), Signals())
"""


def files_of(run: RunDir) -> list[tuple[str, int]]:
    """The names and times of all files of a run."""
    return sorted(
        (str(path.relative_to(run.path)), path.stat().st_mtime_ns)
        for path in run.path.rglob("*")
        if path.is_file()
    )


def ids_of(run: RunDir) -> set[str]:
    """The ids of the beads that have files."""
    return {path.name.split(".")[0] for path in run.beads.glob("[0-9]*.safetensors")}


def checkpoints_of(run: RunDir) -> int | None:
    """A number that is another one after each checkpoint."""
    return run.checkpoint.stat().st_mtime_ns if run.checkpoint.exists() else None


def test_a_killed_run_gives_the_string_of_its_checkpoint(tmp_path: Path) -> None:
    keys = ["search.level=1e-3", "search.batching=vmap", "checkpoint_seconds=0.02", "device=cpu"]
    spec = load_preset("quadratic", ["seed=3", "problem.data.points=16", *keys])
    run = finding.create(spec, "quadratic", tmp_path / "run")
    process = subprocess.Popen([sys.executable, "-c", ENGINE, str(run.path)])
    for _ in range(2):  # the second time for a checkpoint that refers to all of these
        last = checkpoints_of(run)
        while process.poll() is None and (len(ids_of(run)) < 4 or checkpoints_of(run) == last):
            time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run.string.unlink(missing_ok=True)  # that of the ends, where they were saved before any bead
    before = files_of(run)
    out = tmp_path / "string.safetensors"
    assert main(["export", str(run.path), "--out", str(out)]) == 0
    assert files_of(run) == before
    found = string_file.read(out)
    assert set(map(str, found.header.bead_ids)) <= ids_of(run)
    assert found.header.outcome == "running"
    assert verify(found, 101).agrees


def saved(run: RunDir, method: StagedMethod) -> None:
    checkpoint.write(run, Checkpoint(method.state, 1, 2.5, run.load_spec().fingerprint()))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return finding.create(SPEC, "quadratic", tmp_path / "run")


def at(method: StagedMethod, beads: int) -> StagedMethod:
    """The search once it has so many beads."""
    while len(method.chain.order) < beads:
        method.step(None)
    return method


def test_it_is_the_string_of_the_search(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bead_files, "APART", 0)
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        saved(run, at(method, 4))
        expected, order = method.string(), tuple(method.chain.order)
    found = string_of_checkpoint(run)
    assert found is not None
    assert found.header.bead_ids == order and found.header.elapsed_s == 2.5
    assert np.array_equal(np.asarray(found.string.beads), np.asarray(expected.beads))
    assert np.array_equal(found.string.profiles, expected.profiles)


def test_where_beads_have_moved_it_is_the_string_with_the_lowest_peak(run: RunDir) -> None:
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        chain = at(method, 4).chain
        lowest = chain.lowest
        assert lowest is not None
        chain.stale.add(chain.keys[0])
        saved(run, method)
    found = string_of_checkpoint(run)
    assert found is not None and found.header.bead_ids == lowest.order
    assert torch.equal(torch.from_numpy(found.string.beads[1]), lowest.weights[lowest.order[1]])


def test_without_a_whole_string_there_is_none(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert string_of_checkpoint(run) is None
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        saved(run, method)
    assert string_of_checkpoint(run) is None
    words = ["export", str(run.path), "--out", str(run.path.parent / "s.safetensors")]
    assert f"has no string yet; go on with `dss-tui resume {run.path}`" in refused(
        capsys, words, "has no string yet"
    )


@pytest.mark.parametrize(
    ("outcome", "elapsed_s", "beads"),
    [("running", 1.0, 4), ("stopped", 1.0, 4), ("stopped", 2.5, 3), ("connected", 1.0, 3)],
)
def test_an_export_takes_the_newer_of_string_file_and_checkpoint(
    run: RunDir, outcome: str, elapsed_s: float, beads: int
) -> None:
    """Unless the file is that of a search which has ended for good."""
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        saved(run, at(method, 3))
        older = string_of_checkpoint(run)
        assert older is not None
        header = replace(older.header, outcome=outcome, elapsed_s=elapsed_s)
        string_file.write(replace(older, header=header), run.string)
        saved(run, at(method, 4))
    out = run.path.parent / "string.safetensors"
    assert main(["export", str(run.path), "--out", str(out)]) == 0
    assert len(string_file.read(out).string.beads) == beads


def test_an_export_says_where_a_newer_checkpoint_cannot_be_read(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        saved(run, at(method, 3))
        held = string_of_checkpoint(run)
    assert held is not None
    string_file.write(replace(held, header=replace(held.header, elapsed_s=1.0)), run.string)
    run.checkpoint.write_bytes(b"nothing")
    out = run.path.parent / "string.safetensors"
    assert main(["export", str(run.path), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "only the string file is taken, since " in said.err and "checkpoint" in said.err
    assert "3 beads" in said.out and len(said.err.splitlines()) == 1


def test_a_run_at_work_is_left_alone(run: RunDir) -> None:
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        saved(run, at(method, 3))
    with take_lock(run):
        assert string_of_checkpoint(run) is None
    assert string_of_checkpoint(run) is not None


def test_another_preset_is_refused(run: RunDir) -> None:
    with method_for(build_problem(SPEC.problem), SPEC) as method:
        saved(run, at(method, 3))
    run.spec.write_text(run.spec.read_text().replace("points: 16", "points: 17"))
    assert isinstance(run.load_spec(), Spec)
    with pytest.raises(InputError, match="belongs to another preset"):
        string_of_checkpoint(run)
