"""What a second worker of a cluster brings to a sweep, and whether its results are the same.

python benchmarks/cluster.py --preset quadratic --levels 0.02,0.005 --pairs 8 --workers 1,2

The same sweep is run in one process, and on so many workers of this machine. Seconds are those from
the moment at which the workers are there until the last cell has ended. Efficiency is the seconds
of the first number of workers, times that number, divided by the same product of another number.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from engine.record.signals import Signals
from engine.record.string_file import read
from engine.run import sweep
from engine.run.crews import crew_of
from engine.spec.grid import levels_of
from presets import load_preset


def main() -> None:
    """Runs the sweeps and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="quadratic")
    parser.add_argument("--levels", default="0.02,0.005")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    asked = parser.parse_args()
    counts = [int(word) for word in asked.workers.split(",")]
    print("| crew | seconds | efficiency | cells connected | strings as in one process |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        alone = Path(scratch) / "alone"
        seconds, connected = taken(asked, alone, None)
        print(f"| one process | {seconds:.1f} | – | {connected} | – |", flush=True)
        first: float | None = None
        for count in counts:
            folder = Path(scratch) / f"local-{count}"
            seconds, connected = taken(asked, folder, f"local:{count}")
            first = first or seconds * count
            same = same_strings(alone, folder)
            efficiency = first / (seconds * count)
            print(
                f"| local:{count} | {seconds:.1f} | {efficiency:.2f} | {connected} | {same} |",
                flush=True,
            )


def taken(asked: argparse.Namespace, folder: Path, crew: str | None) -> tuple[float, str]:
    """Returns the seconds of a sweep by a crew, and how many of its cells are connected."""
    levels = levels_of(asked.levels.split(","))
    spec = load_preset(asked.preset, [*asked.overrides, f"search.level={levels[0]}", "device=cpu"])
    with crew_of(crew) as workers:
        begun = sweep.start(spec, levels, asked.pairs, folder, workers)
        since = time.perf_counter()
        end = begun.run(Signals())
        seconds = time.perf_counter() - since
    assert end.exit_status == 0, end.sentence
    rows = begun.write_tables()
    return seconds, f"{sum(row.connected for row in rows)} of {begun.cells}"


def same_strings(one: Path, other: Path) -> str:
    """Returns how many strings of two sweeps are the same to the bit."""
    places = [path.relative_to(one) for path in one.glob("level-*/pair-*/string.safetensors")]
    same = sum(
        read(one / place).string.beads.tobytes() == read(other / place).string.beads.tobytes()
        for place in places
    )
    return f"{same} of {len(places)}"


if __name__ == "__main__":
    main()
