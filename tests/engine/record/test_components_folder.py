"""The plan of components, what is read of its folder, and the tables that follow from it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import InputError
from engine.record.components_folder import (
    ComponentsPlan,
    models_path,
    numbers,
    plan_for,
    read_plan,
)
from engine.record.components_tables import Components, Searched
from engine.record.components_texts import texts
from engine.record.events import Outcome
from engine.record.finding import COMPONENTS, find_any, is_components, kind_of
from engine.record.plans import read_any_plan
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.sweep_summary import summarize_any
from engine.record.sweeps import SweepReader
from engine.run.cells import ending
from engine.spec.grid import levels_of
from tests.support.components_folders import components_of, run_of, searched, tell_models
from tests.support.sweep_folders import begin


def found_in(folder: Path, plan: ComponentsPlan) -> Components:
    ended = ((cell, ending(cell.run)) for cell in plan.cells(folder))
    results = [plan.result_of(cell, end) for cell, end in ended if end is not None]
    found = plan.found(folder, [each for each in results if each is not None])
    assert found is not None
    return found


@pytest.fixture
def half(tmp_path: Path) -> tuple[ComponentsPlan, Path]:
    """All searches at the lower level have ended: one found a path, one did not."""
    plan = components_of(tmp_path)
    tell_models(plan, tmp_path)
    searched(tmp_path, 0.02, (0, 1), Outcome.CONNECTED, 0.018, proven=True)
    searched(tmp_path, 0.02, (0, 2), Outcome.NOT_CONNECTED, 0.07, 0.06)
    return plan, tmp_path


def test_damaged_models_are_told_with_a_remedy(half: tuple[ComponentsPlan, Path]) -> None:
    plan, folder = half
    models_path(folder).write_text("rubbish")
    with pytest.raises(
        Damaged, match=r"models\.json: .*; delete it, and the same command measures"
    ):
        plan.left(folder, [])


def test_a_plan_comes_back_from_its_folder(tmp_path: Path) -> None:
    plan = components_of(tmp_path, "endpoints.align=weights")
    assert read_plan(tmp_path) == read_any_plan(tmp_path) == plan
    assert is_components(tmp_path) and kind_of(tmp_path) == "set of components"
    assert find_any(str(tmp_path)).path == tmp_path.absolute()
    assert plan.pairs == 6 and plan.columns[-1] == "2–3" and plan.asked.aligned == "weights"
    given = replace(plan, given=("a", "b", "c", "d"))
    (tmp_path / COMPONENTS).write_text(given.text())
    assert read_plan(tmp_path) == given


@pytest.mark.parametrize(
    "change",
    [
        {"levels": []},
        {"levels": [0.1, "lowest"]},
        {"levels": [0.1, 0.1]},
        {"models": 1},
        {"models": 10**6},
        {"tries": 0},
        {"points": 4},
        {"given": ["a"]},
        {"given": [1, 2, 3, 4]},
    ],
)
def test_what_no_command_wrote_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    components_of(tmp_path)
    file = tmp_path / COMPONENTS
    tree = yaml.safe_load(file.read_text())
    tree["components"] |= change
    file.write_text(yaml.safe_dump(tree))
    with pytest.raises(InputError, match="is not what `dss-tui components` wrote"):
        read_plan(tmp_path)
    assert SweepReader(RunDir(tmp_path)).look().state == "damaged"


def test_levels_are_numbers() -> None:
    assert numbers(levels_of(["0.5", "1e-3"])) == (0.5, 0.001)
    for other, said in (("lowest", "lowest"), ("1.5x", "times_ends=1.5")):
        with pytest.raises(ValueError, match=said):
            numbers(levels_of(["0.5", other]))


def test_the_same_components_go_on_and_others_are_refused(tmp_path: Path) -> None:
    plan = components_of(tmp_path)
    turned = replace(plan, levels=plan.levels[::-1])  # the order in which they are named is free
    assert plan_for(turned, tmp_path) == plan
    for other, said in (
        (replace(plan, tries=2), "begun with --tries 1"),
        (replace(plan, models=5), "begun with --models 4"),
        (replace(plan, levels=(0.05, 0.01)), "begun with --levels 0.05,0.02"),
    ):
        with pytest.raises(InputError, match=said):
            plan_for(other, tmp_path)
    searching = plan.spec_of(0.05, 4, tmp_path)
    assert (searching.seed, searching.search.level) == (7, 0.05)
    assert searching.endpoints.a == str(plan.model_file(tmp_path, 1))
    assert plan.training_spec(1).seed == 4 and plan.training_spec(1).search.level == 0.02


def test_what_is_searched_follows_from_what_has_ended(half: tuple[ComponentsPlan, Path]) -> None:
    plan, folder = half
    found = found_in(folder, plan)
    # Model 2 was tried with the component of 0 and 1 as often as it may be, and 3 is not there.
    high, low = found.rows()
    assert (low.components, low.absent) == (((0, 1), (2,)), (3,))
    assert low.failed == ((Outcome.NOT_CONNECTED, 1),) and (low.pairs, low.proven) == (2, 1)
    assert high.components == ((0, 1), (2,), (3,)) and high.pairs == 0
    assert found.decided.left == ((0.05, (0, 2)), (0.05, (0, 3)))
    failed = found.searches[1]
    assert (failed.peak, failed.path, failed.distance) == (0.06, "line", 1.125)
    for pair in ((0, 2), (0, 3)):
        searched(folder, 0.05, pair, Outcome.CONNECTED, 0.045)
    whole = found_in(folder, plan)
    assert not whole.decided.left and whole.rows()[0].components == ((0, 1, 2, 3),)
    assert [each.pair for each in whole.tree()] == [(0, 1), (0, 2), (0, 3)]
    assert whole.tree()[1].level == 0.05  # the lower one of two paths
    assert whole.between(1, 3) == (0.045, 2) and found.between(1, 3) is None


def test_every_sentence_says_what_is_not_proven(half: tuple[ComponentsPlan, Path]) -> None:
    plan, folder = half
    found = found_in(folder, plan)
    low = found.rows()[1]
    assert low.sentence == (
        "At level 0.02, 3 models are in at most 2 components: no path between these was found, "
        "which does not prove that there is none. 1 of the models lies above it."
    )
    assert found.rows()[0].sentence == (
        "At level 0.05, 4 models are in at most 3 components so far; searches have not ended."
    )
    assert found.brief == "components: at most 2 at level 0.02 and at most 3 at level 0.05"
    said = " ".join(found.said())
    assert "2 searches for 6 pairs at 2 levels" in said
    assert "1 of them found no path at its level. That does not prove that there is none" in said
    assert "made of upper bounds" in said
    assert "1 of its 2 paths proven at every point, the rest sampled" in said
    one = replace(low, components=((0, 1, 2),), absent=())
    assert one.sentence == "At level 0.02, 3 models are in one component."
    assert replace(low, components=((2,),)).sentence.startswith("At level 0.02, only model 2 is")
    assert "no model is there" in replace(low, components=()).sentence


def test_tables_hold_all_of_it(half: tuple[ComponentsPlan, Path]) -> None:
    plan, folder = half
    files = texts(found_in(folder, plan))
    lines = {
        name: list(csv.DictReader(StringIO(text)))
        for name, text in files.items()
        if name.endswith(".csv")
    }
    assert [line["components"] for line in lines["levels.csv"]] == ["2", "3"]
    assert [line["models"] for line in lines["components.csv"]] == ["0 1", "2", "0 1", "2", "3"]
    first, second = lines["searches.csv"]
    assert (first["certified"], first["bound"], first["run"]) == (
        "true",
        "0.018",
        "level-0.02/0000-0001",
    )
    assert (second["connected"], second["outcome"], second["path"]) == (
        "false",
        "not_connected",
        "line",
    )
    peaks = [line for line in lines["disconnectivity.csv"] if line["graph"] == "peaks"]
    joins = [(line["height"], line["models"]) for line in peaks if line["kind"] == "join"]
    assert joins == [("0.018", "0 1"), ("0.06", "0 1 2")]
    tree = json.loads(files["components.json"])
    assert tree["levels"][0]["components"] == [[0, 1], [2]] and tree["levels"][0]["upper_bound"]
    assert [each["ended"] for each in tree["levels"]] == [True, False]
    assert tree["levels"][0]["failed"] == {"not_connected": 1}
    assert tree["tree"][0] | {"run": ""} == {
        "a": 0,
        "b": 1,
        "barrier": 0.018,
        "upper_bound": True,
        "proven": True,
        "bound": 0.018,
        "level": 0.02,
        "run": "",
    }
    assert tree["searches"][1]["sentence"] == "It ended not_connected." and not tree["ended"]
    assert tree["models"][3]["loss"] == 0.04 and len(tree["said"]) == 3


def test_how_a_folder_stands_is_told_without_an_engine(half: tuple[ComponentsPlan, Path]) -> None:
    _, folder = half
    reader = SweepReader(RunDir(folder))
    view = reader.look()
    assert (view.state, view.ended, view.left, view.eta_s) == ("unfinished", 2, 2, None)
    begin(run_of(folder, 0.05, (0, 2)))
    assert reader.look().count("interrupted") == 1
    for pair in ((0, 2), (0, 3)):
        searched(folder, 0.05, pair, Outcome.CONNECTED, 0.045)
    view = reader.look()
    assert (view.state, view.ended, view.asked) == ("ended", 4, 4)
    assert summarize_any(RunDir(folder)).pairs == (4, 4)


def test_a_search_counts_once_its_path_is_measured(half: tuple[ComponentsPlan, Path]) -> None:
    plan, folder = half
    reader = SweepReader(RunDir(folder))
    reader.look()
    measured = run_of(folder, 0.02, (0, 2)).path / "measured.json"
    text = measured.read_text()
    measured.unlink()
    assert reader.look().left == 1 and len(found_in(folder, plan).searches) == 1
    measured.write_text(text)
    assert reader.look().left == 2


def test_a_path_that_the_evaluator_refutes_is_not_found(half: tuple[ComponentsPlan, Path]) -> None:
    plan, folder = half
    searched(folder, 0.02, (0, 1), Outcome.CONNECTED, 0.021)
    found = found_in(folder, plan)
    refuted: Searched = found.searches[0]
    assert not refuted.connected and not refuted.barrier.proven
    assert found.rows()[1].failed[-1] == ("refuted", 1)
    assert found.rows()[1].components == ((0,), (1,), (2,))


def test_without_models_nothing_is_known(tmp_path: Path) -> None:
    plan = components_of(tmp_path)
    view = SweepReader(RunDir(tmp_path)).look()
    assert view.left == 1 and [level.row.label for level in view.levels] == ["0.05", "0.02"]
    assert plan.found(tmp_path, []) is None and plan.models_there(tmp_path) == 0
    searched(tmp_path, 0.02, (0, 1), Outcome.ENDPOINT_NOT_TRAINED, float("nan"))
    tell_models(plan, tmp_path)
    (none,) = found_in(tmp_path, plan).searches
    assert isnan(none.peak) and none.path == "none" and found_in(tmp_path, plan).tree() == []
