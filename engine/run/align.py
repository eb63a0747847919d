"""Aligns one model with another: the same function, its hidden units in the other's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from engine.alignment import stored as relabellings
from engine.alignment.align import Aligned
from engine.alignment.relabelling import relabelled
from engine.data.files import locate
from engine.errors import InputError, listed
from engine.problem import stored
from engine.problem.checkpoints.files import read
from engine.problem.checkpoints.naming import tensors, unprefixed
from engine.problem.problem import Problem
from engine.record import writing
from engine.run.ends import Checkpoint, Named, both_ends
from engine.run.two_models import described, relabelling
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy
from engine.told import Told, untold

Tensors = Mapping[str, Tensor]
"""Tensors of a checkpoint by name."""


@dataclass(frozen=True, eq=False)
class Relabelled:
    """A model whose hidden units were brought into another one's order."""

    name: str
    """What the model is called that was relabelled."""
    aligned: Aligned
    """What was done, and the model as a weight vector."""
    state: Tensors
    """All tensors of the checkpoint by their own names, in their own precision; of a model in no
    checkpoint, those of its network that are known."""

    @property
    def words(self) -> str:
        """What was done, as a clause."""
        return self.aligned.words

    def write(self, path: str | PathLike[str]) -> None:
        """Writes the tensors to a file that ends in .safetensors or .pt, a state dictionary.

        Raises InputError for another ending, and for numbers that a .safetensors file does not
        hold, and SaveError where the file cannot be written.
        """
        path = Path(path)
        check_ending(path)
        chosen = writing.chosen(path)
        if path.suffix == ".pt":
            buffer = BytesIO()
            own = {name: each.detach().contiguous().clone() for name, each in self.state.items()}
            torch.save(own, buffer)
            writing.replace(chosen, buffer.getvalue())
            return
        try:
            stored.write(chosen, self.state)
        except TypeError as error:
            raise InputError(f"{error}; choose a name that ends in .pt", file=path) from None

    def write_permutation(self, path: str | PathLike[str]) -> None:
        """Writes the orders and scales to a .safetensors file, as `alignment.stored` has them.

        Raises InputError for another ending, and SaveError where it cannot be written.
        """
        relabellings.write(self.aligned, Path(path))


def check_ending(path: Path) -> None:
    """Raises InputError where a path does not end as the files do that hold a relabelled model."""
    if path.suffix not in (".safetensors", ".pt"):
        raise InputError("must end in .safetensors or .pt; choose another name", file=path)


def align(
    first: Named,
    last: Named | None = None,
    spec: Spec | ProblemSpec | None = None,
    by: AlignedBy = "weights",
    *,
    permutation: str | PathLike[str] | None = None,
    key: str | None = None,
    prefix: str | None = None,
    run_factories: bool = False,
    told: Told = untold,
) -> Relabelled:
    """Brings the hidden units of a model into another one's order, as `dss-tui align`.

    The relabelled model is the same function, which is checked on training samples in float64.

    Args:
        first: The model whose order is taken: a checkpoint's path, a bead of a string file or a
            run, as STRING#first, STRING#last or STRING#17, by its id, or weights (param,); or a
            whole string, whose last bead is relabelled where `last` is left out.
        last: The model whose units are relabelled.
        spec: The preset, or its `problem` alone, that names data and network. It may be left out
            where one of the two is of a string, which names them itself.
        by: What is compared: weights, or activations on training samples.
        permutation: A file that `write_permutation` wrote, which is applied as it is; nothing is
            compared then.
        key: The key under which checkpoints hold the tensors, as `endpoints.key`.
        prefix: The text before the tensors' names in checkpoints, as `endpoints.prefix`.
        run_factories: Whether functions of a user's own, which a string names, may be run. Those
            of a `spec` are run in any case.
        told: A function that is called with the share of the samples that were passed through the
            network.

    Raises:
        InputError: A model cannot be read or does not fit; the network cannot be traced or has no
            hidden units; or the relabelled model is not the same function.
    """
    relabel = relabelling(None if permutation is not None else by, permutation, told)
    assert relabel is not None
    ends = both_ends(first, last)
    if isinstance(spec, Spec):
        key, prefix = key or spec.endpoints.key, prefix or spec.endpoints.prefix
    problem = described(spec, ends, run_factories=run_factories).problem
    one, other = (end.model(problem, key, prefix) for end in ends)
    problem = replace(problem, carried=None).with_fixed(other.fixed)
    found = relabel(one.theta, other.theta, problem)
    if isinstance(ends[1], Checkpoint):
        return Relabelled(ends[1].words, found, _state(ends[1].words, problem, found, key, prefix))
    return Relabelled(ends[1].words, found, _state_without_file(problem, other.fixed, found))


def _state(
    file: str, problem: Problem, found: Aligned, key: str | None, prefix: str | None
) -> dict[str, Tensor]:
    """Returns a checkpoint's tensors by their own names, the network's units relabelled."""
    path = locate(file, folders=True)
    assert path is not None  # it was read before
    held = tensors(read(path), key, path)
    places = dict(problem.places)
    own = unprefixed(held, list(places), prefix, path)
    missing = [name for name in places.values() if name not in {places.get(n) for n in own}]
    if missing:
        raise InputError(
            f"has no {listed(missing)} by that name, because the network renames what it loads; "
            "save the loaded network's state_dict()",
            file=path,
        )
    by_place = {
        name: relabelled(found.units, {places.get(name, name): each}, found.relabelling)
        for name, each in own.items()
    }
    new = {id(each): by_place[name][places.get(name, name)] for name, each in own.items()}
    return {name: new.get(id(each), each) for name, each in held.items()}


def _state_without_file(problem: Problem, fixed: Tensors, found: Aligned) -> dict[str, Tensor]:
    """Returns the tensors of a relabelled model that is in no checkpoint, by the network's names.

    They are its parameters, and what else is known of it; of batch normalization no statistics are.
    """
    moving = {place: each[0] for place, each in problem.named(found.theta[None]).items()}
    return {**fixed, **moving}
