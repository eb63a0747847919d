"""Checkpoints, from which a search goes on as if it had never ended.

Where the beads of a string take much room, those at rest have files of their own (`bead_files`),
and the checkpoint refers to them. What a search holds is taken first, in the thread that searches;
it may then be written while the search goes on. The checkpoint before is kept, and a search goes on
from there where the newest one is damaged.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import InputError, SaveError
from engine.methods.method import MethodState, StagedMethod
from engine.path.chain_state import Bead
from engine.problem.stored import array_of, tensor_of
from engine.record import tensor_file, tensor_reading
from engine.record.decoding import decode, parse_json
from engine.record.marks import Count, Seconds
from engine.record.packing import REFERENCE, Packed, instances, pack, unpack
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writing import replacing
from engine.run.bead_files import BeadFiles, is_name
from engine.run.old_checkpoints import from_version_2, from_version_3
from engine.spec.keys import ASIDE, Spec, digest
from engine.steps.rows import fetched

#: What stands before the names of what does not move.
FIXED = "fixed."
#: The layout that is written, and those before it, which are read too.
VERSION, BEFORE = "4", ("2", "3")


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
    damaged: Damaged | None = None
    """Why it is the one before the newest; None where it is the newest."""


@dataclass(frozen=True)
class _Head:
    """The facts that a checkpoint holds besides the state."""

    version: str
    fingerprint: str
    seq: Count
    elapsed_s: Seconds


@dataclass(frozen=True)
class Draft:
    """A checkpoint that is to be written."""

    files: BeadFiles
    arrays: Mapping[str, NDArray[Any]]
    """What its own file holds, by name."""
    metadata: Mapping[str, str]
    refers: frozenset[str]
    """The names of all beads with files that it refers to."""
    new: dict[str, Tensor]
    """The beads among them that have no file yet."""

    @property
    def large(self) -> bool:
        """Whether it takes long to write, or beads have files."""
        own = sum(array.nbytes for array in self.arrays.values())
        return bool(self.refers) or own > self.files.apart

    def write(self) -> None:
        """Replaces the run's checkpoint. Raises SaveError; the one before is then still there.

        Files are written, and deleted, in such an order that what the checkpoints refer to is there
        whenever the process ends.
        """
        run = self.files.run
        self.files.write(self.new)
        with replacing(run.checkpoint) as file:
            tensor_file.write(file, self.arrays, self.metadata)
            _keep_the_one_before(run)
        self.files.keep(self.refers)


def draft(checkpoint: Checkpoint, files: BeadFiles) -> Draft:
    """Returns what is to be written of a checkpoint. It stays as it is as the search goes on."""
    names = files.name(instances(Bead, checkpoint.method))
    tensors, plain = pack(checkpoint.method, names)
    # Python's own JSON here, not the files' standard one: what is not finite must come back.
    metadata = {
        "checkpoint": VERSION,
        "fingerprint": checkpoint.fingerprint,
        "seq": str(checkpoint.seq),
        "elapsed_s": repr(checkpoint.elapsed_s),
        "method": json.dumps(plain),
    }
    apart = {name: tensors.pop(name) for name in names.values() if name in tensors}
    tensors |= {f"{FIXED}{name}": tensor for name, tensor in checkpoint.fixed.items()}
    return Draft(
        files,
        dict(zip(tensors, map(array_of, fetched(list(tensors.values()))), strict=True)),
        metadata,
        frozenset(apart),
        {name: tensor for name, tensor in apart.items() if name not in files.written},
    )


def write(run: RunDir, checkpoint: Checkpoint) -> None:
    """Replaces the run's checkpoint at once. Raises SaveError."""
    draft(checkpoint, BeadFiles(run)).write()


def _keep_the_one_before(run: RunDir) -> None:
    """Keeps the checkpoint that is about to be replaced, in place of an older one.

    Does nothing where a file cannot have two names: the folder then holds one checkpoint alone.
    """
    temporary = run.checkpoint_before.with_name(f".{run.checkpoint_before.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
        os.link(run.checkpoint, temporary, follow_symlinks=False)
        os.replace(temporary, run.checkpoint_before)


def resume(
    run: RunDir, spec: Spec, method: StagedMethod, files: BeadFiles | None = None
) -> Checkpoint | None:
    """Brings a search to where its run's checkpoint left it, and returns the checkpoint.

    Where the newest one is damaged, that is the one before it, which then takes its place. Its
    beads with files are mapped from there, and `files` knows them afterwards. Returns None before
    the first checkpoint was written. Raises Damaged where the file is not a checkpoint of this
    search, InputError where it belongs to another preset than this one, and SaveError where it
    cannot take its place.
    """
    files = files or BeadFiles(run)
    found = look(run, spec, method, files)
    if found is not None and found.damaged is not None:
        try:
            os.replace(run.checkpoint_before, run.checkpoint)
        except OSError as error:
            raise SaveError(f"{run.checkpoint}: cannot be replaced: {error.strerror}") from error
    if found is not None:
        files.take_stock(set(files.names.values()), _referred_before(run))
    return found


def look(
    run: RunDir, spec: Spec, method: StagedMethod, files: BeadFiles | None = None
) -> Checkpoint | None:
    """Does what `resume` does, and changes nothing in the run's folder."""
    files = files or BeadFiles(run)
    newest, before = run.checkpoint, run.checkpoint_before
    try:
        found = _look(newest, run, spec, method, files)
        if found is not None or not os.path.lexists(before):
            return found
        damaged = Damaged(newest, "it is missing")
    except Damaged as why:
        if not os.path.lexists(before):
            raise
        damaged = why
    try:
        found = _look(before, run, spec, method, files)
    except Damaged as why:
        raise Damaged(newest, f"{damaged.why}; and {why.short}") from None
    return None if found is None else replace(found, damaged=damaged)


def saved_s(run: RunDir) -> float:
    """Returns the running time at a run's newest checkpoint that can be read, in seconds.

    It is infinite where none can be read, which `look` then tells in words.
    """
    for path in (run.checkpoint, run.checkpoint_before):
        with suppress(InputError):
            if check_regular(path):
                return _opened(path, whole=False)[0].elapsed_s
    return math.inf


def _look(
    path: Path, run: RunDir, spec: Spec, method: StagedMethod, files: BeadFiles
) -> Checkpoint | None:
    """Brings a search to where a checkpoint left it, and returns that, or None without one."""
    if not check_regular(path):
        return None
    head, (tensors, plain) = _opened(path)
    fixed = {name: each for name, each in tensors.items() if name.startswith(FIXED)}
    held = {name: each for name, each in tensors.items() if name not in fixed}
    if head.fingerprint not in (*spec.known_fingerprints(), full_fingerprint(run)):
        raise InputError(
            f"belongs to another preset than {run.spec}; put that run's own run.yaml back, or "
            "start a new run",
            file=path,
        )
    _check_fixed(path, method.chain.problem.fixed, fixed)
    held |= files.read(bead_names(plain))
    try:
        state = unpack(MethodState, _present(head.version, (held, plain), method), path)
        method.resume(state)
    except Unfit as unfit:
        raise Damaged(path, f"its state does not fit: {unfit}") from None
    return Checkpoint(state, head.seq, head.elapsed_s, head.fingerprint, fixed)


def _present(version: str, packed: Packed, method: StagedMethod) -> Packed:
    """Returns a packed state in the present layout. Raises Unfit."""
    match version:
        case "2":
            return from_version_2(packed, method.stages)
        case "3":
            return from_version_3(packed)
    return packed


def bead_names(plain: Any) -> set[str]:
    """Returns the names of the beads with files that the plain part of a state refers to."""
    if isinstance(plain, list):
        return {name for item in plain for name in bead_names(item)}
    if not isinstance(plain, dict):
        return set()
    name = plain.get(REFERENCE)
    if isinstance(name, str):
        return {name} if is_name(name) else set()
    return {name for item in plain.values() for name in bead_names(item)}


def _referred_before(run: RunDir) -> set[str]:
    """Returns the names that the checkpoint before refers to; none where it cannot be read."""
    with suppress(InputError):
        if check_regular(run.checkpoint_before):
            _, (_, plain) = _opened(run.checkpoint_before, whole=False)
            return bead_names(plain)
    return set()


def _check_fixed(path: Path, held: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raises InputError where what does not move is not what a checkpoint has found."""
    for name, tensor in found.items():
        own = held.get(name.removeprefix(FIXED))
        if own is None or not _same(own, tensor):
            raise InputError(
                f"holds another {name.removeprefix(FIXED)}, which does not move, than the network "
                "has now; bring back the function, or the files, that the run was started with",
                file=path,
            )


def _same(one: Tensor, other: Tensor) -> bool:
    """Returns whether two tensors are equal, NaN included."""
    return torch.equal(one.cpu().nan_to_num(), other.nan_to_num())


def _opened(path: Path, *, whole: bool = True) -> tuple[_Head, Packed]:
    """Returns the content of a checkpoint, with its state packed. Raises InputError or Damaged.

    Its tensors are left out where it is not to be read as a `whole`.
    """
    try:
        with tensor_reading.opened(path) as file:
            names = list(file.entries) if whole else []
            # In main memory, however large: a search changes them all the time.
            tensors = {name: tensor_of(file.read(name, np.empty)) for name in names}
        head = {key: file.metadata[key] for key in ("fingerprint", "seq", "elapsed_s")}
        version, method = file.metadata["checkpoint"], file.metadata["method"]
    except Damaged as damaged:
        raise _unreadable(path, damaged.why) from None
    except KeyError as error:
        raise _unreadable(path, f"it has no {error.args[0]}") from None
    except TypeError as error:
        raise _unreadable(path, str(error)) from None
    if version not in (VERSION, *BEFORE):
        raise InputError(
            f"has version {version!r}, but this dss-tui reads {', '.join(BEFORE)} and {VERSION}; "
            "resume with the dss-tui that wrote it",
            file=path,
        )
    try:
        numbers = {key: parse_json(head[key]) for key in ("seq", "elapsed_s")}
        return decode(_Head, {**head, **numbers, "version": version}), (tensors, parse_json(method))
    except Unfit as unfit:
        raise _unreadable(path, str(unfit)) from None


def _unreadable(path: Path, why: str) -> Damaged:
    """Returns the error for a checkpoint that cannot be read."""
    return Damaged(
        path, f"{why.removeprefix('it cannot be read: ')}; delete it to go on without it"
    )


def full_fingerprint(run: RunDir) -> str:
    """Returns the checksum over every key of a run.yaml, which checkpoints of version 0.1.0 hold.

    Such a run.yaml spells out all the keys that were known when it was written. The checksum is
    taken over the file itself, because the spec that is read from it has newer keys too.
    """
    return digest({key: value for key, value in run.read_tree().items() if key not in ASIDE})
