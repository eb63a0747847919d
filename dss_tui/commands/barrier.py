"""The command `dss-tui barrier`: what lies between two models on the straight line."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from dss_tui.commands.measure import palette
from dss_tui.tui.plot import Curve, Plot, Role
from dss_tui.tui.plots import draw
from dss_tui.viewing import barrier as words
from engine.errors import InputError
from engine.record import writing
from engine.record.events import dump_json
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec

if TYPE_CHECKING:
    from engine.run.barrier import Barrier, Line

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
        _check_writable(asked.csv)
    if asked.align and asked.permutation is not None:
        raise InputError(
            "takes an order that was found before; leave --align out", key="--permutation"
        )
    spec = _spec(asked)
    from engine.run.barrier import barrier as measured

    found = measured(
        asked.first,
        asked.second,
        spec,
        asked.points,
        repair=asked.repair,
        align=asked.align,
        permutation=asked.permutation,
        certify=not asked.json,
        key=asked.key,
        prefix=asked.prefix,
        run_factories=asked.run_factories,
    )
    if asked.csv is not None:
        writing.replace(asked.csv, words.as_csv(found).encode())
    if asked.json:
        print(dump_json(words.tree(found)))
    else:
        _show(found, asked.csv)
    return 0


def _spec(asked: argparse.Namespace) -> Spec | ProblemSpec | None:
    """Returns what the two are models of; None where a string is to say it. Raises InputError."""
    parts = {key: getattr(asked, key) for key in ("network", "data", "loss")}
    given = [key for key, text in parts.items() if text is not None]
    if asked.preset is not None:
        if given:
            raise InputError(
                "is what the preset says; leave one of the two out", key=f"--{given[0]}"
            )
        from presets import load_preset

        return load_preset(asked.preset, asked.overrides)
    if asked.overrides:
        raise InputError("changes a key of a preset; give --preset too", key="--set")
    if not given:
        return None
    if len(given) < len(parts):
        missing = next(key for key in parts if key not in given)
        raise InputError("is missing; network, data and loss go together", key=f"--{missing}")
    from engine.spec.parts import problem_of_parts

    return problem_of_parts(**parts)


def _check_writable(out: Path) -> None:
    """Raises InputError where the table cannot be written to a path."""
    if out.suffix != ".csv":
        raise InputError("must end in .csv; choose another name", file=out, key="--csv")
    if not out.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=out, key="--csv")


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
