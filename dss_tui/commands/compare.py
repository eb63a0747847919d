"""The command `dss-tui compare`: several methods between the same ends, measured by one code."""

from __future__ import annotations

import argparse
import math
import sys
from functools import partial
from typing import TYPE_CHECKING

from rich.table import Table

from dss_tui.commands.cells import Hire, crew_asked, folder_asked, run_here, show_many
from dss_tui.commands.run import naming, wants_screen
from dss_tui.commands.trusted import preset_of
from dss_tui.commands.two_models import anchored
from dss_tui.viewing import sweeps
from dss_tui.viewing.console import Console
from dss_tui.viewing.words import plus_minus, rounded, short_count
from engine.errors import InputError
from engine.record.compare_folder import FEWEST, MOST_CELLS, ComparePlan, EndsOfPair, variants_of
from engine.record.compare_tables import MethodRow, json_of_comparison
from engine.record.rundir import RunDir

if TYPE_CHECKING:
    from engine.run.compare.comparison import Comparison


def compare(asked: argparse.Namespace) -> int:
    """Runs or goes on with a comparison of methods and returns the exit status.

    On a terminal an engine of its own runs it, and a screen shows it. Elsewhere this process runs
    it and prints lines. The status is 0 where every cell has ended, connected or not, 3 where some
    have not, 1 after a failure, and 128 + N where signal N ended it. Raises InputError for what
    cannot run.
    """
    plan = _plan(asked)
    crew = crew_asked(asked)
    if wants_screen(asked):
        return show_many(asked, partial(_launched, asked, plan, crew))
    return run_here(partial(_begun, asked, plan), tell, crew, as_json=asked.json)


def _launched(
    asked: argparse.Namespace, plan: ComparePlan, crew: str | None, folder: RunDir
) -> bool:
    """Launches an engine on the comparison where it is not running; returns whether it did."""
    with naming(_preset(asked)):
        return sweeps.start_comparison(plan, folder, crew)


def _begun(asked: argparse.Namespace, plan: ComparePlan, hire: Hire) -> Comparison:
    """Returns the comparison, new or begun before."""
    from engine.run.compare.comparison import AT_ONCE, start

    with naming(_preset(asked)):
        return start(plan, folder_asked(asked).path, hire(AT_ONCE))


def tell(begun: Comparison, rows: list[MethodRow], *, as_json: bool) -> None:
    """Prints the table of a comparison's methods, and what its folder holds."""
    if as_json:
        print(json_of_comparison(rows, begun.results(), begun.ends()), end="")
        return
    _show(rows, sought=begun.plan.spec.search.number is None)
    print(_of_ends(begun.ends()))
    told = "compare.csv, methods.csv, compare.json, and a run directory for each cell"
    print(f"{begun.folder}: {told}")


def _preset(asked: argparse.Namespace) -> str:
    """Returns the preset that is asked for. Raises InputError where none is."""
    if asked.preset is None and asked.second is not None:
        raise InputError(
            "is missing, and two models do not say what they are of; name the preset of their "
            "data, network and loss",
            key="--preset",
        )
    return str(asked.first if asked.preset is None else asked.preset)


def _plan(asked: argparse.Namespace) -> ComparePlan:
    """Returns what is asked for. Raises InputError where it cannot be."""
    preset = _preset(asked)
    models = () if asked.preset is None else _models(asked)
    variants = variants_of(asked.methods, asked.variants)
    spec = preset_of(
        preset,
        asked.overrides,
        run_factories=asked.run_factories,
        seed=asked.seed,
        device=asked.device,
    )
    if not models and spec.endpoints.kind == "files":
        models = (str(spec.endpoints.a), str(spec.endpoints.b))
    if spec.search.string is not None:
        raise InputError(
            "starts from a string, which no other method can begin with; leave it out",
            file=preset,
            key="search.string",
        )
    most = 1 if models else MOST_CELLS // len(variants)
    pairs = 1 if models and asked.pairs is None else asked.pairs
    if pairs is None or not 1 <= pairs <= most:
        said = "missing" if pairs is None else str(pairs)
        wanted = "1, since the ends are given" if models else f"a number from 1 to {most}"
        raise InputError(f"is {said}; give {wanted}", key="--pairs")
    if asked.grid < FEWEST:
        raise InputError(f"is {asked.grid}; give a number from {FEWEST}", key="--grid")
    return ComparePlan(spec, variants, pairs, models, asked.grid)


def _models(asked: argparse.Namespace) -> tuple[str, ...]:
    """Returns the names of two models of a user's own. Raises InputError where one is missing."""
    if asked.second is None:
        raise InputError(
            "is one model; give a second one, or leave --preset out and name the preset alone",
            file=asked.first,
        )
    return anchored(asked.first), anchored(asked.second)


def _show(rows: list[MethodRow], *, sought: bool) -> None:
    """Prints the table of methods, with their levels where these came about in the searches."""
    table = Table(box=None, pad_edge=False)
    titles = ["connected", "proven", *(["level"] if sought else []), "peak/level", "barrier"]
    titles += ["mean loss", "length ± s.e.", "turning", "beads", "gradients", "forward", "time"]
    table.add_column("method", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("not connected")
    for row in rows:
        failed = ", ".join(f"{n} {str(kind).replace('_', ' ')}" for kind, n in row.failed)
        table.add_row(
            row.method,
            f"{row.connected} of {row.pairs}",
            f"{row.proven} of {row.connected}" if row.connected else "–",
            *([rounded(row.level.mean, 4)] if sought else []),
            rounded(row.peak_over_level, 4),
            rounded(row.barrier.mean, 3),
            rounded(row.mean_loss.mean, 3),
            plus_minus(row.normalized_length, 3),
            "–" if math.isnan(row.turning.mean) else f"{row.turning.mean:.0f}°",
            rounded(row.beads.mean, 3),
            short_count(row.sample_gradients.mean),
            short_count(row.forward_samples.mean),
            "–" if math.isnan(row.elapsed_s.mean) else f"{row.elapsed_s.mean:.2g} s",
            failed or "none",
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def _of_ends(ends: list[EndsOfPair | None]) -> str:
    """Returns a line that says what the numbers are, and what the ends have cost besides."""
    said = "Means are over connected pairs; gradients and forward count samples of the search alone"
    costs = [each.sample_gradients for each in ends if each is not None]
    known = [cost for cost in costs if cost is not None]
    if not known:
        return f"{said}."
    return f"{said}; the ends of a pair took {short_count(sum(known) / len(known))} gradients."
