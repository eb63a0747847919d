"""Sweeps as a user meets them: ordinary run directories, honest tables, and nothing lost."""

from __future__ import annotations

import csv
import gc
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dss_tui.cli import main
from dss_tui.viewing.follow import Follower
from engine.errors import InputError
from engine.methods import Method, build_method
from engine.record.commands import send
from engine.record.events import Outcome
from engine.record.findings import Totals
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.record.signals import Signals
from engine.record.string_file import read
from engine.record.sweep_desk import held
from engine.record.sweep_folder import Cell, Plan
from engine.record.sweep_state import read_state
from engine.record.writer import RunWriter
from engine.run import cells as run_cells
from engine.run import job, sweep
from engine.run.batched import Batched
from engine.run.cells import CellWriter, ending
from engine.run.sweep import Sweep
from engine.spec.keys import Spec
from engine.spec.yaml_file import load
from presets import load_preset
from tests.support.run_strings import cells, same_cells, same_string

TINY = ["--set", "problem.data.points=64"]
LEVELS = ["--levels", "5e-2,2e-2"]
THREE = ["--pairs", "3"]
COMMAND = ["sweep", "quadratic", *LEVELS, *THREE, *TINY]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that nothing happened to: two levels, three pairs, all of them connected."""
    out = tmp_path_factory.mktemp("whole") / "sweep"
    assert main([*COMMAND, "--out", str(out)]) == 0
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """The same sweep in a place where something may happen to it."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def lines(out: Path, name: str = "sweep.csv") -> list[dict[str, str]]:
    with open(out / name, newline="") as file:
        return list(csv.DictReader(file))


def untimed(out: Path) -> list[dict[str, str]]:
    """The lines of the cells without their running times."""
    return [
        {key: value for key, value in line.items() if key != "elapsed_s"} for line in lines(out)
    ]


def names(run: RunDir) -> list[str]:
    """Of its events."""
    return [record.event.name for record in read_records(run)]


def facts(run: Path) -> list[dict[str, object]]:
    """Its events without their times."""
    found = []
    for text in (run / "events.jsonl").read_text().splitlines():
        tree = json.loads(text)
        tree.pop("time")
        tree.get("totals", {}).pop("elapsed_s", None)
        found.append(tree)
    return found


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str], *words: str) -> None:
    """In one line, with nothing on stdout."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    for word in words:
        assert word in line


def begin(out: Path, *overrides: str, levels: tuple[float, ...] = (0.05, 0.02)) -> Sweep:
    """What the command does before it runs: the sweep is there."""
    tiny = ["problem.data.points=64", f"search.level={levels[0]!r}"]
    return sweep.start(load_preset("quadratic", [*tiny, *overrides]), levels, 3, out, Batched())


@pytest.mark.parametrize("old", [False, True])
def test_a_sweep_goes_on_with_the_samples_it_began_with(old: bool, tmp_path: Path) -> None:
    """Those of batch-norm statistics: drawn in a new sweep, the first where no seed is written."""
    out = tmp_path / "sweep"
    begin(out)
    described = out / "sweep.yaml"
    text = described.read_text()
    drawn = "    samples: 1024\n    seed: 0\n"
    assert drawn in text
    if old:
        described.write_text(text.replace(drawn, "    samples: 1024\n"))
    made = begin(out)
    assert made.plan.at(0.02).problem.batch_norm.seed == (None if old else 0)


def pair(out: Path, level: str, number: int) -> RunDir:
    return RunDir(out / f"level-{level}" / f"pair-{number:04}")


# ---------------------------------------------------------------- every cell is a run


def test_cells_are_run_directories(whole: Path) -> None:
    runs = cells(whole)
    assert [run.path.relative_to(whole).as_posix() for run in runs] == [
        f"level-{level}/pair-000{number}" for level in ("0.02", "0.05") for number in range(3)
    ]
    expected = "run.yaml meta.json events.jsonl progress.json string.safetensors engine.log .lock"
    for run in runs:
        assert {path.name for path in run.path.iterdir()} == set(expected.split())
        summary = summarize(run)
        assert summary.state == "connected"
        assert summary.peak_over_level is not None and summary.peak_over_level <= 1
        records = read_records(run)
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        assert records[0].event.name == "run_started"
        assert Follower(run).look().state == "connected"  # what `attach` shows


def test_a_cell_logs_in_its_own_file(whole: Path) -> None:
    for run in cells(whole):
        facts, line = run.log.read_text().splitlines()
        assert " INFO computing on cpu" in facts
        end = ending(run)
        assert end is not None and line.endswith(f"INFO {end.sentence}")
    assert len((whole / "engine.log").read_text().splitlines()) >= 6


def test_commands_work_on_a_cell(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell, file = pair(whole, "0.02", 2).path, tmp_path / "path.npz"
    before = (cell / "events.jsonl").read_bytes()
    assert main(["export", str(cell), "--out", str(file)]) == 0
    assert main(["verify", str(file)]) == 0
    assert main(["verify", str(cell / "string.safetensors"), "--grid", "501"]) == 0
    assert "HOLDS" in capsys.readouterr().out
    assert main(["resume", str(cell), "--headless"]) == 0
    assert "this run has ended. Connected, proven: 8 beads" in capsys.readouterr().err
    assert (cell / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize(("level", "number"), [("5e-2", 0), ("2e-2", 2)])
def test_a_cell_is_the_run_alone_bit_for_bit(
    whole: Path, tmp_path: Path, level: str, number: int
) -> None:
    alone = tmp_path / "alone"
    overrides = [*TINY, "--set", f"search.level={level}", "--seed", str(number)]
    assert main(["run", "quadratic", *overrides, "--headless", "--out", str(alone)]) == 0
    cell = pair(whole, str(float(level)), number).path
    assert (cell / "run.yaml").read_text() == (alone / "run.yaml").read_text()
    assert load(cell / "run.yaml").search.batching == "fused"
    assert same_string(cell, alone)
    assert facts(cell) == facts(alone)


def test_run_yaml_of_a_cell_repeats_it(whole: Path, tmp_path: Path) -> None:
    cell, again = pair(whole, "0.02", 0).path, tmp_path / "again"
    assert main(["run", str(cell / "run.yaml"), "--headless", "--out", str(again)]) == 0
    assert same_string(cell, again)


def test_with_vmap_a_cell_is_the_run_alone_up_to_rounding(tmp_path: Path) -> None:
    out, alone = tmp_path / "sweep", tmp_path / "alone"
    vmap = ["--set", "search.batching=vmap"]
    command = ["sweep", "quadratic", "--levels", "5e-2", "--pairs", "2", *TINY, *vmap]
    assert main([*command, "--out", str(out)]) == 0
    level = ["--set", "search.level=5e-2"]
    run = ["run", "quadratic", *TINY, *vmap, *level, "--headless", "--out", str(alone)]
    assert main(run) == 0
    one, other = (
        read(path / "string.safetensors").string for path in (pair(out, "0.05", 0).path, alone)
    )
    np.testing.assert_allclose(one.beads, other.beads, atol=1e-3)
    np.testing.assert_allclose(one.profiles, other.profiles, atol=1e-3)


def test_levels_that_look_alike_have_folders_of_their_own() -> None:
    spec = load_preset("quadratic")
    levels = (0.1234567, 0.12345671, 1e-7, 3.0, 1e22)
    plan = Plan(spec, levels, 2)
    names = [cell.run.path.as_posix() for cell in plan.cells(Path("out"))]
    assert len(set(names)) == 10
    assert names[6] == "out/level-3/pair-0000"
    assert [plan.at(level).search.level for level in levels] == list(levels)
    assert [plan.at(0.1, number).seed for number in (0, 7)] == [spec.seed, spec.seed + 7]


# ---------------------------------------------------------------- tables


def test_the_table_agrees_with_numpy(whole: Path) -> None:
    held, levels = lines(whole), lines(whole, "levels.csv")
    assert [(line["level"], line["pair"], line["seed"]) for line in held] == [
        (level, number, number) for level in ("0.05", "0.02") for number in ("0", "1", "2")
    ]
    tree = json.loads((whole / "sweep.json").read_text())
    for line, row in zip(levels, tree["levels"], strict=True):
        mine = [cell for cell in held if cell["level"] == line["level"]]
        assert (line["pairs"], line["connected"]) == ("3", "3")
        for name in ("normalized_length", "beads"):
            values = np.array([float(cell[name]) for cell in mine])
            error = np.std(values, ddof=1) / np.sqrt(len(values))
            assert float(line[f"{name}_mean"]) == pytest.approx(values.mean())
            assert float(line[f"{name}_standard_error"]) == pytest.approx(error)
            assert row[name] == pytest.approx({"mean": values.mean(), "standard_error": error})
        steps = np.median([float(cell["bead_steps"]) for cell in mine])
        assert float(line["median_bead_steps"]) == row["median_bead_steps"] == steps
    assert [{key: told(value) for key, value in cell.items()} for cell in tree["cells"]] == held


def told(value: Any) -> str:
    """Returns a value as the tables say it."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def test_lines_are_what_the_cells_say(whole: Path) -> None:
    for line in lines(whole):
        run = pair(whole, line["level"], int(line["pair"]))
        held = read(run.string)
        length = np.linalg.norm(np.diff(held.string.beads.astype(float), axis=0), axis=1).sum()
        chord = np.linalg.norm(held.string.beads[-1].astype(float) - held.string.beads[0])
        assert int(line["beads"]) == len(held.string.beads)
        assert float(line["normalized_length"]) == pytest.approx(length / chord)
        assert line["outcome"] == held.header.outcome == "connected"
        assert line["certified"] == json.dumps(held.header.audit["certified"])
        assert load(run.spec).seed == int(line["seed"]) == held.header.seed


def test_pairs_that_fail_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unreachable level, and a limit that some pairs run into."""
    out = tmp_path / "sweep"
    few = ["endpoints.max_steps=400", "endpoints.restarts=0", "limits.steps=500"]
    overrides = [part for setting in few for part in ("--set", setting)]
    command = ["sweep", "quadratic", "--levels", "5e-2,1e-9", *THREE, *TINY, *overrides]
    assert main([*command, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    outcomes = {
        level: Counter(line["outcome"] for line in lines(out) if line["level"] == level)
        for level in ("0.05", "1e-09")
    }
    assert outcomes["1e-09"] == {"endpoint_not_trained": 3}
    assert outcomes["0.05"] == {"connected": 2, "limit_reached": 1}
    for line in lines(out, "levels.csv"):
        for kind in ("connected", "not_connected", "endpoint_not_trained", "limit_reached"):
            assert int(line[kind]) == outcomes[line["level"]][kind]
    table = printed.out.splitlines()
    titles = ("level", "connected", "proven", "length ± s.e.", "beads ± s.e.", "median steps")
    costs = ("gradients", "not connected *")
    assert re.fullmatch(" +".join([*titles, *costs]), table[0].strip())
    counted = r" 0\.05 +2 of 3 +2 of 2 +1\.\d{4} ± 0\.\d{4} .* 1 limit reached *"
    assert re.fullmatch(counted, table[1])
    assert re.fullmatch(r"1e-09 +0 of 3 +– +– +– +800 +51 328 +3 endpoint not trained *", table[2])
    assert "6 of 6 cells ended, 2 connected" in printed.err.splitlines()[-1]


def test_json_is_all_there_is_on_stdout(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([*COMMAND, "--out", str(copy), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads((copy / "sweep.json").read_text())
    assert printed == (copy / "sweep.json").read_text()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("levels", ["", "high", "0.1,", "0", "-1", "0.1,nan", "inf", "0.1,1e-1"])
def test_bad_levels_are_refused(
    levels: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "quadratic", f"--levels={levels}", *THREE, "--out", str(tmp_path / "new")]
    refused(capsys, command, "--levels", repr(levels))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quadratic", "--pairs", "0"], ["--pairs: is 0"]),
        (["quadratic", "--pairs", "2", "--at-once", "0"], ["--at-once: is 0"]),
        (["quadratic", "--pairs", "2", "--at-once", "10000000"], ["--at-once", "ulimit -n"]),
        (["quadratik", "--pairs", "2"], ["did you mean 'quadratic'?"]),
        (["quadratic", "--pairs", "2", "--set", "search.level=0.1"], ["--levels"]),
        (["quadratic", "--pairs", "2", "--set", "search.alpha=7"], ["search.alpha"]),
        (["quadratic", "--pairs", "2", "--device", "cuda:63"], ["device", "quadratic"]),
    ],
)
def test_what_cannot_run_is_refused(
    arguments: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["sweep", *arguments, *LEVELS, "--out", str(tmp_path / "new")], *words)
    assert not (tmp_path / "new").exists()


def test_every_level_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate = ["--set", "search.level_on.metric=error_rate"]
    command = ["sweep", "digits", "--levels", "0.1,1.5", *THREE, *rate]
    refused(capsys, [*command, "--out", str(tmp_path / "new")], "search.level: is 1.5")
    assert not (tmp_path / "new").exists()


def test_a_level_that_does_not_fit_the_preset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "quadratic", "--levels", "0.1,lowest", *THREE]
    refused(
        capsys,
        [*command, "--out", str(tmp_path / "new")],
        "quadratic: search.level: is lowest, but the ends are trained until they reach",
    )
    assert not (tmp_path / "new").exists()


# ---------------------------------------------------------------- levels that come about

BY_EPOCHS = ["endpoints.until=epochs", "endpoints.epochs=60", "search.resolution=0.2"]
SETS = [*TINY, *(part for line in BY_EPOCHS for part in ("--set", line))]
ASKED = ["sweep", "quadratic", "--levels", "lowest,1.5x", "--pairs", "2", *SETS]


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two pairs at the lowest level of each and at 1.5 times its worse end's."""
    out = tmp_path_factory.mktemp("lowest") / "sweep"
    assert main([*ASKED, "--out", str(out)]) == 0
    return out


def test_a_sweep_finds_the_lowest_level_of_each_pair(
    lowest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the run alone finds it, to the bit; the table holds the mean of what was found."""
    cells = lines(lowest)
    assert [(cell["level"], cell["pair"]) for cell in cells] == [
        (level, pair) for level in ("lowest", "1.5x") for pair in "01"
    ]
    found = np.array([float(cell["level_found"]) for cell in cells])
    assert len(set(found)) == 4
    alone = tmp_path / "alone"
    sets = [part for line in [*BY_EPOCHS, "search.level=lowest"] for part in ("--set", line)]
    assert main(["run", "quadratic", *TINY, *sets, "--seed", "1", "--out", str(alone)]) == 0
    end = ending(RunDir(alone))
    assert end is not None and end.level == found[1]
    assert same_string(lowest / "level-lowest" / "pair-0001", alone)
    rows = lines(lowest, "levels.csv")
    for row, levels in zip(rows, (found[:2], found[2:]), strict=True):
        assert float(row["level_found_mean"]) == pytest.approx(levels.mean())
        error = levels.std(ddof=1) / 2**0.5
        assert float(row["level_found_standard_error"]) == pytest.approx(error)
    for cell, level in zip(cells, found, strict=True):
        assert float(cell["max_peak"]) <= level
    capsys.readouterr()
    assert main([*ASKED, "--out", str(lowest)]) == 0  # the same command finds it as it is
    said = capsys.readouterr().out
    assert "found ± s.e." in said and f"{found[:2].mean():.3g} ± " in said


OTHERS = [
    (["--pairs", "2"], "--pairs 3"),
    (["--levels", "5e-2,1e-2"], "--levels 0.05,0.02;"),
    (["--levels", "2e-2"], "--levels 0.05,0.02;"),
    (["--seed", "7"], "seed 0"),
    (["--set", "search.alpha=0.7"], "search.alpha 0.8"),
    (["--set", "search.batching=vmap"], "search.batching fused"),
]


@pytest.mark.parametrize(("other", "words"), OTHERS)
def test_the_folder_of_another_sweep_is_refused(
    other: list[str], words: str, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "sweep.yaml").read_bytes()
    refused(capsys, [*COMMAND, *other, "--out", str(whole)], "holds another sweep", words)
    assert (whole / "sweep.yaml").read_bytes() == before


def test_a_sweep_that_has_ended_goes_on_with_more_pairs(
    whole: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cells that there were are kept as they are."""
    command = [*COMMAND[: COMMAND.index("--pairs")], "--pairs", "4"]
    rest = COMMAND[COMMAND.index("--pairs") + 2 :]
    assert main([*command, *rest, "--out", str(copy)]) == 0
    assert [cell for cell in lines(copy) if cell["pair"] != "3"] == lines(whole)
    assert sum(cell["pair"] == "3" for cell in lines(copy)) == 2


def test_a_sweep_that_has_ended_goes_on_with_more_levels(whole: Path, copy: Path) -> None:
    """The cells that there were are kept as they are, and tables tell all in the order asked."""
    levels = ["--levels", "1e-1,5e-2,2e-2"]
    assert main(["sweep", "quadratic", *levels, *THREE, *TINY, "--out", str(copy)]) == 0
    cells = lines(copy)
    assert [cell for cell in cells if cell["level"] != "0.1"] == lines(whole)
    assert [cell["level"] for cell in cells] == 3 * ["0.1"] + 3 * ["0.05"] + 3 * ["0.02"]
    assert all(cell["outcome"] == "connected" for cell in cells)


def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    refused(capsys, [*COMMAND, "--out", str(tmp_path)], "is not empty (it holds notes.txt)")
    refused(capsys, [*COMMAND, "--out", str(tmp_path / "notes.txt")], "--out", "cannot be used")
    refused(capsys, [*COMMAND, "--out", str(tmp_path / "notes.txt" / "a")], "cannot be used")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["", "{", "sweep: 3", "sweep: {pairs: 3}", "\x00\xff", "[1]"])
def test_a_description_that_is_none_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.yaml").write_bytes(text.encode("latin-1"))
    refused(capsys, [*COMMAND, "--out", str(tmp_path)], "sweep.yaml")


def test_what_a_killed_start_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".sweep.yaml.4711.tmp").touch()
    (tmp_path / ".lock").touch()
    begun = begin(tmp_path)
    assert begun.cells == 6 and begun.count() == 0


# ---------------------------------------------------------------- going on


def test_what_has_ended_is_not_run_again(copy: Path) -> None:
    """Levels in another notation are the same."""
    before = {run.path: run.events.read_bytes() for run in cells(copy)}
    tables = untimed(copy)
    (copy / "sweep.csv").unlink()
    command = ["sweep", "quadratic", "--levels", "0.05,0.020", *THREE, *TINY]
    assert main([*command, "--out", str(copy)]) == 0
    assert {run.path: run.events.read_bytes() for run in cells(copy)} == before
    assert untimed(copy) == tables


def test_a_sweep_keeps_what_was_decided_on_the_machine_s_account(tmp_path: Path) -> None:
    """Rounding depends on it. What is said outright must be the same."""
    first = begin(tmp_path / "a", "workers=3", "search.batching=vmap")
    for overrides in ([], ["device=cpu"], ["workers=3"]):
        again = begin(tmp_path / "a", *overrides)
        assert again.plan == first.plan
        assert again.plan.spec.search.batching == "vmap"
    with pytest.raises(InputError, match=r"begun with workers 3;"):
        begin(tmp_path / "a", "workers=2")
    with pytest.raises(InputError, match=r"begun with search\.batching vmap;"):
        begin(tmp_path / "a", "search.batching=loop")


def test_a_changed_limit_of_a_cell_is_kept(copy: Path) -> None:
    """As after `dss-tui resume CELL --set limits.beads=…`: it stands in the cell's run.yaml."""
    cell = pair(copy, "0.02", 1)
    cell.events.unlink()
    text = cell.spec.read_text()
    cell.spec.write_text(text.replace("beads: 2000", "beads: 2"))
    assert main([*COMMAND, "--out", str(copy)]) == 0
    assert lines(copy)[4]["outcome"] == "limit_reached"


ENDINGS: list[tuple[list[str], str | None]] = [
    ([], None),
    (["", "x"], None),
    (['{"seq": 1, "time": 0.5, "event": "paused"}', ""], None),
    (["connected", ""], "connected"),
    (["connected", '{"seq": 9, "ti'], "connected"),
    (["connected"], None),
    (["stopped", ""], None),
    (["failed", ""], "failed"),
    (["connected", '{"seq": 9, "time": 0.5, "event": "continued", "from_seq": 3}', ""], None),
]


@pytest.mark.parametrize(("story", "outcome"), ENDINGS)
def test_how_a_cell_ended(story: list[str], outcome: str | None, tmp_path: Path) -> None:
    from engine.record.events import Record, RunFinished

    totals = Totals(3, 2, 2, 0, 1, (2, 1), 55, 0.01, 1.5, 0.7)
    written = [
        Record(8, 0.7, RunFinished(Outcome(line), "It ended.", totals)).to_line()
        if line in set(Outcome)
        else line
        for line in story
    ]
    run = RunDir(tmp_path)
    if story:
        run.events.write_text("\n".join(written))
    end = ending(run)
    assert (None if end is None else str(end.outcome)) == outcome
    assert end is None or end.totals == totals


# ---------------------------------------------------------------- bounds


def test_no_more_cells_are_under_way_than_asked(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are more methods in memory, or files open."""
    opened: list[int] = []
    methods: list[weakref.ref[Method]] = []
    alive: list[int] = []

    class Counted(CellWriter):
        def __enter__(self) -> Counted:
            opened.append(1)
            return self

        def __exit__(self, *_: object) -> None:
            super().__exit__(*_)
            opened.append(-1)

    def build(*arguments: Any) -> Method:
        gc.collect()
        alive.append(sum(held() is not None for held in methods))
        method = build_method(*arguments)
        methods.append(weakref.ref(method))
        return method

    monkeypatch.setattr(run_cells, "CellWriter", Counted)
    monkeypatch.setattr(job, "build_method", build)
    before = threading.active_count()
    assert main([*COMMAND, "--at-once", "2", "--out", str(tmp_path / "sweep")]) == 0
    assert max(np.cumsum(opened)) == 2 and sum(opened) == 0 and len(opened) == 12
    assert max(alive) <= 1 and len(alive) == 6
    gc.collect()
    assert not any(held() for held in methods)
    assert threading.active_count() == before
    assert untimed(tmp_path / "sweep") == untimed(whole)
    assert same_cells(tmp_path / "sweep", whole)


# ---------------------------------------------------------------- pauses and stops


@contextmanager
def in_background(begun: Sweep, signals: Signals) -> Iterator[threading.Thread]:
    """The sweep runs in a thread, which must have ended by itself at the end of the block."""
    thread = threading.Thread(target=begun.run, args=(signals,))
    thread.start()
    try:
        yield thread
        thread.join()
    finally:
        signals.ask(signal.SIGTERM)
        thread.join()


def wait_for(condition: Callable[[], bool], going: Callable[[], bool]) -> None:
    """Until the condition holds or nothing goes on any more; what is stuck fails the test."""
    for _ in range(6000):
        if condition() or not going():
            return
        time.sleep(0.02)
    raise AssertionError("it neither happened nor ended")


def paused(out: Path) -> RunDir:
    """A cell that is to pause when it begins."""
    cell = pair(out, "0.02", 2)
    cell.path.mkdir(parents=True)
    send(cell, "pause")
    return cell


def test_a_paused_cell_does_not_hold_up_the_others(whole: Path, tmp_path: Path) -> None:
    begun = begin(tmp_path)
    cell = paused(tmp_path)
    with in_background(begun, Signals()) as thread:
        wait_for(lambda: begun.count() == 5, thread.is_alive)
        assert begun.count(Outcome.CONNECTED) == 5
        assert summarize(cell).state == "paused"
        assert thread.is_alive()
        send(cell, "continue")
    assert begun.count(Outcome.CONNECTED) == 6
    assert same_cells(tmp_path, whole)


def test_a_signal_reaches_a_paused_cell(whole: Path, tmp_path: Path) -> None:
    begun = begin(tmp_path)
    cell, signals = paused(tmp_path), Signals()
    with in_background(begun, signals) as thread:
        wait_for(lambda: begun.count() == 5, thread.is_alive)
        signals.ask(signal.SIGTERM)
    assert begun.count() == 5
    assert summarize(cell).state == "stopped"
    assert cell.checkpoint.exists()
    before = {run.path: run.events.read_bytes() for run in cells(tmp_path)}
    assert main([*COMMAND, "--out", str(tmp_path)]) == 0
    after = {run.path: run.events.read_bytes() for run in cells(tmp_path)}
    assert [path for path in before if before[path] != after[path]] == [cell.path]
    assert names(cell).count("continued") == 1 and names(cell)[-1] == "run_finished"
    assert untimed(tmp_path) == untimed(whole)
    assert same_cells(tmp_path, whole)


def test_a_cell_that_was_stopped_is_left_to_the_next_time(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path)
    cell = pair(tmp_path, "0.05", 1)
    cell.path.mkdir(parents=True)
    send(cell, "stop")
    assert main([*COMMAND, "--out", str(tmp_path)]) == 3
    assert (
        f"1 of 6 cells have not ended; `dss-tui resume {tmp_path}` goes on"
        in capsys.readouterr().err
    )
    assert summarize(cell).state == "stopped"
    assert [line["pairs"] for line in lines(tmp_path, "levels.csv")] == ["2", "3"]
    assert main([*COMMAND, "--out", str(tmp_path)]) == 0
    assert untimed(tmp_path) == untimed(whole)


def test_a_sweep_pauses_goes_on_and_stops_as_a_whole(whole: Path, tmp_path: Path) -> None:
    """And goes on from there to the same strings, although rounds were skipped for the stop."""
    begun = begin(tmp_path, "checkpoint_seconds=1000")
    folder = RunDir(tmp_path)

    def states() -> Counter[str]:
        return Counter(summarize(run).state for run in cells(tmp_path))

    with in_background(begun, Signals()) as thread:
        wait_for(lambda: begun.count() >= 1, thread.is_alive)
        send(folder, "pause")
        wait_for(lambda: states()["paused"] + begun.count() == 6, thread.is_alive)
        before = {run.path: run.events.read_bytes() for run in cells(tmp_path)}
        held = read_state(tmp_path)
        assert held is None or held.state == "paused" or not thread.is_alive()
        time.sleep(1.0)
        assert {run.path: run.events.read_bytes() for run in cells(tmp_path)} == before
        send(folder, "continue")
        send(folder, "stop")
    assert begun.count() == 6 or states()["stopped"] == 6 - begun.count()
    state = read_state(tmp_path)
    assert state is not None and (state.state, state.exit_status) == (
        "ended",
        0 if begun.count() == 6 else 3,
    )
    assert main([*COMMAND, "--set", "checkpoint_seconds=1000", "--out", str(tmp_path)]) == 0
    assert same_cells(tmp_path, whole)


# ---------------------------------------------------------------- when something goes wrong


def others_are_safe(out: Path, failed: RunDir) -> None:
    """Those that had begun have ended, or were stopped with their checkpoints; then all goes on."""
    others = [run for run in cells(out) if run.path != failed.path]
    states = Counter(summarize(run).state for run in others)
    assert set(states) <= {"connected", "stopped"}
    for run in others:
        assert run.checkpoint.exists() or summarize(run).state == "connected"
    assert main([*COMMAND, "--out", str(out)]) == 0


def test_a_failure_of_the_engine_stops_the_sweep(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def build(spec: Spec, *arguments: Any) -> Method:
        method = build_method(spec, *arguments)
        if (spec.seed, spec.search.level) == (1, 0.02):
            monkeypatch.setattr(method, "step", lambda beads_left: [][0])
        return method

    monkeypatch.setattr(job, "build_method", build)
    before = threading.active_count()
    assert main([*COMMAND, "--out", str(tmp_path)]) == 1
    cell = pair(tmp_path, "0.02", 1)
    printed = capsys.readouterr()
    assert f"dss-tui: {cell.path}: The engine failed: IndexError" in printed.err
    assert "1 failed" in printed.out
    assert f"cells have not ended; `dss-tui resume {tmp_path}` goes on" in printed.err
    assert "IndexError" in cell.log.read_text()
    assert threading.active_count() == before
    assert any(summarize(run).state == "stopped" for run in cells(tmp_path))
    monkeypatch.setattr(job, "build_method", build_method)
    others_are_safe(tmp_path, cell)
    assert untimed(tmp_path) == untimed(whole)
    assert same_cells(tmp_path, whole)


def test_a_cell_that_cannot_be_saved_stops_the_sweep(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its string cannot be written, as on a full disk."""
    begin(tmp_path)
    cell = pair(tmp_path, "0.05", 1)
    cell.string.mkdir(parents=True)
    assert main([*COMMAND, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{cell.string}: cannot be written: Is a directory" in said
    assert f"make room, then `dss-tui resume {cell.path}`" in said
    assert "Traceback" not in said
    cell.string.rmdir()
    others_are_safe(tmp_path, cell)
    assert untimed(tmp_path) == untimed(whole)


def test_a_cell_that_cannot_be_made_stops_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path)
    cell = pair(tmp_path, "0.02", 1)
    cell.path.parent.mkdir()
    cell.path.touch()
    assert main([*COMMAND, "--out", str(tmp_path)]) == 1
    assert f"{cell.path}: cannot be made: File exists" in capsys.readouterr().err
    cell.path.unlink()
    others_are_safe(tmp_path, cell)


def test_a_cell_that_another_process_runs_stops_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path)
    cell = pair(tmp_path, "0.02", 1)
    cell.path.mkdir(parents=True)
    with RunWriter(cell):
        assert main([*COMMAND, "--out", str(tmp_path)]) == 2
        assert f"{cell.path}: another process is running it" in capsys.readouterr().err
    others_are_safe(tmp_path, cell)


def test_one_process_at_a_time(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair(copy, "0.02", 1).events.unlink()
    with held(copy):
        refused_line = main([*COMMAND, "--out", str(copy)])
    assert refused_line == 2
    assert "another process is running this sweep" in capsys.readouterr().err


# ---------------------------------------------------------------- processes


@contextmanager
def started(out: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which is killed where it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dss_tui", *COMMAND, "--at-once", "3", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def begun_by(process: subprocess.Popen[str], out: Path, events: int) -> None:
    """Waits until so many events have been written, or it has ended."""

    def count() -> int:
        return sum(len(read_records(run)) for run in cells(out))

    wait_for(lambda: count() >= events, lambda: process.poll() is None)


def test_killed_sweeps_go_on(whole: Path, tmp_path: Path) -> None:
    """One that pauses, told to end; one killed at any time; and the rest."""
    draw = random.Random(3)
    begin(tmp_path)
    cell = paused(tmp_path)
    with started(tmp_path) as process:
        wait_for(lambda: "paused" in names(cell), lambda: process.poll() is None)
        process.terminate()
        _, errors = process.communicate()
    assert process.returncode == 143
    assert errors.splitlines()[-1].endswith(f"`dss-tui resume {tmp_path}` goes on")
    assert summarize(cell).state == "stopped" and cell.checkpoint.exists()
    ended = {run.path: run.events.read_bytes() for run in cells(tmp_path) if ending(run)}

    written = sum(len(read_records(run)) for run in cells(tmp_path))
    with started(tmp_path) as process:
        begun_by(process, tmp_path, written + draw.randint(2, 40))
    assert main([*COMMAND, "--out", str(tmp_path)]) == 0
    assert untimed(tmp_path) == untimed(whole)
    assert same_cells(tmp_path, whole)
    assert {path: (path / "events.jsonl").read_bytes() for path in ended} == ended


def test_cells_know_their_place() -> None:
    plan = Plan(load_preset("quadratic"), (0.5, 0.25), 2)
    first, *_, last = plan.cells(Path("out"))
    assert first == Cell(0.5, 0, RunDir(Path("out/level-0.5/pair-0000")))
    assert last == Cell(0.25, 1, RunDir(Path("out/level-0.25/pair-0001")))
