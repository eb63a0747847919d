"""Folders of sweeps in which nothing was computed, written by tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.record.events import Event, Outcome, RunFinished, RunStarted
from engine.record.rundir import RunDir
from engine.record.sweep_folder import Plan, create
from engine.spec.grid import LevelAsked
from presets import load_preset
from tests.support.run_folders import TOTALS, write

STARTED = RunStarted("greedy", 0.05, 0.8, 3, 33, 64, ("cpu",))


def ended(outcome: Outcome, beads: int = 5, length: float = 1.5, steps: int = 700) -> RunFinished:
    """The end of a cell; one that connects is proven where it has an odd number of beads."""
    totals = replace(TOTALS, beads=beads, normalized_length=length, bead_steps=steps)
    proven = outcome is Outcome.CONNECTED and beads % 2 == 1
    return RunFinished(outcome, f"It ended {outcome}.", totals, certified=proven or None)


def sweep_of(
    folder: Path, levels: tuple[LevelAsked, ...] = (0.05, 0.02), pairs: int = 4, *overrides: str
) -> Plan:
    """The folder of a sweep of `quadratic` that has not begun, and its plan."""
    plan = Plan(load_preset("quadratic", overrides, seed=3), levels, pairs)
    create(plan, folder)
    return plan


def cell(folder: Path, level: float, pair: int) -> RunDir:
    """The run directory of a cell."""
    return RunDir(folder / f"level-{level!r}" / f"pair-{pair:04}")


def begin(run: RunDir, *events: Event) -> RunDir:
    """A cell that has begun and reported these events since."""
    run.path.mkdir(parents=True, exist_ok=True)
    run.meta.write_text("{}")
    write(run, STARTED, *events)
    return run
