"""Measures what large networks cost: memory, bytes written per checkpoint, and stalled training.

python benchmarks/large.py --networks 2M:50,11M:50,100M:20 --optimizers sgd,rmsprop --kill

A line of the table is a search in a process of its own. It begins with a string of so many beads,
near one or the other of two random fully connected networks. The one segment between these is too
high, so that greedy DSS trains a bead in it until the steps run out; constrained DSS trains all of
its beads at once. With `--kill` it is run again, killed after each of its first checkpoints and
resumed, and its string compared with the first one.
Anonymous memory (RssAnon) does not hold the pages of mapped files. Folders are deleted as soon as
they are not needed; what a line needs at most is told, and refused where the disk has less.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import engine
from engine.record import string_file
from engine.record.geometry import BeadString
from engine.record.rundir import RunDir
from engine.record.string_file import Header, StringFile
from engine.record.tensor_file import Stacked
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump

MB = 1e6
#: The most bytes of rows in training in a checkpoint, and the most vectors of one row.
ROWS_BYTES, ROW_VECTORS = 2**29, 3
COLUMNS = (
    "weights",
    "beads",
    "method",
    "optimizer",
    "peak RssAnon, MB",
    "in vectors",
    "checkpoints",
    "bytes of one in vectors, most",
    "bytes of one without rows in training, most",
    "files of beads",
    "string files",
    "longest stall, ms (of processor time)",
    "seconds",
    "after kills",
)

PRESET = """
description: a large network
problem:
  data: {{kind: polynomial, coefficients: [0.1, 0.25, 0.5], points: 4, sampling: grid}}
  network: {{kind: mlp, sizes: [1, {width}, {width}, 1]}}
  loss: mse
endpoints: {{optimizer: {optimizer}}}
search:
  method: {method}
  string: {string}
  level: {level}
  alpha: 0.98
  batching: {batching}
  greedy: {{t_star: half, grid: 5, slots: 1, check_every: 5, optimizer: {optimizer}}}
  constrained: {{grid: 5, check_every: 5, optimizer: {optimizer}}}
  certify: 'off'
limits: {{steps: {steps}, seconds: {seconds}}}
checkpoint_seconds: {every}
seed: 0
device: cpu
workers: 1
"""

OPTIMIZERS = {
    "sgd": "{kind: sgd, lr: 1.0e-5, momentum: 0.9}",
    "rmsprop": "{kind: rmsprop, lr: 1.0e-6}",
}


@dataclass
class Seen:
    """What was seen of a run from outside."""

    anonymous: int = 0
    """The most anonymous memory that it held, in bytes."""
    checkpoints: list[int] = field(default_factory=list)
    """The bytes of each checkpoint's own file."""
    beads: list[int] = field(default_factory=list)
    """The bytes of each file of a bead."""
    strings: list[int] = field(default_factory=list)
    """The bytes of each string file."""


def main() -> None:
    """Prints a line of the table for each network and optimizer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="2M:50", help="weights:beads, separated by commas")
    parser.add_argument("--optimizers", default="sgd")
    parser.add_argument("--method", default="greedy", choices=("greedy", "constrained"))
    parser.add_argument("--batching", default="loop")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seconds", default="null", help="running time after which a run ends")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between checkpoints")
    parser.add_argument("--folder", type=Path, help="where runs are written")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        child(RunDir(asked.child))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # folders are deleted
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS), flush=True)
    for network in asked.networks.split(","):
        for optimizer in asked.optimizers.split(","):
            print(line(asked, network, optimizer), flush=True)


def line(asked: argparse.Namespace, network: str, optimizer: str) -> str:
    """Runs one network with one optimizer, and returns its line of the table."""
    words, count = network.split(":")
    width = round(math.sqrt(float(words.removesuffix("M")) * 1e6))
    check_room(network, 4 * width**2, int(count), asked.folder)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        given = Path(folder) / "given.safetensors"
        text = partial(
            PRESET.format,
            width=width,
            method=asked.method,
            optimizer=OPTIMIZERS[optimizer],
            batching=asked.batching,
            string=given,
            steps=asked.steps,
            seconds=asked.seconds,
            every=asked.every,
        )
        level = write_string(given, loaded(Path(folder), text(level=1.0)), int(count))
        spec = loaded(Path(folder), text(level=level))
        run = made(Path(folder) / "run", spec)
        seen, told = followed(run)
        whole = digest(run)
        shutil.rmtree(run.path)
        after = killed(Path(folder), spec, whole) if asked.kill else "–"
        vector = 4 * told["parameters"]
        most = max(seen.checkpoints, default=0)
        cells = (
            f"{told['parameters'] / 1e6:.1f} M",
            f"{told['beads']:.0f}",
            asked.method,
            optimizer,
            f"{seen.anonymous / MB:.0f}",
            f"{(seen.anonymous - told['before']) / vector:.1f}",
            len(seen.checkpoints),
            f"{most / vector:.2f}",
            f"{most % vector / MB:.2f} MB",
            f"{len(seen.beads)}",
            f"{len(seen.strings)}",
            f"{1000 * told['stall_s']:.0f} ({1000 * told['busy_s']:.0f})",
            f"{told['seconds']:.0f}",
            after,
        )
    return "| " + " | ".join(map(str, cells)) + " |"


def check_room(network: str, vector: int, beads: int, folder: Path | None) -> None:
    """Tells the disk that a line needs at most. Raises SystemExit where there is less.

    Those are the given string, the beads' files, the string at the end, and two checkpoints.
    """
    need = 3 * beads * vector + 2 * max(ROWS_BYTES, ROW_VECTORS * vector)
    free = shutil.disk_usage(folder or tempfile.gettempdir()).free
    print(f"{network} needs up to {need / 1e9:.1f} GB of {free / 1e9:.1f} GB free", file=sys.stderr)
    if need > free:
        raise SystemExit(f"{network}: there is too little room; name another disk with --folder")


def digest(run: RunDir) -> str:
    """Returns a checksum of the beads and profiles of a run's string."""
    held, found = engine.read_string(run.string).string, hashlib.sha256()
    for part in (*held.beads, held.profiles):
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


def loaded(folder: Path, text: str) -> Spec:
    """Returns the spec of a preset's text."""
    path = folder / "preset.yaml"
    path.write_text(text)
    return engine.load_preset(path)


def made(path: Path, spec: Spec) -> RunDir:
    """Returns a new run directory with a preset."""
    path.mkdir()
    run = RunDir(path)
    run.spec.write_text(dump(spec.of_a_new_run()))
    return run


@dataclass(frozen=True)
class Lazy(Sequence[Any]):
    """Beads, each of which is made when it is asked for."""

    beads: int
    make: Callable[[int], Any]

    def __len__(self) -> int:
        """Returns the number of beads."""
        return self.beads

    def __getitem__(self, which: Any) -> Any:
        """Returns a bead (param,)."""
        if not 0 <= which < self.beads:
            raise IndexError(which)
        return self.make(which)


def write_string(path: Path, spec: Spec, beads: int) -> float:
    """Writes a string with one segment that is longer than others, and returns a level below it.

    The beads are made one after another, since all of them may fit no memory.
    """
    import torch

    from engine.backends.in_place import InPlaceBackend
    from engine.problem.problem import build_problem

    torch.set_num_threads(1)
    problem = build_problem(spec.problem)
    backend = InPlaceBackend(problem)

    def loss(theta: torch.Tensor) -> float:
        return float(backend.objective(theta[None]))

    def centred(seed: int) -> torch.Tensor:
        """Random weights whose last bias, which the output moves with, is the best one."""
        theta, slopes = problem.initial(seed), []
        for shift in (1.0, -2.0, 1.0):
            theta[-1] += shift
            slopes.append(loss(theta) * shift)
        theta[-1] -= (slopes[0] + slopes[1] / 2) / 4
        return theta

    first, level, seed = centred(1), 0.0, 1
    while True:
        seed += 1
        last = centred(seed)
        level = 1.03 * max(loss(first), loss(last))
        if loss(torch.lerp(first, last, 0.5)) > level:
            break

    def bead(number: int) -> Any:
        near = first if number < beads // 2 else last
        return (near * (1 + 1e-6 * number)).numpy()

    rows = cast("NDArray[np.float32]", Stacked(Lazy(beads, bead)))
    header = Header(
        outcome="running",
        level=1.0,
        alpha=0.8,
        method="greedy",
        seed=0,
        problem=spec.problem,
        parameters=tuple((p.name, p.shape) for p in problem.parameters),
        data_sha256=problem.checksum,
        bead_ids=tuple(range(1, beads + 1)),
        elapsed_s=0.0,
    )
    profiles = np.zeros((beads - 1, 2))
    string = BeadString(rows, np.zeros(beads), np.array([0.0, 1.0]), profiles)
    fixed = {name: each.numpy() for name, each in problem.fixed.items()}
    string_file.write(StringFile(header, string, fixed=fixed), path)
    return level


def started(run: RunDir) -> subprocess.Popen[bytes]:
    """Returns the process of an engine on a run directory."""
    return subprocess.Popen([sys.executable, __file__, "--child", str(run.path)])


def followed(run: RunDir) -> tuple[Seen, dict[str, float]]:
    """Runs a run to its end, and returns what was seen of it and what its engine told."""
    seen, known = Seen(), set[tuple[int, int]]()
    process = started(run)
    try:
        while process.poll() is None:
            look(run, process.pid, seen, known)
            time.sleep(0.01)
    finally:
        process.kill()
    if process.returncode:
        raise SystemExit(f"the engine of {run.path} ended with {process.returncode}")
    return seen, json.loads((run.path / "told.json").read_text())


def look(run: RunDir, pid: int, seen: Seen, known: set[tuple[int, int]]) -> None:
    """Notes the memory of a process, and the files that it has written since the last look."""
    seen.anonymous = max(seen.anonymous, anonymous(Path(f"/proc/{pid}/status")))
    kinds = {run.checkpoint: seen.checkpoints, run.string: seen.strings}
    kinds |= dict.fromkeys(run.beads.glob("*.safetensors"), seen.beads)
    for path, sizes in kinds.items():
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            continue
        key = (found.st_ino, found.st_mtime_ns)
        if key not in known:
            known.add(key)
            sizes.append(found.st_size)


def killed(folder: Path, spec: Spec, whole: str) -> str:
    """Kills a run after each of its first checkpoints, resumes it, and compares its string.

    `whole` is the checksum of the string of a run that was not killed.
    """
    run = made(folder / "killed", spec)
    kills, most = 0, 0
    while kills < 3:
        process = started(run)
        before = stamp_of(run.checkpoint)
        try:
            while process.poll() is None and stamp_of(run.checkpoint) == before:
                most = max(most, anonymous(Path(f"/proc/{process.pid}/status")))
                time.sleep(0.003)
            if process.poll() is not None:
                break
        finally:
            process.kill()
            process.wait()
        kills += 1
    else:
        most = max(most, followed(run)[0].anonymous)
    same = digest(run) == whole
    return f"{kills} kills: {'the same' if same else 'ANOTHER'} string, {most / MB:.0f} MB"


def stamp_of(path: Path) -> int | None:
    """Returns the time of a file's last change, or None without one."""
    try:
        return os.lstat(path).st_mtime_ns
    except FileNotFoundError:
        return None


def anonymous(status: Path = Path("/proc/self/status")) -> int:
    """Returns the anonymous memory of a process in bytes; 0 where it has ended."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    found = [1024 * int(text.split()[1]) for text in lines if text.startswith("RssAnon")]
    return found[0] if found else 0


# ---------------------------------------------------------------- in the engine's process


def child(run: RunDir) -> None:
    """Runs a run directory, and writes what was seen within beside it."""
    from engine.record.signals import Signals
    from engine.run import session
    from engine.run.store import DirectoryStore

    stalls: list[tuple[float, float]] = []

    def timed(action: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            began, busy = time.perf_counter(), time.thread_time()
            action(*arguments)
            stalls.append((time.perf_counter() - began, time.thread_time() - busy))

        return call

    DirectoryStore.checkpoint = timed(DirectoryStore.checkpoint)  # type: ignore[method-assign]
    began, before = time.perf_counter(), anonymous()
    ended = session.run(run, Signals())
    events = run.events.read_text().splitlines()
    sizes = run.load_spec().problem.network.model_dump()["sizes"]
    told = {
        "parameters": sum(a * b + b for a, b in pairwise(sizes)),
        "beads": json.loads(events[-1])["totals"]["beads"],
        "seconds": time.perf_counter() - began,
        "stall_s": max((wall for wall, _ in stalls[:-1]), default=0.0),  # the last one ends the run
        "busy_s": max((busy for _, busy in stalls[:-1]), default=0.0),
        "before": before,
        "outcome": str(ended.outcome),
    }
    (run.path / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
