"""The command `dss-tui sweep`: searches many pairs at many levels."""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from typing import TYPE_CHECKING

from rich.table import Table

from dss_tui.commands.cells import (
    Hire,
    check_no_level,
    crew_asked,
    folder_asked,
    run_here,
    show_many,
)
from dss_tui.commands.run import naming, wants_screen
from dss_tui.commands.trusted import preset_of
from dss_tui.viewing import sweeps
from dss_tui.viewing.console import Console
from dss_tui.viewing.words import plus_minus, thousands
from engine.errors import InputError
from engine.record.rundir import RunDir
from engine.record.sweep_folder import MOST_CELLS
from engine.record.sweep_tables import LevelRow, json_of
from engine.spec.grid import LEVELS, LevelAsked, levels_of
from engine.spec.keys import Spec
from engine.spec.search import TimesEnds

if TYPE_CHECKING:
    from engine.run.sweep import Sweep


def sweep(asked: argparse.Namespace) -> int:
    """Runs or goes on with a sweep and returns the exit status.

    On a terminal an engine of its own runs the sweep, and the dashboard shows it. Elsewhere this
    process runs it and prints lines. The status is 0 where every cell has ended, connected or not,
    3 where some have not, 1 after a failure, and 128 + N where signal N ended it. Raises InputError
    for what cannot run.
    """
    levels = _levels(asked.levels)
    _check_numbers(asked, levels)
    crew = crew_asked(asked)
    if wants_screen(asked):
        return show_many(asked, partial(_launched, asked, levels, crew))
    return run_here(partial(_begun, asked, levels), tell, crew, as_json=asked.json)


def _launched(
    asked: argparse.Namespace, levels: tuple[LevelAsked, ...], crew: str | None, folder: RunDir
) -> bool:
    """Launches an engine on the sweep where it is not running; returns whether it did."""
    with naming(asked.preset):
        return sweeps.start(_spec(asked, levels), levels, asked.pairs, folder, crew)


def _begun(asked: argparse.Namespace, levels: tuple[LevelAsked, ...], hire: Hire) -> Sweep:
    """Returns the sweep, new or begun before."""
    from engine.run.sweep import start

    with naming(asked.preset):
        spec, folder = _spec(asked, levels), folder_asked(asked).path
        return start(spec, levels, asked.pairs, folder, hire())


def tell(begun: Sweep, rows: list[LevelRow], *, as_json: bool) -> None:
    """Prints the table of a sweep's levels, and what its folder holds."""
    if as_json:
        print(json_of(rows, begun.results()), end="")
        return
    _show(rows, begun.plan.spec.search.tolerance)
    told = "sweep.csv, levels.csv, sweep.json, and a run directory for each pair"
    print(f"{begun.folder}: {told}")


def _spec(asked: argparse.Namespace, levels: tuple[LevelAsked, ...]) -> Spec:
    """Returns the preset that is asked for, at the first level. Raises InputError."""
    first = levels[0]
    told = f"{{times_ends: {first.times_ends!r}}}" if isinstance(first, TimesEnds) else first
    overrides = [*asked.overrides, f"search.level={told}"]
    return preset_of(
        asked.preset,
        overrides,
        run_factories=asked.run_factories,
        seed=asked.seed,
        device=asked.device,
    )


def _levels(text: str) -> tuple[LevelAsked, ...]:
    """Returns the levels in a text. Raises InputError for what is no list of different levels."""
    try:
        return levels_of(part.strip() for part in text.split(","))
    except ValueError:
        raise InputError(f"is {text!r}; {LEVELS}", key="--levels") from None


def _check_numbers(asked: argparse.Namespace, levels: tuple[LevelAsked, ...]) -> None:
    """Raises InputError for numbers of pairs that cannot be, and for a level among overrides."""
    most = MOST_CELLS // len(levels)
    if not 1 <= asked.pairs <= most:
        raise InputError(f"is {asked.pairs}; give a number from 1 to {most}", key="--pairs")
    check_no_level(asked.overrides)


def _show(rows: list[LevelRow], tolerance: float) -> None:
    """Prints the table of levels."""
    table = Table(box=None, pad_edge=False)
    level = f"level (tolerance {tolerance:g})" if tolerance else "level"
    found = ["found ± s.e."] if any(isinstance(row.level, str) for row in rows) else []
    titles = ("connected", "proven", "length ± s.e.", "beads ± s.e.", "median steps", "gradients")
    for title in (level, *found, *titles):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("not connected", no_wrap=True)
    for row in rows:
        failed = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in row.failed)
        table.add_row(
            row.label,
            *(sweeps.figures_of_level(row) for _ in found),
            f"{row.connected} of {row.pairs}",
            f"{row.proven} of {row.connected}" if row.connected else "–",
            plus_minus(row.normalized_length, 4),
            plus_minus(row.beads, 2),
            _median(row.median_bead_steps),
            _median(row.median_sample_gradients),
            failed or "none",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _median(number: float) -> str:
    """Returns a median number of steps, or a dash where it is not known."""
    return "–" if math.isnan(number) else thousands(round(number))
