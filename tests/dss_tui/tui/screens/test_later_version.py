"""A run of a later version: what a screen does not know, it shows by its name and sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp, Opening
from dss_tui.tui.screens.sweep import SweepScreen
from dss_tui.tui.widgets.log_view import LogView
from engine.record.events import Outcome
from engine.record.rundir import RunDir
from tests.support.pilots import drive, said, seen, until, watching
from tests.support.run_folders import append
from tests.support.sweep_folders import begin, cell, ended, sweep_of
from tests.support.told_runs import greedy_run

METRIC = {"metric": "f1_score", "split": "validation", "averaged": "macro"}
SENTENCE = "Out of budget: the share of the cluster was used up."


def changed(run: RunDir, **progress: Any) -> None:
    """The progress of a run with other values."""
    held = json.loads(run.progress.read_text())
    run.progress.write_text(json.dumps(held | progress))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that ended in another way, with an event, a stage and a metric of a later version."""
    run = greedy_run(tmp_path)
    lines = run.events.read_text().splitlines()
    last = json.loads(lines[-1]) | {"outcome": "out_of_budget", "sentence": SENTENCE}
    event = {"seq": last["seq"], "time": 31.0, "event": "temperature_lowered"}
    event |= {"sentence": "The temperature fell to 0.3.", "temperature": 0.3}
    last["seq"] += 1
    run.events.write_text("\n".join([*lines[:-1], json.dumps(event), json.dumps(last), ""]))
    changed(run, level_on=METRIC, secondary=METRIC, phase="annealing", later={"a": [1]})
    return run


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (140, 40)])
def test_the_run_is_shown_by_names_and_sentences(run: RunDir, size: tuple[int, int]) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        await until(pilot, lambda: "θ₁" in seen(app))
        head, card = said(screen, "#head"), said(screen, "#card")
        assert "out of budget" in head and "✕annealing 2/2" in head and "damaged" not in head
        assert "OUT OF BUDGET" in card
        assert SENTENCE in " ".join(card.split()) or size[1] < 20
        await pilot.press("right")
        await until(pilot, lambda: "validation f1 score" in said(screen, "#selection"))
        assert SENTENCE[:30] in said(screen, "#event")
        if size[1] < 20:
            return
        await until(pilot, lambda: "validation f1 score along the string" in seen(app))
        for view, words in (("3", "f1 score along the string"), ("5", "↑ f1 score")):
            await pilot.press(view)
            await until(pilot, lambda words=words: words in seen(app))  # type: ignore[misc]
        await pilot.press("7")
        lines = screen.query_one(LogView).lines
        told = "temperature lowered: The temperature fell to 0.3."
        await until(pilot, lambda: any(told in line.text for line in lines))

    drive(steps, watching(run), size)


def test_a_metric_that_is_no_name_is_damage(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    changed(run, level_on={"metric": "\x1b[31mred", "split": "train"})

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "progress.json" in said(app.screen, "#head"))
        assert "\x1b" not in seen(app)

    drive(steps, watching(run))


def test_a_pair_of_a_sweep_is_told_by_the_name_of_its_outcome(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep_of(folder, (0.05,), 3)
    run = begin(cell(folder, 0.05, 0))
    line = json.loads(
        begin(cell(folder, 0.05, 1), ended(Outcome.STOPPED)).events.read_text().splitlines()[-1]
    )
    line |= {"outcome": "out_of_budget", "sentence": SENTENCE}
    append(run.events, json.dumps(line).encode() + b"\n")

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.screen, SweepScreen))
        await until(pilot, lambda: "pair 0, seed 3: out of budget" in said(app.screen, "#about"))
        assert SENTENCE in said(app.screen, "#about") and "? out of budget" in seen(app)

    drive(steps, Opening(RunDir(folder), fps=20))
