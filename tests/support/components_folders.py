"""Folders of components in which nothing was computed, written by tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

from engine.record.components_folder import ComponentsPlan, models_path
from engine.record.components_tables import ModelsTold, ModelTold, PathMeasured
from engine.record.events import Outcome, RunFinished, dump_json
from engine.record.finding import COMPONENTS
from engine.record.merging import Pair
from engine.record.rundir import RunDir
from engine.record.sweep_folder import measurement_path, write_plan
from presets import load_preset
from tests.support.run_folders import TOTALS
from tests.support.sweep_folders import begin

#: The own losses of the models, the last of which is above the lower level.
LOSSES = (0.01, 0.012, 0.009, 0.04)
LEVELS = (0.05, 0.02)


def components_of(folder: Path, *overrides: str, tries: int = 1) -> ComponentsPlan:
    """The folder of components of four models of `quadratic` at two levels, and its plan."""
    spec = load_preset("quadratic", [*overrides, "search.level=0.02"], seed=3)
    plan = ComponentsPlan(spec, LEVELS, len(LOSSES), tries=tries)
    write_plan(plan.text(), folder, COMPONENTS)
    return plan


def tell_models(plan: ComponentsPlan, folder: Path) -> ModelsTold:
    """The models of the folder: their files, which are empty, and what is told of them."""
    models = tuple(
        ModelTold(f"endpoint {number % 2 + 1} of seed {3 + number // 2}", 3 + number // 2, loss)
        for number, loss in enumerate(LOSSES)
    )
    distances = [[0.0] * len(LOSSES) for _ in LOSSES]
    for number, (a, b) in enumerate(combinations(range(len(LOSSES)), 2)):
        distances[a][b] = distances[b][a] = 1.0 + number / 8
    told = ModelsTold(models, tuple(map(tuple, distances)))
    for number in range(len(LOSSES)):
        file = plan.model_file(folder, number)
        file.parent.mkdir(exist_ok=True)
        file.touch()
    models_path(folder).write_text(dump_json(told))
    return told


def run_of(folder: Path, level: float, pair: Pair) -> RunDir:
    """The run directory of a search."""
    return RunDir(folder / f"level-{level!r}" / f"{pair[0]:04}-{pair[1]:04}")


def searched(
    folder: Path,
    level: float,
    pair: Pair,
    outcome: Outcome,
    string: float = 0.018,
    line: float = float("nan"),
    *,
    proven: bool = False,
) -> None:
    """A search that has ended so, with the highest losses that the evaluator found."""
    totals = replace(TOTALS, beads=5, normalized_length=1.5, bead_steps=700)
    end = RunFinished(outcome, f"It ended {outcome}.", totals, certified=proven or None)
    run = begin(run_of(folder, level, pair), end)
    bound = string if proven else None
    found = PathMeasured(201, "float64", string, line, bound)
    measurement_path(run).write_text(dump_json(found))
