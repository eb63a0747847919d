"""Checkpoints: all that a search needs to go on as if it had never ended."""

from __future__ import annotations

import json
from dataclasses import dataclass

import safetensors.torch
from safetensors import SafetensorError, safe_open

from engine.errors import InputError
from engine.path.snapshot import Saved
from engine.record.rundir import RunDir, replace

VERSION = "2"


@dataclass(frozen=True)
class Checkpoint:
    method: Saved
    seq: int
    """The newest event that it knows."""
    elapsed_s: float
    fingerprint: str
    """Of the spec that it belongs to."""


def write(run: RunDir, checkpoint: Checkpoint) -> None:
    """Replaces the run's checkpoint. Raises SaveError; the one before is then still there."""
    tensors, plain = checkpoint.method
    # Python's own JSON here, not the files' standard one: what is not finite must come back.
    metadata = {
        "checkpoint": VERSION,
        "fingerprint": checkpoint.fingerprint,
        "seq": str(checkpoint.seq),
        "elapsed_s": repr(checkpoint.elapsed_s),
        "method": json.dumps(plain),
    }
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace(run.checkpoint, safetensors.torch.save(on_cpu, metadata))


def read(run: RunDir, fingerprint: str) -> Checkpoint | None:
    """The run's checkpoint, None before the first. Raises InputError for another run's."""
    if not run.checkpoint.exists():
        return None
    try:
        with safe_open(run.checkpoint, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("checkpoint") != VERSION:
            raise InputError(
                f"has version {metadata.get('checkpoint')!r}, but this dss-tui reads {VERSION}; "
                "resume with the dss-tui that wrote it",
                file=run.checkpoint,
            )
        checkpoint = Checkpoint(
            (tensors, json.loads(metadata["method"])),
            int(metadata["seq"]),
            float(metadata["elapsed_s"]),
            metadata["fingerprint"],
        )
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"cannot be read ({error}); delete it to start this run from the beginning",
            file=run.checkpoint,
        ) from None
    if checkpoint.fingerprint != fingerprint:
        raise InputError(
            f"belongs to another preset than {run.spec}; put that run's own run.yaml back, or "
            "start a new run",
            file=run.checkpoint,
        )
    return checkpoint
