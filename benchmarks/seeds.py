"""Runs a preset over seeds and levels as a user would, verifies every string, prints a table.

python benchmarks/seeds.py quadratic --seeds 20 --levels 1e-3 --grid 2001
python benchmarks/seeds.py quadratic-paper --seeds 10 --levels .125,.05,.01 --paper figures.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Cell:
    level: float
    seed: int
    outcome: str
    holds: bool | None
    beads: int
    steps: int
    length: float
    seconds: float


def dss(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dss_tui", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)


def run_cell(preset: str, level: float, seed: int, grid: int, sets: list[str]) -> Cell:
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"search.level={level}", f"seed={seed}", "workers=1", *sets]
        options = [part for line in overrides for part in ("--set", line)]
        ran = dss("run", preset, "--headless", "--json", "--out", folder, *options)
        if not ran.stdout:
            raise SystemExit(ran.stderr)
        ended = json.loads(ran.stdout.splitlines()[-1])
        totals = ended["totals"]
        holds = None
        if ended["outcome"] == "connected":
            path = str(Path(folder) / "string.safetensors")
            holds = dss("verify", path, "--grid", str(grid)).returncode == 0
        cell = Cell(
            level,
            seed,
            ended["outcome"],
            holds,
            totals["beads"],
            totals["bead_steps"],
            totals["normalized_length"] or float("nan"),
            totals["elapsed_s"],
        )
        print(cell, file=sys.stderr, flush=True)
        return cell


def error_of_mean(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def table(cells: list[Cell], paper: dict[float, tuple[float, float]]) -> None:
    head = "level  connected  hold  no endpoint  not connected  limit  beads  length ± s.e.  "
    print(head + "paper ± s.e.  z  median steps  median s")
    for level in sorted({cell.level for cell in cells}, reverse=True):
        here = [cell for cell in cells if cell.level == level]
        good = [cell for cell in here if cell.outcome == "connected"]
        count = {
            name: sum(cell.outcome == name for cell in here)
            for name in ("endpoint_not_trained", "not_connected", "limit_reached")
        }
        lengths = [cell.length for cell in good]
        mean, sem = statistics.mean(lengths), error_of_mean(lengths)
        theirs, their_sem = paper.get(level, (float("nan"), float("nan")))
        z = (mean - theirs) / (sem**2 + their_sem**2) ** 0.5
        print(
            f"{level:<7g} {len(good)}/{len(here)}  {sum(bool(c.holds) for c in good)}  "
            f"{count['endpoint_not_trained']}  {count['not_connected']}  {count['limit_reached']}  "
            f"{statistics.mean(c.beads for c in good):.2f}  {mean:.3f} ± {sem:.3f}  "
            f"{theirs:.3f} ± {their_sem:.3f}  {z:+.2f}  "
            f"{statistics.median(c.steps for c in here):.0f}  "
            f"{statistics.median(c.seconds for c in here):.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--levels", type=lambda text: [float(part) for part in text.split(",")])
    parser.add_argument("--grid", type=int, default=2001)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument("--paper", type=Path, help="the paper's figures as JSON")
    asked = parser.parse_args()
    paper: dict[float, tuple[float, float]] = {}
    if asked.paper:
        points = json.loads(asked.paper.read_text())["quadratics"]["points"]
        paper = {p["threshold"]: (p["norm_length"], p["norm_length_sem"]) for p in points}
    todo = [(level, seed) for level in asked.levels for seed in range(asked.seeds)]
    with ThreadPoolExecutor(asked.jobs) as pool:
        jobs = [
            pool.submit(run_cell, asked.preset, level, seed, asked.grid, asked.sets)
            for level, seed in todo
        ]
        table([job.result() for job in jobs], paper)


if __name__ == "__main__":
    main()
