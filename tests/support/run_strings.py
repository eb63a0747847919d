"""Strings of whole runs, compared to the last bit."""

from __future__ import annotations

import csv
from pathlib import Path

from engine.record.rundir import RunDir
from engine.record.string_file import read


def same_string(one: Path, other: Path) -> bool:
    """Whether two run directories hold the same string."""
    a, b = (read(run / "string.safetensors").string for run in (one, other))
    return all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes()
        for name in ("beads", "losses", "t", "profiles")
    )


def cells(sweep: Path) -> list[RunDir]:
    """The runs of a sweep's folder."""
    return [RunDir(path.parent) for path in sorted(sweep.glob("level-*/pair-*/run.yaml"))]


def same_cells(one: Path, other: Path) -> bool:
    """Whether two sweeps hold the same strings at the same places, and any at all."""
    places = [run.path.relative_to(one) for run in cells(one)]
    assert places == [run.path.relative_to(other) for run in cells(other)]
    return bool(places) and all(same_string(one / place, other / place) for place in places)


def untimed(table: Path) -> list[dict[str, str]]:
    """The lines of a table in a CSV file, without their times."""
    with open(table, newline="") as file:
        return [
            {key: text for key, text in line.items() if key != "elapsed_s"}
            for line in csv.DictReader(file)
        ]
