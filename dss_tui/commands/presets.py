"""The command `dss-tui presets`: lists all presets, or prints one in full."""

from __future__ import annotations

import sys

from rich.table import Table
from rich.text import Text

import presets
from dss_tui.viewing.console import Console
from engine.spec.catalogue import catalogue


def show(name: str | None) -> int:
    """Prints one preset's text, or a line for each, the user's own ones after the shipped.

    Raises InputError for an unknown name.
    """
    if name is not None:
        sys.stdout.write(presets.source(name))
        return 0
    table = Table(box=None, pad_edge=False)
    table.add_column("preset", no_wrap=True)
    table.add_column("description")
    for entry in catalogue():
        about = f"broken: {entry.fault}" if entry.spec is None else entry.spec.description
        table.add_row(Text(entry.name), Text(f"own: {about}" if entry.own else about))
    Console().print(table)
    return 0
