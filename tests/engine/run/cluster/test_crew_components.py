"""Components whose models and searches are handed to workers: the same as in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.record.commands import send
from engine.record.components_folder import ComponentsPlan
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run.batched import Batched
from engine.run.cluster.crew import OnCluster
from engine.run.cluster.errand import STOP
from engine.run.components.components import ComponentsRun, start
from engine.run.crew import Crew
from presets import load_preset
from tests.support.cluster_threads import HANDED_BACK, Threads, workers_that
from tests.support.run_strings import same_string, untimed

LEVELS, MODELS = (0.05, 0.002), 3
KEYS = ["problem.data.points=64", "search.greedy.max_steps=2000", "workers=1", "device=cpu"]


def begun(
    folder: Path, crew: Crew, *keys: str, levels: tuple[float, ...] = LEVELS, **plan: Any
) -> ComponentsRun:
    spec = load_preset("quadratic", [*KEYS, *keys])
    return start(ComponentsPlan(spec, levels, MODELS, **plan), folder, crew)


def run(made: ComponentsRun) -> ComponentsRun:
    end = made.run(Signals())
    assert end.exit_status == 0, end.sentence
    made.write_tables()
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The components in one process."""
    return run(begun(tmp_path_factory.mktemp("whole") / "many", Batched())).folder


def check_same(one: Path, other: Path) -> None:
    """Two folders hold the same models, searches and tables, to the bit."""
    for name in ("levels.csv", "components.csv", "disconnectivity.csv"):
        assert (one / name).read_text() == (other / name).read_text()
    assert untimed(one / "searches.csv") == untimed(other / "searches.csv")
    for path in sorted((one / "models").iterdir()):
        assert path.read_bytes() == (other / "models" / path.name).read_bytes()
    for search in untimed(one / "searches.csv"):
        assert same_string(one / search["run"], other / search["run"])


def test_a_cluster_finds_what_one_process_finds(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    made = run(begun(tmp_path / "many", OnCluster(workers)))
    check_same(whole, made.folder)
    count = len(untimed(whole / "searches.csv"))
    assert [name for name, _ in workers.asked] == [
        "decide",
        *["TrainEnds"] * 2,
        "Tell",
        *["Search"] * count,
    ]
    assert not any(gpu for _, gpu in workers.asked)
    assert workers.lacking in (0, count + 1)  # files are sent where they are not seen, alone
    assert not list(made.folder.rglob(".cluster-*"))
    for each in untimed(made.folder / "searches.csv"):
        described = made.folder / each["run"] / "run.yaml"
        assert f"a: {made.folder}/models/model-000{each['a']}.safetensors" in described.read_text()
        assert (made.folder / each["run"] / "measured.json").exists()
    run(begun(tmp_path / "many", OnCluster(workers)))  # nothing is left to do
    assert workers.count("Search") == count and workers.count("TrainEnds") == 2


@pytest.mark.parametrize("moment", ["TrainEnds", "Search"])
def test_a_stop_is_passed_on_and_one_process_goes_on_to_the_same(
    whole: Path,
    workers: Threads,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """It comes when a task is under way; a search then leaves its checkpoint."""
    monkeypatch.setattr("engine.run.cluster.errand.BETWEEN_QUESTIONS_S", 0.0)
    monkeypatch.setattr("engine.run.session.BETWEEN_LOOKS_S", 0.0)
    made, seen = begun(tmp_path / "many", OnCluster(workers)), 0

    def asked() -> str:
        nonlocal seen
        seen += workers.asked[-1][0] == moment
        if seen == 4:
            send(RunDir(made.folder), "stop")
            while workers.word != STOP:
                pass
        return workers.word

    monkeypatch.setattr(Threads, "ask", property(lambda self: asked))
    end = made.run(Signals())
    assert end.exit_status == 3 and "` goes on" in end.sentence
    stopped = list(made.folder.glob("level-*/*/checkpoint.*"))
    assert bool(stopped) == (moment == "Search")
    check_same(whole, run(begun(tmp_path / "many", Batched())).folder)


def test_a_search_that_was_stopped_on_a_worker_goes_on_on_another(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its models and its checkpoint go with it, each time to another folder."""
    workers = workers_that(HANDED_BACK, monkeypatch)
    monkeypatch.setattr("engine.run.cluster.errand.BETWEEN_QUESTIONS_S", 0.0)
    monkeypatch.setattr("engine.run.session.BETWEEN_LOOKS_S", 0.0)
    stops = iter([*["go"] * 3, "stop"])
    made = begun(tmp_path / "many", OnCluster(workers))

    def asked() -> str:
        return next(stops, "go") if workers.asked[-1][0] == "Search" else "go"

    monkeypatch.setattr(Threads, "ask", property(lambda self: asked))
    assert made.run(Signals()).exit_status == 3
    # The worker lacks the files of each search at first, so either may have come first.
    (stopped,) = made.folder.glob("level-*/*/checkpoint.safetensors")
    check_same(whole, run(begun(tmp_path / "many", OnCluster(workers))).folder)
    assert '"continued"' in stopped.with_name("events.jsonl").read_text()


def test_pairs_that_make_problems_of_their_own_are_searched_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There they are searched one after another; what does not move is in the models' files."""
    workers, keys = workers_that(HANDED_BACK, monkeypatch), ["path_parameters='*.weight'"]
    alone = run(begun(tmp_path / "alone", Batched(), *keys, levels=(0.05,)))
    many = run(begun(tmp_path / "many", OnCluster(workers), *keys, levels=(0.05,)))
    check_same(alone.folder, many.folder)
    assert workers.count("Search") == len(untimed(many.folder / "searches.csv")) > 1


def test_models_of_ones_own_are_read_where_they_lie(
    whole: Path, workers: Threads, tmp_path: Path
) -> None:
    """That is on the machine that asks; the searches get copies."""
    given = tuple(str(whole / "models" / f"model-000{number}.safetensors") for number in range(3))
    made = run(begun(tmp_path / "own", OnCluster(workers), given=given))
    assert workers.count("TrainEnds") == 0 and workers.count("Tell") == 1
    assert [line["peak"] for line in untimed(made.folder / "searches.csv")] == [
        line["peak"] for line in untimed(whole / "searches.csv")
    ]
    nowhere = (*given[:2], str(tmp_path / "none.safetensors"))
    with pytest.raises(InputError, match=r"none\.safetensors"):
        begun(tmp_path / "none", OnCluster(workers), given=nowhere)
    assert not (tmp_path / "none").exists()
