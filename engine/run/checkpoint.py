"""Checkpoints: all that a search needs to go on as if it had never ended."""

from __future__ import annotations

import json
from dataclasses import dataclass

import safetensors.torch
from safetensors import SafetensorError, safe_open

from engine.errors import InputError
from engine.path.snapshot import Saved
from engine.record.reading import check_regular
from engine.record.rundir import RunDir
from engine.record.writing import replace
from engine.spec.keys import ASIDE, Spec, digest

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


def read(run: RunDir, spec: Spec) -> Checkpoint | None:
    """Returns the run's checkpoint, or None before the first was written.

    Raises InputError where the file is damaged, or belongs to another spec than this one.
    """
    if not check_regular(run.checkpoint):
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
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        raise InputError(
            f"cannot be read ({error}); delete it to start this run from the beginning",
            file=run.checkpoint,
        ) from None
    if checkpoint.fingerprint not in (spec.fingerprint(), full_fingerprint(run)):
        raise InputError(
            f"belongs to another preset than {run.spec}; put that run's own run.yaml back, or "
            "start a new run",
            file=run.checkpoint,
        )
    return checkpoint


def full_fingerprint(run: RunDir) -> str:
    """Returns the sum over every key of a run.yaml, which a checkpoint of version 0.1.0 holds.

    Such a run.yaml spells out all the keys that were known when it was written, and the sum was
    taken over them. So it is taken over the file as it lies in the folder: the spec that is read
    from it has the keys that came since.
    """
    return digest({key: value for key, value in run.read_tree().items() if key not in ASIDE})
