"""Comparisons of methods as a user meets them: the same ends, one evaluator, and nothing lost."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from scipy.integrate import trapezoid

import engine
from dss_tui.cli import main
from engine.record.compare_folder import ComparePlan, variants_of
from engine.record.compare_tables import Measurement
from engine.record.events import Outcome
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.record.sweep_folder import measurement
from engine.record.sweep_summary import summarize_any
from engine.run.batched import Batched
from engine.run.compare.comparison import AT_ONCE, start
from engine.run.prepare import prepare
from engine.run.search import Search
from presets import load_preset
from tests.support.commands import refused_before_anything
from tests.support.damage import end_as_failed, flip_in_tensors, without_checksums

KEYS = ["problem.data.points=64", "search.level=0.05"]
SET = [part for key in KEYS for part in ("--set", key)]
METHODS = "greedy,constrained,greedy+shorten"
COMMAND = ["compare", "quadratic", "--methods", METHODS, "--pairs", "2", *SET]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that nothing happened to: three methods, two pairs, all of them connected."""
    out = tmp_path_factory.mktemp("whole") / "compared"
    assert main([*COMMAND, "--out", str(out)]) == 0
    return out


def lines(out: Path, name: str = "compare.csv") -> list[dict[str, str]]:
    with open(out / name, newline="") as file:
        return list(csv.DictReader(file))


def untimed(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in line.items() if k != "elapsed_s"} for line in lines(out)]


def beads(out: Path, method: str, pair: int) -> np.ndarray[Any, Any]:
    return read(out / method / f"pair-{pair:04}" / "string.safetensors").string.beads


@pytest.mark.parametrize("pair", [0, 1])
def test_all_methods_get_the_ends_that_a_search_of_that_seed_trains(whole: Path, pair: int) -> None:
    """Constrained DSS, which would move ends of its own, holds them too."""
    spec = load_preset("quadratic", KEYS, seed=pair).of_a_new_run()
    with Search(prepare(spec)) as search:
        finished = search.run()
        alone = search.string().string.beads
    for method in METHODS.split(","):
        found = beads(whole, method, pair)
        assert found[[0, -1]].tobytes() == alone[[0, -1]].tobytes()
    assert beads(whole, "greedy", pair).tobytes() == alone.tobytes()
    told = json.loads((whole / "ends" / f"pair-{pair:04}" / "ends.json").read_text())
    (line,) = (e for e in lines(whole) if (e["method"], e["pair"]) == ("greedy", str(pair)))
    together = told["sample_gradients"] + int(line["sample_gradients"])
    assert told["trained"] and together == finished.totals.sample_gradients


def test_the_tables_hold_what_an_independent_measurement_finds(whole: Path) -> None:
    rows = lines(whole)
    assert [(row["method"], row["pair"]) for row in rows] == [
        (method, pair) for method in METHODS.split(",") for pair in "01"
    ]
    for row in rows:
        string = read(whole / row["method"] / f"pair-000{row['pair']}" / "string.safetensors")
        found = engine.measure(string, points=601)
        assert float(row["peak"]) == pytest.approx(max(each.peak for each in found), rel=1e-6)
        assert row["connected"] == "true" and float(row["peak"]) <= 0.05
        steps = np.linalg.norm(np.diff(string.string.beads.astype(float), axis=0), axis=1)
        means = [trapezoid(each.losses, each.t) for each in found]
        mean = float(np.average(means, weights=steps))
        assert float(row["mean_loss"]) == pytest.approx(mean, rel=1e-4)
        assert int(row["beads"]) == len(string.string.beads)
    by_method = {row["method"]: row for row in lines(whole, "methods.csv")}
    lengths = [float(row["normalized_length"]) for row in rows if row["method"] == "constrained"]
    assert float(by_method["constrained"]["normalized_length_mean"]) == np.mean(lengths)
    assert by_method["greedy+shorten"]["connected"] == "2"
    short, plain = (
        float(by_method[name]["normalized_length_mean"]) for name in ("greedy+shorten", "greedy")
    )
    assert short < plain
    tree = json.loads((whole / "compare.json").read_text())
    assert len(tree["cells"]) == 6 and [each["trained"] for each in tree["ends"]] == [True, True]


def test_cells_are_ordinary_runs_and_the_folder_is_listed(whole: Path) -> None:
    run = RunDir(whole / "constrained" / "pair-0001")
    assert summarize_any(run).state == "connected" and run.load_spec().endpoints.kind == "files"
    listed = summarize_any(RunDir(whole))
    assert listed.state == "ended" and listed.pairs == (6, 6)


class Stops:
    """Signals, of which one comes once a path exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def received(self) -> signal.Signals | None:
        return signal.SIGTERM if self.path.exists() else None


def test_a_comparison_that_was_ended_within_a_cell_goes_on_to_the_same_numbers(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    plan = ComparePlan(load_preset("quadratic", KEYS), variants_of(METHODS, []), 2)
    begun = start(plan, out, Batched(AT_ONCE))
    stops: Any = Stops(out / "constrained" / "pair-0000" / "events.jsonl")
    end = begun.run(stops)
    assert end.exit_status == 128 + signal.SIGTERM and "5 of 6 cells have not ended" in end.sentence
    assert main([*COMMAND, "--out", str(out), "--json"]) == 0
    assert untimed(out) == untimed(whole)
    printed = json.loads(capsys.readouterr().out)
    assert [each["method"] for each in printed["methods"]] == METHODS.split(",")


def test_what_is_not_measured_yet_is_measured_by_the_same_command(
    whole: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    (copy / "greedy" / "pair-0001" / "measured.json").unlink()
    (copy / "compare.csv").unlink()
    assert main([*COMMAND, "--out", str(copy)]) == 0
    assert untimed(copy) == untimed(whole)


@pytest.mark.parametrize("left", ["", "{}", '{"peak": "high"}', "\x00\xff", "[[["])
def test_what_was_measured_and_is_damaged_is_measured_again(
    left: str, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    damaged = copy / "greedy" / "pair-0001" / "measured.json"
    kept = damaged.read_text()
    damaged.write_text(left)
    with pytest.raises(Damaged, match="the same command measures it again"):
        measurement(Measurement, RunDir(damaged.parent))
    assert main([*COMMAND, "--out", str(copy)]) == 0
    assert f"{damaged} is damaged, and measured again" in caplog.messages
    assert damaged.read_text() == kept and untimed(copy) == untimed(whole)


def test_a_cell_in_which_the_engine_failed_is_run_again(whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    end_as_failed(copy / "greedy" / "pair-0001")
    assert main([*COMMAND, "--out", str(copy)]) == 0
    assert untimed(copy) == untimed(whole)


def test_an_end_of_which_a_bit_has_changed_is_refused_until_it_is_trained_again(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    command = [*COMMAND, "--out", str(copy)]
    ends = copy / "ends" / "pair-0001"
    flip_in_tensors(ends / "b.safetensors")
    assert main(command) == 0  # nothing is left to do with it
    end_as_failed(copy / "greedy" / "pair-0001")
    capsys.readouterr()
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"{ends / 'b.safetensors'}: its tensor " in said and "have changed since" in said
    assert f"delete {ends / 'ends.json'}, so that" in said and said.count("dss-tui:") == 1
    (ends / "ends.json").unlink()
    assert main(command) == 0
    assert untimed(copy) == untimed(whole)
    kept = whole / "ends" / "pair-0001" / "b.safetensors"
    assert (ends / "b.safetensors").read_bytes() == kept.read_bytes()


def test_ends_of_a_version_without_checksums_are_gone_on_with(whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    for name in ("a", "b"):
        without_checksums(copy / "ends" / "pair-0001" / f"{name}.safetensors")
    end_as_failed(copy / "greedy" / "pair-0001")
    assert main([*COMMAND, "--out", str(copy)]) == 0
    assert untimed(copy) == untimed(whole)


def test_models_of_ones_own(whole: Path, tmp_path: Path) -> None:
    """A checkpoint, and the end of a string, which is the other one of that pair."""
    a = whole / "ends" / "pair-0000" / "a.safetensors"
    b = f"{whole / 'greedy' / 'pair-0000'}#last"
    out = tmp_path / "own"
    command = ["compare", str(a), b, "--preset", "quadratic", "--methods", "greedy", *SET]
    assert main([*command, "--out", str(out)]) == 0
    assert beads(out, "greedy", 0).tobytes() == beads(whole, "greedy", 0).tobytes()
    mine, theirs = untimed(out)[0], untimed(whole)[0]
    assert mine == theirs
    held = safetensors.numpy.load_file(out / "ends" / "pair-0000" / "a.safetensors")
    kept = safetensors.numpy.load_file(a)
    assert held.keys() == kept.keys()
    assert all(held[name].tobytes() == kept[name].tobytes() for name in held)
    assert json.loads((out / "compare.json").read_text())["ends"][0]["sample_gradients"] is None


def test_a_pair_whose_ends_are_not_trained_counts_for_each_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["--set", "endpoints.max_steps=1", "--set", "endpoints.restarts=0"]
    out = tmp_path / "untrained"
    command = ["compare", "quadratic", "--methods", "greedy,constrained", "--pairs", "1", *SET]
    assert main([*command, *keys, "--out", str(out)]) == 0
    assert {line["outcome"] for line in lines(out)} == {str(Outcome.ENDPOINT_NOT_TRAINED)}
    assert "1 endpoint not trained" in capsys.readouterr().out
    assert main([*command, *keys, "--out", str(out)]) == 0  # nothing is left to do


def test_a_path_that_the_evaluator_refutes_does_not_count_as_connected(
    whole: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    path = copy / "greedy" / "pair-0000" / "measured.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"holds": False, "peak": 0.06}))
    assert main([*COMMAND, "--out", str(copy)]) == 0
    (row,) = (each for each in lines(copy, "methods.csv") if each["method"] == "greedy")
    assert (row["connected"], row["refuted"]) == ("1", "1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("quadratic --methods gredy --pairs 1", "is \"gredy\"; did you mean 'greedy'?"),
        ("quadratic --methods greedy+shrten --pairs 1", "did you mean 'shorten'?"),
        ("quadratic --pairs 1", "names no method"),
        ("quadratic --methods greedy,greedy --pairs 1", "names greedy twice"),
        ("quadratic --methods greedy", "--pairs: is missing"),
        ("quadratic --methods greedy,linear --pairs 1", "the method linear cannot run here"),
        ("quadratic --methods greedy --pairs 1 --grid 2", "--grid: is 2"),
        ("quadratic --methods greedy --pairs 1 --set search.level=lowest", "endpoints.until"),
        ("a.pt b.pt --methods greedy", "--preset: is missing"),
        ("a.pt --preset quadratic --methods greedy", "is one model"),
        ("a.pt b.pt --preset quadratic --methods greedy", "a.pt"),
        ("a.pt b.pt --preset quadratic --methods greedy --pairs 2", "give 1, since the ends"),
        ("quadratic --variant ends:seed=1 --pairs 1", "other than ends"),
        ("quadratic --variant x:search.level=1 --pairs 1", "x sets search.level"),
        ("quadratic --variant x:endpoints.alpha=1 --pairs 1", "x sets endpoints.alpha"),
        ("quadratic --variant x:search.greedy.grid=1 --pairs 1", "of the method x"),
        ("quadratic --variant x --pairs 1", "NAME:key=value"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused_before_anything(capsys, ["compare", *words.split()], said, tmp_path)


def test_another_comparison_in_the_folder_is_refused(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*COMMAND, "--out", str(whole)]
    command[command.index(METHODS)] = "greedy"
    assert main(command) == 2
    assert "holds another comparison, begun with --methods" in capsys.readouterr().err
