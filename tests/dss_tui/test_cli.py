"""The commands as a user meets them: what they print, their exit status, what they leave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

import presets
from dss_tui.cli import main
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.string_file import read
from tests.support.commands import refused

QUICK = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `quadratic` at a high level: 11 beads in about a second."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *QUICK]) == 0
    return out


# ---------------------------------------------------------------- run


def test_run_leaves_a_whole_directory(finished: Path) -> None:
    left = {path.name for path in finished.iterdir()}
    expected = "run.yaml meta.json events.jsonl progress.json string.safetensors engine.log"
    assert set(expected.split()) <= left
    assert not [name for name in left if name.endswith(".tmp")]
    records = read_records(RunDir(finished))
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert records[0].event.name == "run_started"
    assert records[-1].event.name == "run_finished"
    meta = json.loads((finished / "meta.json").read_text())
    assert {"version", "host", "pid", "devices", "torch", "python", "started"} <= meta.keys()


def test_json_prints_events_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["run", "quadratic", "--out", str(out), "--json", *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == (out / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["outcome"] == "connected"


def test_run_yaml_repeats_the_run(finished: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert main(["run", str(finished / "run.yaml"), "--headless", "--out", str(again)]) == 0

    def facts(run: Path) -> list[dict[str, object]]:
        return [without_times(line) for line in (run / "events.jsonl").read_text().splitlines()]

    assert facts(again) == facts(finished)
    assert (again / "run.yaml").read_text() == (finished / "run.yaml").read_text()
    ours, theirs = read(again / "string.safetensors"), read(finished / "string.safetensors")
    assert ours.string.beads.tobytes() == theirs.string.beads.tobytes()
    assert ours.string.profiles.tobytes() == theirs.string.profiles.tobytes()


def without_times(line: str) -> dict[str, object]:
    tree: dict[str, Any] = json.loads(line)
    del tree["time"]
    if "totals" in tree:
        del tree["totals"]["elapsed_s"]
    return tree


def test_runs_without_out_go_to_the_runs_folder(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "quadratic", *QUICK, "--set", "limits.steps=1"]) == 3
    assert "The limit limits.steps = 1 was reached" in capsys.readouterr().out
    (run,) = runs.iterdir()
    assert re.fullmatch(r"quadratic-\d{8}-\d{6}", run.name)
    assert main(["ls"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if run.name in line]
    assert "limit reached" in row


def test_what_cannot_run_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    file = tmp_path / "mine.yaml"
    text = presets.source("quadratic")
    cases: list[tuple[list[str], tuple[str, ...]]] = [
        (["run", "quadratc"], ("no such preset", "did you mean 'quadratic'?")),
        (["run", "missing.yaml"], ("missing.yaml: no such file",)),
        (["run", "digits", "--set", "search.alpha=1.5"], ("search.alpha: is 1.5", "less than 1")),
        (["run", "digits", "--set", "search.level=-1"], ("search.level: is -1", "greater than 0")),
        (["run", "digits", "--set", "search.levle=1"], ("did you mean 'level'?",)),
        (["run", "digits", "--seed", "-3"], ("seed: is -3",)),
        (["run", "digits", "--device", "gpu"], ("device: is 'gpu'",)),
        (
            ["run", "digits", "--set", "problem.network.sizes=[64, 32, 9]"],
            ("problem.network.sizes", "the last size is 9", "10 outputs"),
        ),
        (
            ["run", "digits", "--set", "problem.data={kind: arrays, path: nowhere.npz}"],
            ("nowhere.npz: no such file", "problem.data.path"),
        ),
    ]
    if not torch.cuda.is_available():
        cases.append((["run", "digits", "--device", "cuda"], ("0 CUDA devices", "cpu or auto")))
    for arguments, words in cases:
        refused(capsys, [*arguments, "--headless", "--out", str(out)], *words)
        assert not out.exists()
    file.write_text(text.replace("seed: 0", "seed: ]"))
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row == "seed: 0")
    refused(capsys, ["run", str(file), "--out", str(out)], f"line {line}", "'seed: ]'")
    assert not out.exists()


def test_a_folder_that_holds_something_is_not_written_to(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in finished.iterdir())
    refused(capsys, ["run", "digits", "--out", str(finished)], "is not empty", "dss-tui resume")
    assert before == sorted((path.name, path.stat().st_mtime_ns) for path in finished.iterdir())
    file = tmp_path / "file"
    file.write_text("mine")
    refused(capsys, ["run", "digits", "--out", str(file / "run")], "cannot be written")
    assert file.read_text() == "mine"


def test_a_loss_that_is_not_finite_is_an_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optimizer = "endpoints.optimizer={kind: sgd, lr: 1e6}"
    arguments = ["run", "quadratic", "--out", str(tmp_path / "run"), "--set", optimizer, *QUICK]
    assert main(arguments) == 3
    captured = capsys.readouterr()
    assert "became non-finite" in captured.out
    assert "lower endpoints.optimizer.lr (now 1e+06)" in captured.out
    assert "Traceback" not in captured.err
    last = json.loads((tmp_path / "run" / "events.jsonl").read_text().splitlines()[-1])
    assert last["outcome"] == "endpoint_not_trained"


def test_users_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(5)
    x = draw.normal(size=(80, 3))
    np.savez(tmp_path / "mine.npz", x=x, y=(x @ [0.3, -0.2, 0.5])[:, None])
    (tmp_path / "mine.yaml").write_text(
        """
problem:
  data: {kind: arrays, path: mine.npz}
  network: {kind: linear, sizes: [3, 4, 1]}
  loss: mse
endpoints: {optimizer: {kind: adam, lr: 1e-2}}
search: {level: 2e-2, greedy: {optimizer: {kind: adam, lr: 1e-2}}}
"""
    )
    out, exported = tmp_path / "run", tmp_path / "path.npz"
    assert main(["run", str(tmp_path / "mine.yaml"), "--headless", "--out", str(out)]) == 0
    assert main(["export", str(out), "--out", str(exported), "--with-data"]) == 0
    (tmp_path / "mine.npz").unlink()
    assert main(["verify", str(exported)]) == 0
    capsys.readouterr()
    string = str(out / "string.safetensors")
    refused(capsys, ["verify", string], "mine.npz: no such file")
    np.savez(tmp_path / "mine.npz", x=x + 0.1, y=x[:, :1])
    refused(capsys, ["verify", string], "are not those of the run", "--with-data")


# ---------------------------------------------------------------- presets


@pytest.mark.parametrize("name", presets.names())
def test_presets_are_listed_and_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out
    description = presets.load_preset(name).description
    assert name in listed and description[:40] in listed
    assert main(["presets", name]) == 0
    assert capsys.readouterr().out == presets.source(name)
    assert "#" in presets.source(name)


def test_an_unknown_preset_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["presets", "digit"], "did you mean 'digits'?")


# ---------------------------------------------------------------- export and verify


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pt"])
def test_exported_strings_hold(
    finished: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"path{ending}"
    assert main(["export", str(finished), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"dss-tui verify {out}" in said
    assert main(["verify", str(out), "--grid", "501"]) == 0
    assert "HOLDS" in capsys.readouterr().out
    refused(capsys, ["export", str(finished), "--out", str(out)], "exists", "--force")
    assert main(["export", str(finished), "--out", str(out), "--force"]) == 0


def test_exports_that_cannot_be_written(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["export", str(finished), "--out", str(tmp_path / "a.txt")], "'.txt'", ".npz")
    refused(capsys, ["export", str(finished), "--out", str(tmp_path / "no" / "a.pt")], "folder")
    refused(capsys, ["export", "nothing", "--out", str(tmp_path / "a.pt")], "no such run")
    assert list(tmp_path.iterdir()) == []


def changed(finished: Path, tmp_path: Path, **level: float) -> Path:
    """A copy of the string whose header says something else."""
    file = finished / "string.safetensors"
    tensors = safetensors.numpy.load_file(file)
    with safetensors.safe_open(file, framework="numpy") as held:
        header = json.loads(held.metadata()["dss"]) | level
    out = tmp_path / "changed.safetensors"
    safetensors.numpy.save_file(tensors, out, metadata={"dss": json.dumps(header)})
    return out


def test_a_path_above_its_level_does_not_hold(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peak = float(read(finished / "string.safetensors").string.profiles.max())
    assert main(["verify", str(changed(finished, tmp_path, level=peak * 0.999))]) == 3
    assert "DOES NOT HOLD: 1 of" in capsys.readouterr().out


def test_numbers_that_were_changed_are_found(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "path.safetensors"
    tensors = safetensors.numpy.load_file(finished / "string.safetensors")
    tensors["profiles"][0, 7] *= 0.5
    with safetensors.safe_open(finished / "string.safetensors", framework="numpy") as held:
        metadata = held.metadata()
    safetensors.numpy.save_file(tensors, file, metadata=metadata)
    refused(capsys, ["verify", str(file)], "path.safetensors", "is not what was written")
    del metadata["checksums"]
    safetensors.numpy.save_file(tensors, file, metadata=metadata)
    assert main(["verify", str(file), "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert result["holds"] is False
    assert result["disagreement"] > result["tolerance"]


def test_strings_that_are_not_whole_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (finished / "string.safetensors").read_bytes()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(whole[: len(whole) // 2])
    refused(capsys, ["verify", str(broken)], "broken.safetensors", "not a whole")
    old = changed(finished, tmp_path, version=7)
    refused(capsys, ["verify", str(old)], "has version 7", "reads version 1")
    refused(capsys, ["verify", str(tmp_path / "none.npz")], "no such file")
    refused(capsys, ["verify", str(old), "--grid", "1"], "--grid: is 1")


# ---------------------------------------------------------------- resume and stop


def test_a_run_that_has_ended_says_so(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(finished), "--headless"]) == 0
    assert "this run has ended. Connected, proven:" in capsys.readouterr().err
    refused(capsys, ["stop", str(finished)], "is not running")


def test_a_limit_can_be_raised(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limited = tmp_path / "limited"
    run = ["run", "quadratic", "--seed", "2", *QUICK, "--out", str(limited)]
    assert main([*run, "--set", "limits.steps=500"]) == 3
    assert main(["resume", str(limited), "--headless"]) == 3  # the limit is still there
    capsys.readouterr()
    refused(capsys, ["resume", str(limited), "--set", "seed=3"], "only limits.… can change")
    assert main(["resume", str(limited), "--headless", "--set", "limits.steps=null"]) == 0
    ours, theirs = read(limited / "string.safetensors"), read(finished / "string.safetensors")
    assert ours.string.beads.tobytes() == theirs.string.beads.tobytes()


def test_a_checkpoint_of_another_preset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = ["--set", "limits.steps=1", *QUICK, "--out"]
    assert main(["run", "quadratic", *stopped, str(tmp_path / "a")]) == 3
    assert main(["run", "quadratic", "--seed", "9", *stopped, str(tmp_path / "b")]) == 3
    kept = (tmp_path / "a" / "checkpoint.safetensors").read_bytes()
    (tmp_path / "b" / "checkpoint.safetensors").write_bytes(kept)
    capsys.readouterr()
    raised = ["resume", str(tmp_path / "b"), "--headless", "--set", "limits.steps=2"]
    refused(capsys, raised, "checkpoint.safetensors", "belongs to another preset")
    assert (tmp_path / "b" / "checkpoint.safetensors").read_bytes() == kept
    (tmp_path / "b" / "checkpoint.safetensors").write_bytes(kept[:100])
    (tmp_path / "b" / "checkpoint.before.safetensors").unlink(missing_ok=True)
    refused(capsys, raised, "checkpoint.safetensors", "is not whole", "delete it")


def test_no_runs_yet(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    assert "no runs in" in capsys.readouterr().err
    refused(capsys, ["resume", "x"], "there are no runs yet")


def test_a_lack_of_memory_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise MemoryError("Unable to allocate 7 TiB\nsomewhere")

    monkeypatch.setattr("dss_tui.commands.presets.show", full)
    assert main(["presets"]) == 1
    said = capsys.readouterr().err
    why = "there is not enough memory (Unable to allocate 7 TiB)"
    assert said == f"dss-tui: {why}; ask for less, or free some\n"


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("something else"), False),
        (SystemError("error return without exception set"), True),
        (SystemError("something else"), False),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), True),
        (ImportError("libgomp.so.1: cannot allocate memory in static TLS block"), True),
        (ImportError("libtorch_cpu.so: cannot open shared object file"), False),
    ],
    ids=str,
)
def test_what_fails_for_want_of_memory_is_one_sentence_and_another_error_none(
    error: Exception,
    memory: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def raises(*_: object) -> int:
        raise error

    monkeypatch.setattr("dss_tui.commands.presets.show", raises)
    if not memory:
        with pytest.raises(type(error), match=str(error)):
            main(["presets"])
        return
    assert main(["presets"]) == 1
    assert capsys.readouterr().err == (
        f"dss-tui: there is not enough memory ({error}); ask for less, or free some\n"
    )
