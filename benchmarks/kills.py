"""Kills runs with SIGKILL at random moments, resumes them, and compares their final strings.

python benchmarks/kills.py --preset quadratic --seed 3 --kills 20
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import engine


def command(*arguments: str) -> list[str]:
    """Returns the command line of `dss-tui` with these arguments."""
    return [sys.executable, "-m", "dss_tui", *arguments]


def main() -> None:
    """Kills and resumes as many runs as asked for, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quadratic")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    asked = parser.parse_args()
    options = [part for line in asked.sets for part in ("--set", line)]
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:

        def run(out: Path) -> list[str]:
            seed = ["--seed", str(asked.seed), *options]
            return command("run", asked.preset, "--headless", "--out", str(out), *seed)

        whole = Path(folder) / "whole"
        process = started(run(whole), whole)
        began = time.monotonic()
        process.communicate()
        duration = time.monotonic() - began
        same = 0
        for kill in range(asked.kills):
            out = Path(folder) / f"run-{kill}"
            process = started(run(out), out)
            at = draw.random() * duration
            time.sleep(at)
            process.kill()
            process.communicate()
            events = out / "events.jsonl"
            known = events.read_bytes().count(b"\n") if events.exists() else 0
            had = "checkpoint" if (out / "checkpoint.safetensors").exists() else "no checkpoint"
            state = "had ended" if process.returncode == 0 else had
            resumed = subprocess.run(
                command("resume", str(out), "--headless"), capture_output=True, text=True
            )
            equal = resumed.returncode == 0 and same_string(out, whole)
            same += equal
            print(f"{kill + 1:2}  {at:5.2f} s  {known:3} events, {state}: {equal}", flush=True)
        print(f"{same} of {asked.kills} identical")


def started(run: list[str], out: Path) -> subprocess.Popen[bytes]:
    """Returns the process of a run, as soon as its directory is there."""
    process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (out / "run.yaml").exists() and process.poll() is None:
        time.sleep(0.01)
    return process


def same_string(one: Path, other: Path) -> bool:
    """Returns whether two runs have left the same string, to the last bit of every tensor."""
    a, b = (engine.read_string(run / "string.safetensors").string for run in (one, other))
    names = [field.name for field in fields(a)]
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in names)


if __name__ == "__main__":
    main()
