"""Comparisons whose ends and cells are handed to workers: the same as in one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.record.commands import send
from engine.record.compare_folder import ComparePlan, variants_of
from engine.record.events import Outcome
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run.batched import Batched
from engine.run.cluster.crew import OnCluster
from engine.run.cluster.errand import STOP
from engine.run.compare.comparison import AT_ONCE, Comparison, start
from engine.run.crew import Crew
from presets import load_preset
from tests.support.cluster_threads import Threads
from tests.support.run_strings import same_string, untimed

METHODS, PAIRS = "greedy,constrained", 2
KEYS = ["problem.data.points=64", "search.level=0.05", "workers=1", "device=cpu"]


def begun(folder: Path, crew: Crew, *keys: str, models: tuple[str, ...] = ()) -> Comparison:
    spec, variants = load_preset("quadratic", [*KEYS, *keys]), variants_of(METHODS, [])
    plan = ComparePlan(spec, variants, 1 if models else PAIRS, models)
    return start(plan, folder, crew)


def run(made: Comparison) -> Comparison:
    end = made.run(Signals())
    assert end.exit_status == 0, end.sentence
    made.write_tables()
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison in one process."""
    return run(begun(tmp_path_factory.mktemp("whole") / "compared", Batched(AT_ONCE))).folder


def check_same(one: Path, other: Path) -> None:
    """Two folders hold the same ends, strings and numbers, to the bit."""
    assert untimed(one / "compare.csv") == untimed(other / "compare.csv")
    ends = [path.relative_to(one) for path in sorted((one / "ends").rglob("*.*"))]
    assert len(ends) == 3 * PAIRS
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in ends)
    for line in untimed(one / "compare.csv"):
        place = f"{line['method']}/pair-000{line['pair']}"
        assert same_string(one / place, other / place)
        described, same = ((each / place / "run.yaml").read_text() for each in (one, other))
        assert described.replace(str(one), "") == same.replace(str(other), "")


def test_a_cluster_finds_what_one_process_finds(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    made = run(begun(tmp_path / "compared", OnCluster(workers)))
    check_same(whole, made.folder)
    names = [name for name, _ in workers.asked]
    assert names == ["decide", *["TrainEnds"] * 2, *["Settle"] * 2, *["Search"] * 4]
    assert not any(gpu for _, gpu in workers.asked)
    run(begun(tmp_path / "compared", OnCluster(workers)))  # nothing is left to do
    assert len(workers.asked) == len(names) + 1


def test_a_stop_is_passed_on_and_a_cluster_or_one_process_goes_on_to_the_same(
    whole: Path, workers: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.run.cluster.errand.BETWEEN_QUESTIONS_S", 0.0)
    monkeypatch.setattr("engine.run.session.BETWEEN_LOOKS_S", 0.0)
    folder, heard, at = tmp_path / "compared", 0, 4

    def asked() -> str:
        nonlocal heard
        heard += workers.asked[-1][0] == "Search"
        if heard == at:
            send(RunDir(folder), "stop")
            while workers.word != STOP:
                pass
        return workers.word

    monkeypatch.setattr(Threads, "ask", property(lambda self: asked))
    end = begun(folder, OnCluster(workers)).run(Signals())
    assert end.exit_status == 3 and "of 4 cells have not ended" in end.sentence
    assert len(list(folder.glob("*/*/checkpoint.*"))) == 1
    at = heard + 4
    assert begun(folder, OnCluster(workers)).run(Signals()).exit_status == 3
    check_same(whole, run(begun(folder, Batched(AT_ONCE))).folder)


def test_a_pair_whose_ends_are_not_trained_counts_for_each_method(
    workers: Threads, tmp_path: Path
) -> None:
    keys = ["endpoints.max_steps=1", "endpoints.restarts=0"]
    made = run(begun(tmp_path / "untrained", OnCluster(workers), *keys))
    assert {line["outcome"] for line in untimed(made.folder / "compare.csv")} == {
        Outcome.ENDPOINT_NOT_TRAINED
    }
    assert workers.count("Search") == workers.count("Settle") == 0


def test_models_of_ones_own_are_told_by_their_place_here(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    """Also where they are above the level, which the worker says that measures them."""
    ends = whole / "ends" / "pair-0000"
    models = (str(ends / "a.safetensors"), str(ends / "b.safetensors"))
    made = run(begun(tmp_path / "own", OnCluster(workers), "search.level=1e-9", models=models))
    copy = made.folder / "ends" / "pair-0000" / "a.safetensors"
    last = (made.folder / "greedy" / "pair-0000" / "events.jsonl").read_text().splitlines()[-1]
    assert f"endpoint 1 ({copy}) has training loss" in json.loads(last)["sentence"]
    assert {line["outcome"] for line in untimed(made.folder / "compare.csv")} == {
        Outcome.ENDPOINT_NOT_TRAINED
    }


def test_what_is_not_measured_yet_is_measured_by_a_worker(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    made = run(begun(tmp_path / "compared", OnCluster(workers)))
    (made.folder / "greedy" / "pair-0001" / "measured.json").unlink()
    count = workers.count("Search")
    check_same(whole, run(begun(tmp_path / "compared", OnCluster(workers))).folder)
    assert workers.count("Search") == count + 1
