"""The command `dss-tui components`: which of many models hang together at which level."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from functools import partial
from glob import glob, has_magic
from math import isnan
from pathlib import Path
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
from dss_tui.commands.two_models import anchored
from dss_tui.viewing import sweeps
from dss_tui.viewing.console import Console
from dss_tui.viewing.dendrogram import dendrogram
from dss_tui.viewing.words import flowed
from engine.errors import InputError
from engine.record.components_folder import FEWEST, ComponentsPlan, numbers
from engine.record.components_tables import Components, ComponentsRow
from engine.record.components_texts import json_of
from engine.record.rundir import RunDir
from engine.record.sweep_folder import MOST_CELLS
from engine.spec.grid import levels_of

if TYPE_CHECKING:
    from engine.run.components.components import ComponentsRun

#: The columns of what is printed where no terminal says how many there are.
COLUMNS = 100
#: The models of a component that its line names.
NAMED = 24


def components(asked: argparse.Namespace) -> int:
    """Runs components or goes on with them, and returns the exit status.

    On a terminal an engine of its own runs them, and a screen shows them. Elsewhere this process
    runs them and prints lines. The status is 0 where every search that was decided has ended,
    connected or not, 3 where some have not, 1 after a failure, and 128 + N where signal N ended it.
    Raises InputError for what cannot run.
    """
    with naming(asked.preset):
        plan = _plan(asked)
    crew = crew_asked(asked)
    if wants_screen(asked):
        return show_many(asked, partial(_launched, asked, plan, crew))
    return run_here(partial(_begun, asked, plan), tell, crew, as_json=asked.json)


def _launched(
    asked: argparse.Namespace, plan: ComponentsPlan, crew: str | None, folder: RunDir
) -> bool:
    """Launches an engine on the components where they are not running; returns whether it did."""
    with naming(asked.preset):
        return sweeps.start_components(plan, folder, crew)


def _begun(asked: argparse.Namespace, plan: ComponentsPlan, hire: Hire) -> ComponentsRun:
    """Returns the components, new or begun before."""
    from engine.run.components.components import start

    with naming(asked.preset):
        return start(plan, folder_asked(asked).path, hire())


def tell(begun: ComponentsRun, rows: list[ComponentsRow], *, as_json: bool) -> None:
    """Prints the components at each level, and what their folder holds."""
    found = begun.found()
    if found is not None and as_json:
        print(json_of(found, rows[::-1]), end="")
    elif found is not None:
        _show(found)
        tables = "components.json, searches.csv, levels.csv, components.csv"
        told = f"{tables}, disconnectivity.csv, and a run directory for each search"
        print(f"{begun.folder}: {told}")


def _plan(asked: argparse.Namespace) -> ComponentsPlan:
    """Returns what is asked for. Raises InputError where it cannot be."""
    try:
        levels = numbers(levels_of(part.strip() for part in asked.levels.split(",")))
    except ValueError:
        raise InputError(
            f"is {asked.levels!r}; give different losses above 0 such as 0.1,0.01", key="--levels"
        ) from None
    check_no_level(asked.overrides)
    for option, number, fewest in (("--tries", asked.tries, 1), ("--grid", asked.grid, FEWEST)):
        if number < fewest:
            raise InputError(f"is {number}; give a number from {fewest}", key=option)
    aligned = [] if asked.align is None else [f"endpoints.align={asked.align}"]
    overrides = [*asked.overrides, *aligned, f"search.level={min(levels)!r}"]
    spec = preset_of(
        asked.preset,
        overrides,
        run_factories=asked.run_factories,
        seed=asked.seed,
        device=asked.device,
    )
    given = _checkpoints(asked.checkpoints or ())
    models = asked.models if asked.checkpoints is None else len(given)
    plan = ComponentsPlan(spec, levels, models, given, asked.tries, asked.grid)
    if models < 2 or plan.pairs * len(levels) > MOST_CELLS:
        key = "--models" if asked.checkpoints is None else "--checkpoints"
        least = "2 or more" if models < 2 else "fewer"
        said = f"is {models}" if asked.checkpoints is None else f"names {models} models"
        raise InputError(f"{said}; give {least}", key=key)
    return plan


def _checkpoints(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names of models, patterns replaced by the files that fit, in order.

    Raises InputError for a pattern that fits none, and for a name that is there twice.
    """
    found: list[str] = []
    for name in names:
        if _is_pattern(name):
            fitting = sorted(glob(str(Path(name).expanduser())))
            if not fitting:
                raise InputError(
                    "fits no file; give another pattern, or a path", file=name, key="--checkpoints"
                )
            found += map(anchored, fitting)
        else:
            found.append(anchored(name))
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise InputError("is named twice", file=twice, key="--checkpoints")
    return tuple(found)


def _is_pattern(name: str) -> bool:
    """Returns whether a name is a pattern, and not that of a file, or of a string's bead."""
    places = (Path(each).expanduser() for each in (name, name.rsplit("#", 1)[0]))
    return has_magic(name) and not any(place.exists() for place in places)


def _show(found: Components) -> None:
    """Prints the table of levels, the tree, and what all of that does and does not prove."""
    console = Console(width=None if sys.stdout.isatty() else COLUMNS)
    rows = found.rows()
    console.print(_table(rows))
    width = console.width
    for row in rows:
        _print(row.sentence, width)
        for number, models in enumerate(row.components):
            if len(models) > 1:
                more = f" … {len(models) - NAMED} more" if len(models) > NAMED else ""
                listed = " ".join(map(str, models[:NAMED]))
                print(f"  component {number}, {len(models)} models: {listed}{more}")
    nodes = [node for node in found.nodes() if node.graph == "peaks"]
    print()
    print("\n".join(dendrogram(nodes, found.asked.levels, width)))
    print()
    for sentence in found.said():
        _print(sentence, width)


def _table(rows: list[ComponentsRow]) -> Table:
    """Returns the table of levels, the highest first."""
    table = Table(box=None, pad_edge=False)
    for title in ("level", "models", "components", "searches", "found", "proven", "median steps"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("not found", no_wrap=True)
    for row in rows:
        count = len(row.components)
        failed = ", ".join(f"{n} {str(kind).replace('_', ' ')}" for kind, n in row.failed)
        steps = row.median_bead_steps
        table.add_row(
            row.label,
            f"{sum(map(len, row.components))}",
            f"≤ {count}" if count > 1 else f"{count}",
            f"{row.pairs}",
            f"{row.connected}",
            f"{row.proven}",
            "–" if isnan(steps) else f"{steps:.0f}",
            failed or "none",
        )
    return table


def _print(sentence: str, width: int) -> None:
    """Prints a sentence in lines of at most so many columns."""
    print("\n".join(flowed(sentence.split(), width, " ")))
