"""Readers of binary files under a fuzzer that is guided by what they do with an input.

`python -m tests.support.faults.guided --runs 20000 --seed 1` gives each reader so many inputs. The
fuzzer, atheris (the extra `fuzz`), makes them of whole files, and changes those further that reach
new places of the engine's code. Each reader has a process of its own, and an input is accepted, or
refused in one sentence, within PATIENCE_S seconds and 1 GiB. What is neither is printed, and kept
in the folder that `--keep` names. The exit status is 1 where there was any.
"""

from __future__ import annotations

import argparse
import atexit
import gzip
import io
import json
import pickle
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.support import image_files

#: The seconds that no input may take, and the megabytes that no reader's process may hold.
PATIENCE_S, MOST_MB = 10, 1024
#: The longest input in bytes.
LONGEST = 2**17
#: The letters of a finding that are printed.
TOLD = 3000
FIXTURES = Path(__file__).parents[2] / "fixtures"


@dataclass(frozen=True)
class Reader:
    """A reader, by the kind of `inputs.KINDS` that takes what it is given."""

    kind: str
    drawn: Callable[[bytes], Any]
    """Makes of bytes what the kind takes."""
    whole: Callable[[], list[bytes]]
    """Whole files, from which the fuzzer begins."""


def _strings(ending: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(FIXTURES.glob(f"*/strings/*{ending}"))]


def _saved() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        held = io.BytesIO()
        save(held, x=np.arange(40.0, dtype=np.float32).reshape(10, 4), y=np.arange(10) % 3)
        found.append(held.getvalue())
    return found


def _pickled() -> list[bytes]:
    x, y = image_files.pixels(2, 3, 32, 32), image_files.labels(2)
    held = {b"data": x.reshape(2, -1), b"labels": y.tolist()}
    return [pickle.dumps(held, protocol) for protocol in (0, 2, 4)]


def _records() -> list[bytes]:
    return [image_files.records(image_files.pixels(2, 3, 32, 32), image_files.labels(2))]


def _itself(content: bytes) -> bytes:
    return content


def _named(name: str) -> Callable[[bytes], tuple[str, bytes]]:
    return lambda content: (name, content)


READERS = {
    "IDX, images": Reader(
        "IDX", _named("images"), lambda: [image_files.idx(image_files.pixels(3, 28, 28))]
    ),
    "IDX, labels": Reader(
        "IDX", _named("labels"), lambda: [image_files.idx(image_files.labels(5))]
    ),
    "CIFAR, records": Reader("CIFAR", _named("data_batch_1.bin"), _records),
    "CIFAR, pickles": Reader("CIFAR", _named("data_batch_1"), _pickled),
    "gzip": Reader(
        "gzip and tar",
        _named("a.gz"),
        lambda: [gzip.compress(image_files.idx(image_files.labels(5)), 1, mtime=0)],
    ),
    "npz": Reader("npz", _itself, _saved),
    "safetensors": Reader("safetensors", _itself, lambda: _strings(".safetensors")),
    "strings, .npz": Reader("strings, .npz", _itself, lambda: _strings(".npz")),
    "strings, .pt": Reader("strings, .pt", _itself, lambda: _strings(".pt")),
}


# ---------------------------------------------------------------- in the process of a reader


def fuzz(name: str, options: list[str], told: Path) -> None:
    """Gives a reader inputs until the fuzzer ends the process; writes counts to a file then."""
    import atheris

    with atheris.instrument_imports(include=["engine"]):
        from tests.support.faults.inputs import KINDS, taken
    reader = READERS[name]
    kind, counts = KINDS[reader.kind], Counter[str]()

    def tell() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # by which the fuzzer keeps time
        told.write_text(json.dumps(counts))

    atexit.register(tell)

    def one(content: bytes) -> None:
        counts["tried"] += 1
        counts[taken(kind, reader.drawn(content))] += 1

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


# ---------------------------------------------------------------- all of them


def fuzzed(name: str, runs: int, seed: int, keep: Path) -> tuple[Counter[str], str | None]:
    """Fuzzes a reader in a process of its own, and returns its counts and a finding."""
    with tempfile.TemporaryDirectory() as place:
        whole, told = Path(place) / "whole", Path(place) / "told.json"
        whole.mkdir()
        for number, content in enumerate(READERS[name].whole()):
            (whole / f"{number}").write_bytes(content)
        options = [
            *(f"-atheris_runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", "-verbosity=0"),
            *(f"-timeout={PATIENCE_S}", f"-rss_limit_mb={MOST_MB}"),
            *(f"-artifact_prefix={keep}/{name.replace(', ', '-')}-", str(whole)),
        ]
        ended = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--child", name, "--told", str(told), *options],
            capture_output=True,
            text=True,
            check=False,
        )
        counts = Counter[str](json.loads(told.read_text())) if told.exists() else Counter[str]()
    said = (ended.stdout + ended.stderr)[-TOLD:]
    return counts, said if ended.returncode or not counts else None


def main() -> int:
    """Fuzzes all readers, and prints a line of counts for each."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.faults.guided", description=__doc__
    )
    parser.add_argument("--runs", type=int, default=20_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=READERS, default=[*READERS])
    parser.add_argument("--keep", type=Path, default=Path())
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    asked, options = parser.parse_known_args()
    if asked.child is not None:
        fuzz(asked.child, options, asked.told)
        return 0
    findings = 0
    asked.keep.mkdir(parents=True, exist_ok=True)
    print("| reader | tried | accepted | refused in a sentence | findings |")
    print("|---|---:|---:|---:|---:|", flush=True)
    for name in asked.only:
        counts, finding = fuzzed(name, asked.runs, asked.seed, asked.keep)
        findings += finding is not None
        row = (name, counts["tried"], counts["accepted"], counts["refused"], int(bool(finding)))
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        if finding is not None:
            print(finding, flush=True)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
