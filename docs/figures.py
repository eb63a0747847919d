"""Draws the figures of docs/figures.md. Run it as `python docs/figures.py [NAME …]`.

It searches in a temporary folder, with seeds that are set, and writes each figure with its numbers
beside it. The figures of docs/paper.md come from `benchmarks/paper.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dss_tui.cli import main as dss

OUT = Path(__file__).parent / "figures"

LEVELS = "1e-1,3e-2,1e-2,3e-3,1e-3"

#: The command line that makes what is drawn, by its name, which is that of its folder too.
SOURCES = {
    "digits": "run digits --seed 1",
    "quadratic": "run quadratic --seed 1",
    "sweep": f"sweep quadratic --levels {LEVELS} --pairs 6",
    "compare": "compare quadratic --methods greedy,greedy+shorten,constrained,neb --pairs 6 "
    "--set search.level=5e-3",
    "components": "components permutation-disconnect --models 8 --levels .4,.35,.3,.2,.1",
    "components-quadratic": "components quadratic --models 12 --levels .01,.001,.0001",
    "components-permutation": "components permutation-disconnect --models 12 --levels .3,.01",
}

#: The figures by name: what they are of, and how they are drawn.
FIGURES = {
    "path": ("digits", "--kind path"),
    "string": ("quadratic", "--kind string --width two"),
    "plane": ("quadratic", "--plane 1,2,3"),
    "depths": ("sweep", "--kind depths"),
    "quantities": ("digits", "--kind quantities --width two"),
    "methods": ("compare", ""),
    "disconnectivity": ("components", "--width two"),
    "components-quadratic": ("components-quadratic", "--width two"),
    "components-permutation": ("components-permutation", "--width two"),
}


def run(*arguments: str) -> None:
    """Runs a command line. Raises SystemExit where it fails."""
    status = dss(arguments)
    if status:
        raise SystemExit(f"dss-tui {' '.join(arguments)} ended with status {status}")


def draw(names: Iterable[str], folder: Path) -> None:
    """Draws some figures of what is searched in a folder."""
    for name in names:
        source, options = FIGURES[name]
        place = str(folder / source)
        if not Path(place).exists():
            run(*SOURCES[source].split(), "--headless", "--out", place)
        if name == "quantities":
            run("measure", place, "--what", "swa,gradient", "--between", "2")
        run("figure", place, *options.split(), "--out", str(OUT / f"{name}.svg"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["DSS_TUI_RUNS"] = temporary
        draw(sys.argv[1:] or FIGURES, Path(temporary))
