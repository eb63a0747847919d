"""The files of beads at rest: `beads/ID.VERSION.safetensors`, each of which is written once.

A bead that moves again gets a file of another version, so a file never changes, and an older
checkpoint keeps what it refers to. A bead is known by its tensor, which nobody changes in place.
Once many beads lie in memory, those with a file are mapped from it instead.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.errors import SaveError
from engine.path.chain_state import Bead
from engine.record import tensor_file, tensor_reading
from engine.record.reading import MIB, Damaged
from engine.record.rundir import RunDir
from engine.record.writing import is_folder, made_folder, replacing, sync_folder

#: Bytes of all beads at rest up to which a checkpoint holds them itself.
APART = 8 * MIB
#: Bytes of beads with a file that stay in memory all the same.
IN_MEMORY = 1024 * MIB

#: What the names of beads with files begin with; the file is called by what follows.
PREFIX = "beads/"
_NAME = re.compile(rf"{PREFIX}(\d+)\.(\d+)")
#: The name of the one tensor in a file, and the bytes of the largest list of tensors in one.
WEIGHTS, LARGEST_LIST = "weights", 4096

Names = dict[Tensor, str]
"""The names of beads, by the identity of their tensors."""


@dataclass
class BeadFiles:
    """The files of beads in the folder of a run, for the one process that writes there."""

    run: RunDir
    apart: int = field(default_factory=lambda: APART)
    """Bytes of all beads at rest up to which a checkpoint holds them itself."""
    in_memory: int = field(default_factory=lambda: IN_MEMORY)
    """Bytes of beads with a file that stay in memory all the same."""
    names: Names = field(default_factory=dict)
    """The names of the beads of the newest checkpoint, by their tensors."""
    written: set[str] = field(default_factory=set)
    """The names of the beads that have files."""
    mapped: set[str] = field(default_factory=set)
    """The names of those whose weights are mapped from there."""
    before: frozenset[str] = frozenset()
    """The names that the checkpoint in the folder refers to."""

    def name(self, beads: Iterable[Bead]) -> Names:
        """Returns the names of the beads that are to have files; none where all are small together.

        A name that a bead has already stays.
        """
        ids = {each.weights: each.bead for each in beads}
        if sum(tensor.nbytes for tensor in ids) <= self.apart:
            self.names = {}
            return self.names
        taken = self.written | set(self.names.values())
        newest: dict[int, int] = {}
        for name in taken:
            bead, version = _parts(name)
            newest[bead] = max(version, newest.get(bead, 0))
        named: Names = {}
        for tensor, bead in ids.items():
            name = self.names.get(tensor, "")
            if not name:
                newest[bead] = newest.get(bead, 0) + 1
                name = f"{PREFIX}{bead}.{newest[bead]}"
            named[tensor] = name
        self.names = named
        return named

    # ------------------------------------------------------------ writing

    def write(self, beads: dict[str, Tensor]) -> None:
        """Writes the files of beads that have none, by their names. Raises SaveError."""
        if not beads:
            return
        made_folder(self.run.beads)
        for name, tensor in beads.items():
            arrays = {WEIGHTS: tensor.detach().cpu().numpy()}
            with replacing(self._path(name)) as file:
                tensor_file.write(file, arrays, {"bead": name})
            self.written.add(name)
        sync_folder(self.run.beads)

    def keep(self, names: Collection[str]) -> None:
        """Deletes the files of beads that neither these names nor the checkpoint before refer to.

        `names` are those that the checkpoint in the folder refers to now. Raises SaveError.
        """
        useless = self.written - self.before - set(names)
        self.before = frozenset(names)
        for name in useless:
            try:
                self._path(name).unlink(missing_ok=True)
            except OSError as error:
                raise SaveError(
                    f"{self._path(name)}: cannot be deleted: {error.strerror}"
                ) from None
            self.written.discard(name)
            self.mapped.discard(name)

    def make_room(self) -> None:
        """Maps beads from their files, the oldest first, where too many of them lie in memory.

        No other thread may compute with them meanwhile.
        """
        held = {
            tensor: name
            for tensor, name in self.names.items()
            if name in self.written - self.mapped and tensor.device.type == "cpu"
        }
        excess = sum(tensor.nbytes for tensor in held) - self.in_memory
        for tensor, name in held.items():
            if excess <= 0:
                return
            tensor.data = self._mapped(name, check=False)  # as this process wrote it
            self.mapped.add(name)
            excess -= tensor.nbytes

    def _path(self, name: str) -> Path:
        return self.run.beads / f"{name.removeprefix(PREFIX)}.safetensors"

    # ------------------------------------------------------------ reading

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Returns the weights of beads by name, mapped from their files.

        Raises Damaged where a file is missing, or is not what the engine writes there.
        """
        names = list(names)
        if names and not _there(self.run.beads):
            raise Damaged(self.run.beads, "it is no folder, but the checkpoint refers to its files")
        found = {name: self._mapped(name) for name in names}
        self.names = {tensor: name for name, tensor in found.items()}
        self.written |= found.keys()
        self.mapped |= found.keys()
        return found

    def _mapped(self, name: str, *, check: bool = True) -> Tensor:
        path = self._path(name)
        array = tensor_reading.mapped(path, WEIGHTS, LARGEST_LIST, check=check)
        if array.ndim != 1 or array.dtype not in (np.float32, np.float64):
            raise Damaged(path, f"it holds no vector of weights, but {array.shape} {array.dtype}")
        return torch.from_numpy(array)

    def take_stock(self, referred: Collection[str], before: Collection[str]) -> None:
        """Deletes the files in the folder that no checkpoint refers to.

        `referred` are the names in the checkpoint, and `before` those in the one before. Raises
        SaveError.
        """
        if not _there(self.run.beads):
            return
        names = (f"{PREFIX}{path.name.removesuffix('.safetensors')}" for path in self._listed())
        self.written = {name for name in names if is_name(name)}
        self.before = frozenset(before)
        self.keep(referred)

    def _listed(self) -> list[Path]:
        return [path for path in self.run.beads.iterdir() if path.suffix == ".safetensors"]


def is_name(name: str) -> bool:
    """Returns whether that is the name of a bead with a file of its own."""
    return _NAME.fullmatch(name) is not None


def _parts(name: str) -> tuple[int, int]:
    """Returns the id of a bead and the version, from its name."""
    bead, version = name.removeprefix(PREFIX).split(".")
    return int(bead), int(version)


def _there(folder: Path) -> bool:
    """Returns whether there is such a folder, which is no link."""
    try:
        return is_folder(folder)
    except OSError:
        return False
