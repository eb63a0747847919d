"""The command `dss-tui barrier`: what lies between two models on the straight line."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from dss_tui.commands.measure import palette
from dss_tui.commands.two_models import check_writable, models_of
from dss_tui.tui.plot import Curve, Plot, Role
from dss_tui.tui.plots import draw
from dss_tui.viewing import barrier as words
from dss_tui.viewing.console import Console
from dss_tui.viewing.waiting import Waiting
from engine.errors import InputError
from engine.record import writing
from engine.record.events import dump_json

if TYPE_CHECKING:
    from engine.run.barrier import Barrier
    from engine.run.lines import Line

#: The columns of a report that is printed elsewhere than on a terminal, and at most on one.
WIDTH, WIDEST = 80, 120
#: The lines of a plot.
HEIGHT = 14


def barrier(asked: argparse.Namespace) -> int:
    """Measures the barrier between two models, shows it, and returns 0.

    Raises InputError where the two cannot be measured or a file not be written.
    """
    if asked.points < 5:
        raise InputError(f"is {asked.points}, but must be at least 5", key="--points")
    if asked.csv is not None:
        check_writable(asked.csv, "--csv", ".csv")
    if asked.align and asked.permutation is not None:
        raise InputError(
            "takes an order that was found before; leave --align out", key="--permutation"
        )
    spec = models_of(asked)
    from engine.run.barrier import barrier as measured

    with Waiting("measured") as told:
        found = measured(
            asked.first,
            asked.second,
            spec,
            asked.points,
            repair=asked.repair,
            align=asked.align,
            permutation=asked.permutation,
            certify=asked.certify,
            key=asked.key,
            prefix=asked.prefix,
            run_factories=asked.run_factories,
            told=told.stage,
        )
    if asked.csv is not None:
        writing.replace(writing.chosen(asked.csv), words.as_csv(found).encode())
    if asked.json:
        print(dump_json(words.tree(found)))
    else:
        _show(found, asked.csv)
    return 0


def _show(found: Barrier, written: Path | None) -> None:
    """Prints table, pictures and notes, as wide as the terminal allows."""
    console = Console()
    width = min(shutil.get_terminal_size().columns, WIDEST) if console.is_terminal else WIDTH
    console = Console(width=width)
    for line in [*words.head(found), "", *words.table(found)]:
        console.print(Text(line), soft_wrap=True)
    for plot in plots(found):
        console.print()
        console.print(draw(plot, width, HEIGHT, palette(console)).text)
    console.print()
    for line in words.notes(found, width):
        console.print(Text(line), soft_wrap=True)
    if written is not None:
        console.print(Text(f"written to {written}"), soft_wrap=True)


def plots(found: Barrier) -> list[Plot]:
    """Returns the plots of a barrier: one of the loss, and one of the error where there is one."""
    splits = [split for split in (found.train, found.held_out) if split is not None]
    losses = [split.loss for split in splits]
    errors = [split.error for split in splits if split.error is not None]
    kind = "repaired models" if found.repaired else "the straight line"
    return [
        Plot(
            title=f"{metric} along {kind}",
            curves=tuple(_curve(found, line) for line in lines),
            x_label="t",
            y_label=metric,
        )
        for metric, lines in (("loss", losses), ("error rate", errors))
        if lines
    ]


def _curve(found: Barrier, line: Line) -> Curve:
    """Returns the curve of one metric over one split, its refined peak included."""
    role: Role = "train" if line.measure.split == "train" else "held_out"
    places = sorted({*zip(found.t, line.values, strict=True), (line.t_peak, line.peak)})
    label = "training" if role == "train" else "held out"
    return Curve(tuple(t for t, _ in places), tuple(y for _, y in places), label, role)
