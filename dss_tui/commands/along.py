"""The command `dss-tui measure --what`: quantities along a string."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from dss_tui.commands.measure import check_writable, is_trusted, string_of
from dss_tui.viewing import quantities as words
from dss_tui.viewing.console import Console
from dss_tui.viewing.waiting import Waiting
from engine.errors import InputError
from engine.record import string_file, writing
from engine.record.events import dump_json
from engine.record.lock import is_live
from engine.record.quantity import write_quantity

if TYPE_CHECKING:
    from engine.run.along import Along

#: The columns of what is printed elsewhere than on a terminal.
WIDTH = 80


def along(asked: argparse.Namespace) -> int:
    """Measures quantities along a string, shows and writes them, and returns 0.

    Raises InputError where the string, the quantities or a file to write cannot be used.
    """
    for key, path, ending in (("--csv", asked.csv, ".csv"), ("--out", asked.out, ".json")):
        if path is not None:
            check_writable(path, key, ending)
    run, path = string_of(asked.string)
    held = string_file.read(path)
    from engine.run.along import measure_along

    what = asked.what if asked.what == "all" else [each.strip() for each in asked.what.split(",")]
    try:
        with Waiting("measured") as told:
            found = measure_along(
                held,
                what,
                between=asked.between,
                seed=asked.seed,
                run_factories=asked.run_factories or is_trusted(run, held),
                told=told,
            )
    except InputError as error:
        if error.key in ("what", "between"):
            raise InputError(error.what, key=f"--{error.key}") from None
        raise InputError(str(error), file=path) from None
    written = [each for each in (asked.out, asked.csv) if each is not None]
    if asked.out is not None:
        writing.replace(writing.chosen(asked.out), dump_json(found.quantities).encode())
    elif run is not None and not asked.json and not is_live(run):
        written += [write_quantity(run, each) for each in found.quantities.values()]
    if asked.csv is not None:
        writing.replace(writing.chosen(asked.csv), words.as_csv(found.quantities).encode())
    if asked.json:
        print(dump_json(found.quantities))
    else:
        _show(found, written)
    return 0


def _show(found: Along, written: Iterable[Path]) -> None:
    """Prints the tables of all quantities, as wide as the terminal allows, and what was written."""
    console = Console()
    width = shutil.get_terminal_size().columns if console.is_terminal else WIDTH
    console = Console(width=width)
    for quantity in found.quantities.values():
        console.print(Text(words.heading(quantity), "bold"))
        for table in words.tables(quantity):
            console.print()
            console.print(table)
        console.print()
        for sentence in words.notes(quantity, cut=True):
            console.print(Text(sentence))
        console.print()
    for name, reason in found.left_out.items():
        console.print(Text(f"{name} is left out: {reason}"))
    for path in written:
        console.print(Text(f"written to {path}"), soft_wrap=True)
