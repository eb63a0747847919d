"""The share of a run's time that the mirror takes: what plain torch looks at twice in each run.

A run in the foreground, from its preset to its string file, with imports and compiled code warm.
Before training the mirror looks at two random models, and before the verdict at up to ten beads and
as many segments; the share is of the time between the first event and the last, and of the whole.

python benchmarks/mirror.py [PRESET …] [--repeats 5] [--set a.b=value]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import engine
from engine.record.finding import create
from engine.record.signals import Signals
from engine.run import mirror
from engine.run.session import run

LOOKS = ("of_random_models", "of_string")


def measure(preset: str, overrides: list[str]) -> dict[str, float]:
    """Returns the seconds of a whole run, and of each of the mirror's looks within it."""
    spec = engine.load_preset(preset, overrides)
    seconds = dict.fromkeys(LOOKS, 0.0)

    def timed(name: str) -> Callable[..., Any]:
        inner = getattr(mirror, name)

        def look(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                seconds[name] += time.perf_counter() - began

        return look

    with (
        tempfile.TemporaryDirectory() as folder,
        ExitStack() as patches,
        Signals() as signals,
    ):
        for name in LOOKS:
            patches.enter_context(mock.patch.object(mirror, name, timed(name)))
        began = time.perf_counter()
        ended = run(create(spec, Path(preset).stem, Path(folder) / "run"), signals)
        seconds["run"] = time.perf_counter() - began
    print(f"  {ended.sentence}")
    return seconds


def main() -> None:
    """Prints for each preset the median run, and the mirror's share of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=["custom-example"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    asked = parser.parse_args()
    for preset in asked.presets:
        measure(preset, asked.overrides)
        found = [measure(preset, [*asked.overrides, f"seed={k}"]) for k in range(asked.repeats)]
        shares = [sum(each[look] for look in LOOKS) / each["run"] for each in found]
        run_s, before_s, after_s = (
            statistics.median(each[name] for each in found) for name in ("run", *LOOKS)
        )
        print(
            f"{preset}: run {run_s:.2f} s, mirror {statistics.median(shares):.1%} of it "
            f"({min(shares):.1%} … {max(shares):.1%}): {1e3 * before_s:.0f} ms before training, "
            f"{1e3 * after_s:.0f} ms before the verdict"
        )


if __name__ == "__main__":
    main()
