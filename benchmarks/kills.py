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
from pathlib import Path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dss_tui", *arguments]


def main() -> None:
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
        expected = (whole / "string.safetensors").read_bytes()
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
            found = (out / "string.safetensors").read_bytes()
            equal = weights(found) == weights(expected) and resumed.returncode == 0
            same += equal
            print(f"{kill + 1:2}  {at:5.2f} s  {known:3} events, {state}: {equal}", flush=True)
        print(f"{same} of {asked.kills} identical")


def started(run: list[str], out: Path) -> subprocess.Popen[bytes]:
    """The process of a run whose directory is there."""
    process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (out / "run.yaml").exists() and process.poll() is None:
        time.sleep(0.01)
    return process


def weights(content: bytes) -> bytes:
    """The tensors of a safetensors file, without the metadata (which hold the running time)."""
    size = int.from_bytes(content[:8], "little")
    return content[8 + size :]


if __name__ == "__main__":
    main()
