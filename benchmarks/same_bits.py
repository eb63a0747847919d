"""Whether two versions find the same strings to the last bit: many runs, recorded and compared.

python benchmarks/same_bits.py --out now.json --against tests/fixtures/6706f4a/same_bits.json
python benchmarks/same_bits.py --python /elsewhere/.venv/bin/python --out elsewhere.json

Everything goes through the command line of the interpreter that is given, in a folder where there
are no modules of the same names. Runs in compiled code share one process, as the pairs of a sweep:
their bits are those of a run alone. Bits depend on the processor and on the versions of numba and
torch, so compare what one machine has made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.numpy
import yaml

#: What is set besides the preset, for each row of the table.
METHODS = {
    "greedy": ["search.method=greedy"],
    "constrained": ["search.method=constrained"],
    "auto": ["search.method=auto"],
    "shortened": ["search.method=greedy", "search.shorten=true"],
}
#: Presets, and whether their bits are the same in a sweep.
PRESETS = {"quadratic": True, "digits": True, "digits-cnn": False}
#: So many threads and, where it would be measured, this batching: rounding depends on both.
FIXED = ["workers=1"]
LONE = [*FIXED, "search.batching=loop"]
#: What bits depend on besides the code.
MACHINE = """
import json, llvmlite.binding as binding, numba, torch
print(json.dumps({
    "cpu": binding.get_host_cpu_name(), "torch_capability": torch.backends.cpu.get_cpu_capability(),
    "torch": torch.__version__, "numba": numba.__version__,
}))
"""


@dataclass(frozen=True)
class Found:
    """How one run ended."""

    seed: int
    outcome: str
    beads: int
    bead_steps: int
    sha256: str | None
    """Of the beads' bytes; None where there is no string."""
    seconds: float
    """Running time as the run tells it; in a sweep it includes what a run waits for others."""


@dataclass(frozen=True)
class Group:
    """The runs of one preset by one method."""

    preset: str
    method: str
    level: float
    seconds: float
    """Of all the runs together, imports included."""
    runs: tuple[Found, ...]

    @property
    def connected(self) -> int:
        """The number of runs that connected."""
        return sum(run.outcome == "connected" for run in self.runs)

    @property
    def steps(self) -> float:
        """The median of the runs' bead-steps."""
        return statistics.median(run.bead_steps for run in self.runs)


# ---------------------------------------------------------------- the command line


@dataclass(frozen=True)
class Tool:
    """The dss-tui of an interpreter, in a folder of its own."""

    python: str
    folder: Path

    def __call__(self, *arguments: str) -> str:
        """What it printed. Exit status 3 is an outcome like others."""
        command = [self.python, "-m", "dss_tui", *arguments]
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if ran.returncode not in (0, 3):
            raise SystemExit(f"{' '.join(command)}: {ran.returncode}\n{ran.stderr}{ran.stdout}")
        return ran.stdout

    def machine(self) -> dict[str, Any]:
        """Returns what bits depend on besides the code, by name."""
        command = [self.python, "-c", MACHINE]
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return dict(json.loads(ran.stdout))

    def level(self, preset: str) -> float:
        """Returns the level of a shipped preset."""
        return float(yaml.safe_load(self("presets", preset))["search"]["level"])


def swept(tool: Tool, preset: str, method: str, seeds: int) -> Group:
    """Returns the runs of one preset by one method, made as the pairs of one sweep."""
    out, level = tool.folder / f"{preset}-{method}", tool.level(preset)
    began = time.monotonic()
    options = _sets([*FIXED, *METHODS[method]])
    pairs = ["--levels", repr(level), "--pairs", str(seeds), "--seed", "0"]
    tool("sweep", preset, *pairs, "--out", str(out), "--headless", *options)
    seconds = time.monotonic() - began
    folders = sorted(out.glob("level-*/pair-*"))
    runs = tuple(found(folder, seed) for seed, folder in enumerate(folders))
    return Group(preset, method, level, seconds, runs)


def alone(tool: Tool, preset: str, method: str, seeds: int) -> Group:
    """Returns the runs of one preset by one method, each made in a process of its own."""
    began, runs = time.monotonic(), []
    options = _sets([*LONE, *METHODS[method]])
    for seed in range(seeds):
        out = tool.folder / f"{preset}-{method}-{seed}"
        tool("run", preset, "--headless", "--seed", str(seed), "--out", str(out), *options)
        runs.append(found(out, seed))
    return Group(preset, method, tool.level(preset), time.monotonic() - began, tuple(runs))


def _sets(lines: list[str]) -> list[str]:
    return [part for line in lines for part in ("--set", line)]


def found(run: Path, seed: int) -> Found:
    """What a run directory holds."""
    *_, last = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    end, string = json.loads(last), run / "string.safetensors"
    digest = None
    if string.exists():
        beads = safetensors.numpy.load_file(string)["beads"]
        digest = hashlib.sha256(beads.tobytes()).hexdigest()
    totals = end["totals"]
    return Found(
        seed, end["outcome"], totals["beads"], totals["bead_steps"], digest, totals["elapsed_s"]
    )


# ---------------------------------------------------------------- the table


def read(path: Path) -> tuple[dict[str, Any], dict[tuple[str, str], Group]]:
    """The machine, and the groups by preset and method."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    groups = [
        Group(**each | {"runs": tuple(Found(**run) for run in each["runs"])})
        for each in tree["groups"]
    ]
    return tree["machine"], {(group.preset, group.method): group for group in groups}


def table(before: Path, after: Path) -> Iterator[str]:
    """Line by line; runs are counted that are in both."""
    (machine, old), (other, new) = read(before), read(after)
    if machine != other:
        yield f"NOT THE SAME MACHINE OR LIBRARIES: {machine} before, {other} after"
    yield (
        f"{'preset':<11} {'method':<12} {'level':>6}  identical  same outcome  "
        "connected before  after  median steps before    after  seconds before  after"
    )
    for key in old.keys() & new.keys():
        if old[key].level != new[key].level:
            yield f"{' '.join(key)}: the preset's level is another: {new[key].level:g}"
    for key in [key for key in old if key in new]:
        then, now = _both(old[key], new[key])
        pairs = list(zip(then.runs, now.runs, strict=True))
        same = sum(a.sha256 == b.sha256 and a.outcome == b.outcome for a, b in pairs)
        alike = sum(a.outcome == b.outcome for a, b in pairs)
        of = len(pairs)
        yield (
            f"{then.preset:<11} {then.method:<12} {then.level:>6g}  {same:>5}/{of:<3}  "
            f"{alike:>8}/{of:<3}  {then.connected:>12}/{of:<3}  {now.connected:>2}/{of:<3}  "
            f"{then.steps:>18.0f} {now.steps:>8.0f}  {then.seconds:>14.0f} {now.seconds:>6.0f}"
        )


def _both(one: Group, other: Group) -> tuple[Group, Group]:
    """The groups with the seeds that are in both."""
    seeds = {run.seed for run in one.runs} & {run.seed for run in other.runs}
    kept = [
        Group(
            group.preset,
            group.method,
            group.level,
            group.seconds,
            tuple(run for run in group.runs if run.seed in seeds),
        )
        for group in (one, other)
    ]
    return kept[0], kept[1]


def main() -> None:
    """Records the runs that are asked for, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="whose dss-tui is run")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file that is written")
    parser.add_argument("--against", type=Path, help="an earlier one, to compare with")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--lone-seeds", type=int, default=5, help="where each is its own process")
    parser.add_argument("--preset", action="append", choices=list(PRESETS), dest="presets")
    parser.add_argument("--method", action="append", choices=list(METHODS), dest="methods")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(asked.python, Path(folder))
        machine, groups = tool.machine(), []
        for preset in asked.presets or PRESETS:
            for method in asked.methods or METHODS:
                if PRESETS[preset]:
                    group = swept(tool, preset, method, asked.seeds)
                else:
                    group = alone(tool, preset, method, asked.lone_seeds)
                groups.append(group)
                print(f"{preset} {method}: {group.seconds:.0f} s", file=sys.stderr, flush=True)
                tree = {"machine": machine, "groups": [asdict(each) for each in groups]}
                asked.out.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    if asked.against is not None:
        for line in table(asked.against, asked.out):
            print(line)


if __name__ == "__main__":
    main()
