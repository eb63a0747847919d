"""What is said of pairs of models, by a folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from dss_tui.viewing import components, session, sweeps
from engine.errors import InputError
from engine.record.components_folder import ComponentsPlan, read_plan
from engine.record.events import Outcome
from engine.record.rundir import RunDir
from engine.record.sweeps import SweepReader
from presets import load_preset
from tests.support.components_folders import components_of, run_of, searched, tell_models
from tests.support.sweep_folders import begin


def words(folder: Path) -> list[list[str]]:
    view = SweepReader(RunDir(folder)).look()
    found = components.found_of(view, RunDir(folder))
    return [components.words_of(level, found) for level in view.levels]


def counted(folder: Path) -> str:
    return ", ".join(components.counted(SweepReader(RunDir(folder)).look(), RunDir(folder)))


def test_each_pair_is_told_at_each_level_as_the_searches_go_on(tmp_path: Path) -> None:
    """Pairs are 0–1, 0–2, 0–3, 1–2, 1–3, 2–3; model 3 is above the lower level."""
    plan = components_of(tmp_path)
    none = ["not searched"] * 6
    assert words(tmp_path) == [none, none] and counted(tmp_path) == "0 of 4 models are there"
    tell_models(plan, tmp_path)
    above = "above the level"
    high, low = words(tmp_path)
    assert high == none
    assert low == ["waiting", "waiting", above, "not searched", above, above]
    begin(run_of(tmp_path, 0.02, (0, 1)))
    searched(tmp_path, 0.02, (0, 2), Outcome.NOT_CONNECTED, 0.07)
    _, low = words(tmp_path)
    assert low[:2] == ["interrupted", "not found"]
    searched(tmp_path, 0.02, (0, 1), Outcome.CONNECTED, proven=True)
    high, low = words(tmp_path)
    assert low == ["proven", "not found", above, "not searched", above, above]
    assert high == ["joined", "waiting", "waiting", "not searched", "not searched", "not searched"]
    assert counted(tmp_path) == "2 of 4 searches ended, 1 found (1 proven), 6 pairs of models"


def test_what_the_evaluator_refutes_is_not_found(tmp_path: Path) -> None:
    tell_models(components_of(tmp_path), tmp_path)
    searched(tmp_path, 0.02, (0, 1), Outcome.CONNECTED, 0.03)
    assert words(tmp_path)[1][0] == "not found"


def test_a_pair_is_told_with_its_distance_and_the_barrier_on_the_way(tmp_path: Path) -> None:
    tell_models(components_of(tmp_path), tmp_path)
    searched(tmp_path, 0.02, (0, 1), Outcome.CONNECTED, 0.018)
    searched(tmp_path, 0.02, (0, 2), Outcome.CONNECTED, 0.019)
    view = SweepReader(RunDir(tmp_path)).look()
    found = components.found_of(view, RunDir(tmp_path))
    high, low = view.levels
    said = " ".join(components.about_pair(low.cells[3], "joined", found, None))
    assert said == "models 1 and 2: distance 1.375, joined, barrier ≤ 0.019 over 2 paths"
    said = " ".join(components.about_pair(low.cells[0], "connected", found, None))
    assert "700 steps, barrier ≤ 0.018 over 1 path" in said
    assert components.about_level(high).startswith("At level 0.05, 4 models are in at most 2")


def test_components_are_launched_once_and_refused_where_they_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[tuple[str, ...]] = []
    monkeypatch.setattr(session, "launch", lambda run, *words, trusted: launched.append(words))
    plan = ComponentsPlan(load_preset("quadratic", ["search.level=0.02"]), (0.05, 0.02), 4, tries=1)
    folder = RunDir(tmp_path / "new")
    assert sweeps.start_components(plan, folder, "7")
    assert launched == [("7",)] and read_plan(folder.path) is not None
    assert sweeps.start_components(plan, folder, "7") and len(launched) == 2  # its engine is gone
    tell_models(plan, folder.path)
    for pair in ((0, 1), (0, 2)):
        searched(folder.path, 0.02, pair, Outcome.CONNECTED)
    searched(folder.path, 0.05, (0, 3), Outcome.NOT_CONNECTED, 0.2)
    assert not sweeps.start_components(plan, folder, "7")
    linear = load_preset("quadratic", ["search.level=0.02", "search.method=linear"])
    with pytest.raises(InputError, match=r"search\.method"):
        sweeps.start_components(ComponentsPlan(linear, (0.02,), 4), RunDir(tmp_path / "x"), "7")
    assert not (tmp_path / "x").exists()
