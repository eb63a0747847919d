"""The command `dss-tui presets`: lists the presets, or prints one in full."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

import presets


def show(name: str | None) -> int:
    """Prints one preset's text, or a line for each. Raises InputError for an unknown name."""
    if name is not None:
        sys.stdout.write(presets.source(name))
        return 0
    table = Table(box=None, pad_edge=False)
    table.add_column("preset", no_wrap=True)
    table.add_column("description")
    for preset in presets.names():
        table.add_row(preset, presets.load_preset(preset).description)
    Console().print(table)
    return 0
