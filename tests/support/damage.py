"""What happens to the files of a folder behind the engine's back, and folders of older versions."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import safetensors.numpy

from engine.record.events import Outcome
from engine.record.tensor_file import CHECKSUMS


def flip(path: Path) -> None:
    """Flips one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def flip_in_tensors(path: Path) -> None:
    """Flips one bit of the last number in a file of tensors."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def without_checksums(path: Path) -> None:
    """Writes a file of tensors as versions did that wrote no checksums."""
    with safetensors.safe_open(path, framework="numpy") as file:
        texts = file.metadata()
    del texts[CHECKSUMS]
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, texts)


def end_as_failed(run: Path) -> None:
    """Makes a run that has ended one in which the engine failed, which is begun again."""
    events = run / "events.jsonl"
    *before, last = events.read_text().splitlines()
    failed = json.loads(last) | {"outcome": str(Outcome.FAILED), "certified": None}
    events.write_text("\n".join([*before, json.dumps(failed)]) + "\n")
