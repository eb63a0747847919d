"""Finds two models by what a user calls them: checkpoints, the beads of a string, or vectors.

A checkpoint is whatever `endpoints` of kind files accept. A string is a string file or a run;
`STRING` alone means both its ends, and `STRING#first`, `STRING#last` and `STRING#17` one bead, the
last one by its id.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from engine.data.files import locate
from engine.errors import InputError, listed
from engine.methods.given import with_state_of
from engine.problem.checkpoints.endpoints import Model, read_model
from engine.problem.problem import Problem
from engine.record import string_file
from engine.record.finding import find
from engine.record.reading import check_regular
from engine.record.string_file import FORMAT, StringFile

Named = str | PathLike[str] | StringFile | NDArray[Any]
"""What names a model: a text or a path, a string, of which both ends are meant, or its weights
(param,)."""

#: The word after a string's name, behind a hash, that names one of its beads.
BEAD = re.compile(r"first|last|\d+")


@dataclass(frozen=True)
class Checkpoint:
    """A model in a checkpoint."""

    words: str
    """The path, as the user gave it."""

    def model(self, problem: Problem, key: str | None, prefix: str | None) -> Model:
        """Returns the model, as `read_model` does with `key` and `prefix`."""
        return read_model(self.words, None, problem, key, prefix)


@dataclass(frozen=True)
class Bead:
    """A bead of a string."""

    words: str
    """The string's name with the bead's."""
    held: StringFile
    """The string."""
    place: int
    """The bead's place along it, from 0."""

    def model(self, problem: Problem, key: str | None, prefix: str | None) -> Model:
        """Returns the bead, and what does not move at its place. No key and prefix are needed.

        Raises InputError where the string is not one of this problem.
        """
        if self.held.header.parameters != tuple((p.name, p.shape) for p in problem.parameters):
            raise InputError(
                "its parameters are not those of the network; give the network that it was made "
                "with",
                file=self.words,
            )
        theta = torch.from_numpy(self.held.string.beads[self.place])
        there = with_state_of(self.held, problem)
        moved = {} if there.carried is None else there.carried.at(theta[None])
        return Model(theta, there.fixed | {name: each[0] for name, each in moved.items()})


@dataclass(frozen=True, eq=False)
class Vector:
    """A model given by its weights."""

    words: str
    weights: NDArray[Any]

    def model(self, problem: Problem, key: str | None, prefix: str | None) -> Model:
        """Returns the model, whose parameters and buffers that do not move are the problem's.

        Raises InputError where the weights are not (param,) finite numbers of this network.
        """
        needed = problem.parameter_count
        if self.weights.shape != (needed,):
            raise InputError(
                f"{self.words} has weights of shape {self.weights.shape}; give ({needed},)"
            )
        if self.weights.dtype.kind != "f" or not np.isfinite(self.weights).all():
            raise InputError(f"{self.words} has weights that are not finite floating-point numbers")
        return Model(torch.from_numpy(self.weights.copy()), problem.fixed)


End = Checkpoint | Bead | Vector
"""Where one of the two models is."""


def both_ends(first: Named, last: Named | None) -> tuple[End, End]:
    """Returns where two models are. `last` may be left out where `first` is a whole string.

    Raises InputError where a name fits nothing, or means a whole string beside another model.
    """
    found = [_ends(each, number) for number, each in enumerate((first, last)) if each is not None]
    if last is None:
        if len(found[0]) == 1:
            raise InputError(
                "is one model; give a second one, or a string file or a run, which has two ends",
                file=found[0][0].words,
            )
        return found[0][0], found[0][1]
    return _one_of(found[0]), _one_of(found[1])


def all_ends(names: Sequence[str]) -> tuple[End, ...]:
    """Returns where many models are, by what they are called.

    Raises InputError where a name fits nothing, or means a whole string.
    """
    return tuple(_one_of(_ends(name, number)) for number, name in enumerate(names))


def _one_of(ends: tuple[End, ...]) -> End:
    """Returns the only model of a name. Raises InputError where that means a whole string."""
    if len(ends) > 1:
        whole = ends[0].words.removesuffix("#first")
        raise InputError(
            f"is a string; say which of its beads is meant: {whole}#first, {whole}#last, or a "
            f"bead's id, such as {whole}#3",
            file=whole,
        )
    return ends[0]


def _ends(named: Named, number: int) -> tuple[End, ...]:
    """Returns the model that something names, or both ends of a string. Raises InputError."""
    if isinstance(named, StringFile):
        return _of_string(named, "the string", None)
    if not isinstance(named, str | PathLike):
        return (Vector(("the first model", "the second model")[number], np.asarray(named)),)
    text = str(named)
    place, hash_, word = text.rpartition("#")
    which = word if hash_ and BEAD.fullmatch(word) and locate(text, folders=True) is None else None
    name = text if which is None else place
    path = _string_at(name, asked=which is not None)
    if path is None:
        return (Checkpoint(text),)
    return _of_string(string_file.read(path), name, which)


def _string_at(name: str, *, asked: bool) -> Path | None:
    """Returns the string file that a name means, that of a run included; None for a checkpoint.

    Raises InputError where there is neither, or no string though one is `asked` for.
    """
    path = locate(name, folders=True)
    if path is not None and (path.is_file() or not (path / "run.yaml").exists()):
        if is_string(path):
            return path
        if asked:
            raise InputError("is no string, so that it has no beads; leave # out", file=name)
        return None
    if path is None and Path(name).suffix:
        raise InputError("no such file; give a checkpoint, a string file or a run", file=name)
    run = find(name)
    if not check_regular(run.string):
        raise InputError(
            "has no string yet; wait until its first segment is measured", file=run.path
        )
    return run.string


def is_string(path: Path) -> bool:
    """Returns whether a file says that it is a string file. None of its code is run."""
    try:
        match path.suffix:
            case ".npz":
                return True  # no checkpoint ends so
            case ".safetensors":
                with safe_open(path, framework="numpy") as file:
                    return "dss" in (file.metadata() or {})
            case ".pt":
                with zipfile.ZipFile(path) as archive:
                    names = [each for each in archive.namelist() if each.endswith("data.pkl")]
                    return any(FORMAT.encode() in archive.read(each) for each in names)
    except (OSError, SafetensorError, zipfile.BadZipFile):
        pass  # whoever reads it says what is wrong
    return False


def _of_string(held: StringFile, name: str, which: str | None) -> tuple[End, ...]:
    """Returns the bead of a string that a word names, or both its ends without a word."""
    last = len(held.string.beads) - 1
    ids = held.header.bead_ids or tuple(range(1, last + 2))
    places = {"first": 0, "last": last} | {str(bead): place for place, bead in enumerate(ids)}
    if which is None:
        return Bead(f"{name}#first", held, 0), Bead(f"{name}#last", held, last)
    if which not in places:
        raise InputError(
            f"has no bead {which}; choose first, last, or one of {listed(map(str, ids), 12)}",
            file=name,
        )
    return (Bead(f"{name}#{which}", held, places[which]),)
