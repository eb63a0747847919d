"""Which runs a folder of many holds: those of a sweep, of a comparison or of components."""

from __future__ import annotations

from pathlib import Path

from engine.record.finding import is_comparison, is_components
from engine.run.folder_of_runs import Prepare


def prepare_of(folder: Path) -> tuple[Prepare, int]:
    """Returns what prepares the runs of a folder, and how many of them are usual at a time."""
    from engine.run import sweep
    from engine.run.grid import AT_ONCE

    if is_comparison(folder):
        from engine.run.compare import comparison

        return comparison.prepared, comparison.AT_ONCE
    if is_components(folder):
        from engine.run.components import components

        return components.prepared, AT_ONCE
    return sweep.prepared, AT_ONCE
