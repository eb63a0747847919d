"""Checkpoints, from which a search goes on as if it had never ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.errors import InputError
from engine.methods.method import MethodState, StagedMethod
from engine.record.decoding import decode, parse_json
from engine.record.marks import Count, Seconds
from engine.record.packing import Packed, pack, unpack
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writing import replace
from engine.run.old_checkpoints import translated
from engine.spec.keys import ASIDE, Spec, digest

#: What stands before the names of what does not move.
FIXED = "fixed."
#: The layout that is written, and the one before it, which is read too.
VERSION, BEFORE = "3", "2"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a search at one moment, and where its run stood then."""

    method: MethodState
    seq: int
    """Number of the newest event that the state knows."""
    elapsed_s: float
    """Running time of the run in seconds."""
    fingerprint: str
    """The checksum of the preset to which the state belongs."""
    fixed: Mapping[str, Tensor] = field(default_factory=dict)
    """The parameters and buffers of the network that do not move, by name."""


@dataclass(frozen=True)
class _Head:
    """The facts that a checkpoint holds besides the state."""

    version: str
    fingerprint: str
    seq: Count
    elapsed_s: Seconds


def write(run: RunDir, checkpoint: Checkpoint) -> None:
    """Replaces the run's checkpoint. Raises SaveError; the one before is then still there."""
    tensors, plain = pack(checkpoint.method)
    # Python's own JSON here, not the files' standard one: what is not finite must come back.
    metadata = {
        "checkpoint": VERSION,
        "fingerprint": checkpoint.fingerprint,
        "seq": str(checkpoint.seq),
        "elapsed_s": repr(checkpoint.elapsed_s),
        "method": json.dumps(plain),
    }
    tensors |= {f"{FIXED}{name}": tensor for name, tensor in checkpoint.fixed.items()}
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace(run.checkpoint, safetensors.torch.save(on_cpu, metadata))


def resume(run: RunDir, spec: Spec, method: StagedMethod) -> Checkpoint | None:
    """Brings a search to where its run's checkpoint left it, and returns the checkpoint.

    Returns None before the first was written. Raises Damaged where the file is not a checkpoint of
    this search, and InputError where it belongs to another preset than this one.
    """
    if not check_regular(run.checkpoint):
        return None
    head, (tensors, plain) = _opened(run.checkpoint)
    fixed = {name: each for name, each in tensors.items() if name.startswith(FIXED)}
    packed = {name: each for name, each in tensors.items() if name not in fixed}, plain
    if head.fingerprint not in (spec.fingerprint(), full_fingerprint(run)):
        raise InputError(
            f"belongs to another preset than {run.spec}; put that run's own run.yaml back, or "
            "start a new run",
            file=run.checkpoint,
        )
    held = method.chain.problem.fixed
    for name, tensor in fixed.items():
        own = held.get(name.removeprefix(FIXED))
        if own is None or not _same(own, tensor):
            raise InputError(
                f"holds another {name.removeprefix(FIXED)}, which does not move, than the network "
                "has now; bring back the function, or the files, that the run was started with",
                file=run.checkpoint,
            )
    try:
        if head.version == BEFORE:
            packed = translated(packed, method.stages)
        state = unpack(MethodState, packed, run.checkpoint)
        method.resume(state)
    except Unfit as unfit:
        raise Damaged(run.checkpoint, f"its state does not fit: {unfit}") from None
    return Checkpoint(state, head.seq, head.elapsed_s, head.fingerprint, fixed)


def _same(one: Tensor, other: Tensor) -> bool:
    """Returns whether two tensors are equal, NaN included."""
    return torch.equal(one.cpu().nan_to_num(), other.nan_to_num())


def _opened(path: Path) -> tuple[_Head, Packed]:
    """Returns the content of a checkpoint, with its state packed. Raises InputError or Damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        head = {key: metadata[key] for key in ("fingerprint", "seq", "elapsed_s")}
        version, method = metadata["checkpoint"], metadata["method"]
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    if version not in (VERSION, BEFORE):
        raise InputError(
            f"has version {version!r}, but this dss-tui reads {BEFORE} and {VERSION}; resume with "
            "the dss-tui that wrote it",
            file=path,
        )
    try:
        numbers = {key: parse_json(head[key]) for key in ("seq", "elapsed_s")}
        return decode(_Head, {**head, **numbers, "version": version}), (tensors, parse_json(method))
    except Unfit as unfit:
        raise _unreadable(path, unfit) from None


def _unreadable(path: Path, why: Exception) -> Damaged:
    """Returns the error for a checkpoint that cannot be read."""
    remedy = "delete it to start this run from the beginning"
    return Damaged(path, f"it cannot be read ({why}); {remedy}")


def full_fingerprint(run: RunDir) -> str:
    """Returns the checksum over every key of a run.yaml, which checkpoints of version 0.1.0 hold.

    Such a run.yaml spells out all the keys that were known when it was written. The checksum is
    taken over the file itself, because the spec that is read from it has newer keys too.
    """
    return digest({key: value for key, value in run.read_tree().items() if key not in ASIDE})
