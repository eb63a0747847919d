"""The memory of a run on a Dataset that is larger than the memory it may take.

Images of bytes lie in a sparse file, and a Dataset reads them one by one. A whole run (ends, path,
audit, the mirror's looks) is watched from outside: anonymous memory is what the system cannot take
back, RssAnon of all its processes together. Pages of mapped files are not counted, as the system
drops them where memory is short.

python benchmarks/streaming.py [--gib 0.5 2] [--batching auto]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

HERE = Path(__file__).resolve()
SHAPE, CLASSES = (3, 64, 64), 4
ITEM = int(np.prod(SHAPE))
EVERY_S = 0.02


class Images(Dataset[Any]):
    """Images of a file, one after another, of which a plane is as bright as their class says."""

    def __init__(self, path: str, first: int, count: int) -> None:
        """Opens the file for the images from number `first` on."""
        self._file, self._first, self._count = os.open(path, os.O_RDONLY), first, count

    def __len__(self) -> int:
        """Returns the number of images."""
        return self._count

    def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], int]:
        """Returns an image and its class. Raises IndexError beyond the last one."""
        if number >= self._count:
            raise IndexError(number)
        at = self._first + number
        held = os.pread(self._file, ITEM, at * ITEM)
        x = np.frombuffer(held, np.uint8).reshape(SHAPE).copy()
        label = at * 7 % CLASSES
        x[0] += np.uint8(60 * label)
        return x, label


def images(path: str, held_out: int) -> tuple[Images, Images]:
    """Returns the images of a file to train on, and the last ones, which are held out."""
    count = os.path.getsize(path) // ITEM
    return Images(path, 0, count - held_out), Images(path, count - held_out, held_out)


class Sparse(nn.Module):
    """A small network that sees one pixel of 256, so that the time is that of the data."""

    def __init__(self) -> None:
        """Draws the weights."""
        super().__init__()
        self.hidden, self.last = nn.Linear(48, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Returns a score for each class, (sample, class)."""
        seen = x[:, :, ::16, ::16].flatten(1)
        return self.last(torch.tanh(self.hidden(seen)))  # type: ignore[no-any-return]


def preset(folder: Path, gib: float, batching: str) -> Path:
    """Writes a sparse file of so many GiB and a preset for it, and returns the preset."""
    data = folder / "images.bin"
    with open(data, "wb") as file:
        file.truncate(int(gib * 2**30) // ITEM * ITEM)
    adam = {"optimizer": {"kind": "adam", "lr": 0.01}, "batch_size": 64, "max_steps": 2000}
    own = {"kind": "custom", "factory": f"{HERE}:images"}
    tree = {
        "problem": {
            "data": own | {"args": {"path": str(data), "held_out": 1000}},
            "network": {"kind": "custom", "factory": f"{HERE}:Sparse"},
            "loss": "cross_entropy",
        },
        "endpoints": adam | {"check_every": 200},
        "search": {
            "level": 0.9,
            "batching": batching,
            "certify": "off",
            "greedy": adam | {"check_every": 200, "grid": 5},
        },
        "limits": {"memory": 0.1},
        "device": "cpu",
        "workers": 2,
    }
    path = folder / "preset.yaml"
    path.write_text(json.dumps(tree))
    return path


def anonymous_bytes(pid: int) -> int:
    """Returns the anonymous memory of a process and those below it, in bytes; 0 for none."""
    return sum(_anonymous(each) for each in [pid, *_below(pid)])


def _anonymous(pid: int) -> int:
    """Returns the anonymous memory of one process in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _below(pid: int) -> Iterator[int]:
    """Yields the processes that a process has started, and those that these have."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        words = " ".join((task / "children").read_text() for task in tasks)
    except OSError:
        return
    for child in map(int, words.split()):
        yield child
        yield from _below(child)


class Peak:
    """Watches the anonymous memory of a process and of those that it starts."""

    def __init__(self, pid: int | None = None) -> None:
        """Takes the process with this number, or this one."""
        self._pid, self._highest = pid or os.getpid(), 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        """Begins to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops watching."""
        self._ended.set()
        self._thread.join()

    def bytes(self) -> int:
        """Returns the peak so far in bytes."""
        self._look()
        return self._highest

    def _look(self) -> None:
        """Notes the memory of now."""
        self._highest = max(self._highest, anonymous_bytes(self._pid))

    def _watch(self) -> None:
        """Looks again and again until it is stopped."""
        while not self._ended.wait(EVERY_S):
            self._look()


def watched(command: list[str], environment: dict[str, str]) -> tuple[int, float, str]:
    """Runs a command. Returns its peak of anonymous bytes, its seconds, and what it printed."""
    began = time.monotonic()
    with (
        subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
        ) as process,
        Peak(process.pid) as peak,
    ):
        said = process.communicate()[0].strip()
    if process.returncode:
        raise SystemExit(f"the run ended with status {process.returncode}: {said}")
    return peak.bytes(), time.monotonic() - began, said


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, nargs="+", default=[0.5, 2.0])
    parser.add_argument("--batching", default="auto")
    options = parser.parse_args()
    idle, *_ = watched([sys.executable, "-c", "import engine.run.session, time; time.sleep(1)"], {})
    print("| samples, GiB | images | peak of anonymous memory, MB | seconds | outcome |")
    print("|---|---|---|---|---|")
    print(f"| – (imports alone) | – | {idle / 1e6:.0f} | – | – |")
    for gib in options.gib:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = preset(folder, gib, options.batching)
            run = [sys.executable, "-m", "dss_tui", "run", str(path), "--headless", "--json"]
            run += ["--out", str(folder / "run")]
            peak, seconds, said = watched(run, {"DSS_TUI_CACHE": str(folder / "cache")})
            ended = json.loads(said.splitlines()[-1])
        count = int(gib * 2**30) // ITEM
        print(f"| {gib:g} | {count} | {peak / 1e6:.0f} | {seconds:.0f} | {ended['outcome']} |")


if __name__ == "__main__":
    main()
