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
        began = time.monotonic()
        subprocess.run(run(whole), check=True, capture_output=True)
        duration = time.monotonic() - began
        expected = (whole / "string.safetensors").read_bytes()
        same = 0
        for kill in range(asked.kills):
            out = Path(folder) / f"run-{kill}"
            process = subprocess.Popen(run(out), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            at = draw.random() * duration
            time.sleep(at)
            process.kill()
            process.communicate()
            if not (out / "run.yaml").exists():
                print(f"{kill + 1:2}  killed at {at:5.1f} s, before there was a run", flush=True)
                same += 1
                continue
            had = "checkpoint" if (out / "checkpoint.safetensors").exists() else "no checkpoint"
            ended = (out / "string.safetensors").exists() and process.returncode == 0
            resumed = subprocess.run(
                command("resume", str(out), "--headless"), capture_output=True, text=True
            )
            found = (out / "string.safetensors").read_bytes()
            equal = weights(found) == weights(expected) and resumed.returncode == 0
            same += equal
            state = "had ended" if ended else had
            print(f"{kill + 1:2}  killed at {at:5.1f} s, {state}: identical {equal}", flush=True)
        print(f"{same} of {asked.kills} identical")


def weights(content: bytes) -> bytes:
    """The tensors of a safetensors file, without the metadata (which hold the running time)."""
    size = int.from_bytes(content[:8], "little")
    return content[8 + size :]


if __name__ == "__main__":
    main()
