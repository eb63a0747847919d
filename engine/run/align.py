"""Aligns one checkpoint with another: the same model, its hidden units in the other's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from engine.alignment import stored
from engine.alignment.align import Aligned
from engine.alignment.align import align as aligned
from engine.alignment.relabelling import relabelled
from engine.data.files import locate
from engine.errors import InputError, listed
from engine.problem.checkpoints.endpoints import read_model
from engine.problem.checkpoints.files import read
from engine.problem.checkpoints.naming import tensors, unprefixed
from engine.problem.problem import Problem, build_problem
from engine.record import writing
from engine.spec.keys import Spec
from engine.spec.training import AlignedBy

Tensors = Mapping[str, Tensor]
"""Tensors of a checkpoint by name."""


@dataclass(frozen=True, eq=False)
class Relabelled:
    """A checkpoint whose hidden units were brought into another one's order."""

    aligned: Aligned
    """What was done, and the model as a weight vector."""
    state: Tensors
    """All tensors of the checkpoint by their own names, in their own precision."""

    @property
    def words(self) -> str:
        """What was done, as a clause."""
        return self.aligned.words

    def write(self, path: str | PathLike[str]) -> None:
        """Writes the tensors to a file that ends in .safetensors or .pt, a state dictionary.

        Raises InputError for another ending, and SaveError where it cannot be written.
        """
        path = Path(path)
        check_ending(path)
        own = {name: each.detach().contiguous().clone() for name, each in self.state.items()}
        if path.suffix == ".safetensors":
            content = safetensors.torch.save(own)
        else:
            buffer = BytesIO()
            torch.save(own, buffer)
            content = buffer.getvalue()
        writing.replace(path, content)

    def write_permutation(self, path: str | PathLike[str]) -> None:
        """Writes the orders and scales to a .safetensors file, as `alignment.stored` has them.

        Raises InputError for another ending, and SaveError where it cannot be written.
        """
        stored.write(self.aligned, Path(path))


def check_ending(path: Path) -> None:
    """Raises InputError where a path does not end as the files do that hold a relabelled model."""
    if path.suffix not in (".safetensors", ".pt"):
        raise InputError("must end in .safetensors or .pt; choose another name", file=path)


def align(
    first: str | PathLike[str],
    last: str | PathLike[str],
    spec: Spec,
    by: AlignedBy = "weights",
    *,
    permutation: str | PathLike[str] | None = None,
    key: str | None = None,
    prefix: str | None = None,
) -> Relabelled:
    """Brings the hidden units of a checkpoint into another one's order, as `dss-tui align`.

    The relabelled model is the same function, which is checked on training samples in float64.

    Args:
        first: The checkpoint whose order is taken, as `endpoints.a` accepts it.
        last: The checkpoint whose units are relabelled.
        spec: The preset that names data and network.
        by: What is compared: weights, or activations on training samples.
        permutation: A file that `write_permutation` wrote, which is applied as it is; nothing is
            compared then.
        key: The key under which both hold the tensors, as `endpoints.key`.
        prefix: The text before the tensors' names in both, as `endpoints.prefix`.

    Raises:
        InputError: A file cannot be read or does not fit; the network cannot be traced or has no
            hidden units; or the relabelled model is not the same function.
    """
    key, prefix = key or spec.endpoints.key, prefix or spec.endpoints.prefix
    problem = build_problem(spec.problem, path_parameters=spec.moving)
    one, other = (
        read_model(str(file), name, problem, key, prefix)
        for file, name in ((first, "A"), (last, "B"))
    )
    problem = problem.with_fixed(other.fixed)
    if permutation is None:
        found = aligned(problem, one.theta, other.theta, by)
    else:
        found = stored.applied(problem, other.theta, Path(permutation))
    return Relabelled(found, _state(str(last), problem, found, key, prefix))


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
