"""Reads the two ends of a search from checkpoints, and checks that they fit the network."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.data.files import candidates, locate
from engine.errors import InputError, listed
from engine.problem.checkpoints.files import read
from engine.problem.checkpoints.naming import tensors, unprefixed
from engine.problem.problem import Problem
from engine.seeds import DRAWING
from engine.shapes import Weights
from engine.spec.training import Endpoints


def read_endpoints(spec: Endpoints, problem: Problem) -> list[Weights]:
    """Returns the models (param,) of `endpoints.a` and `endpoints.b`.

    Raises InputError as `read_endpoint` does, and where both are the same model.
    """
    named = {"endpoints.a": str(spec.a), "endpoints.b": str(spec.b)}
    ends = [
        read_endpoint(file, preset_key, problem, spec.key, spec.prefix)
        for preset_key, file in named.items()
    ]
    if torch.equal(*ends):
        raise InputError(
            f"is the same model as {spec.a}, so that there is no path to find; give another",
            file=spec.b,
            key="endpoints.b",
        )
    return ends


def read_endpoint(
    named: str, preset_key: str, problem: Problem, key: str | None = None, prefix: str | None = None
) -> Weights:
    """Returns the weight vector (param,) in a checkpoint.

    `named` is the path in the preset and `preset_key` its key there; `key` and `prefix` say which
    of the file's tensors are the model's, as the keys of the same names. Statistics of batch
    normalization may be in the file or not. Raises InputError for a file that cannot be read
    without running code, and where its tensors do not fit the network.
    """
    path = locate(named, folders=True)
    if path is None:
        looked = " nor ".join(map(str, candidates(named)))
        raise InputError(
            f"no such file: {looked}; correct {preset_key}", file=named, key=preset_key
        )
    try:
        theta = _weights(path, problem, key, prefix)
    except InputError as error:
        raise InputError(error.what, file=error.file, key=error.key or preset_key) from None
    return theta.to(problem.device, problem.dtype)


def _weights(path: Path, problem: Problem, key: str | None, prefix: str | None) -> Weights:
    """Returns the weight vector (param,) of a checkpoint. Its InputErrors name no preset key."""
    with DRAWING, torch.random.fork_rng(devices=[]):
        network = problem.make_network()
    own = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    state = unprefixed(tensors(read(path), key, path), own, prefix, path)
    _check_fit(state, network, path)
    _check_buffers(state, problem, network, path)
    weights = _untied(state, network, path)
    parts = [weights[each.name].to(torch.float32).flatten() for each in problem.parameters]
    theta = torch.cat(parts)
    if not theta.isfinite().all():
        raise InputError("holds weights that are not finite; train it again", file=path)
    return theta


def _check_buffers(
    state: Mapping[str, Tensor], problem: Problem, network: nn.Module, path: Path
) -> None:
    """Raises InputError where a buffer differs from the one with which models are measured.

    Statistics of batch normalization are not compared, because they are estimated anew.
    """
    measured_with = dict(problem.network.named_buffers())
    for name, _ in network.named_buffers():
        if name not in state or name not in measured_with:
            continue
        own, given = measured_with[name].cpu(), state[name]
        same = own.shape == given.shape and torch.allclose(
            own.double(), given.double(), rtol=1e-4, atol=1e-6, equal_nan=True
        )
        if not same:
            raise InputError(
                f"the buffer {name} is not that of the network, which models are measured with; "
                "let problem.network.factory return the network with this buffer",
                file=path,
            )


def _check_fit(state: Mapping[str, Tensor], network: nn.Module, path: Path) -> None:
    """Raises InputError where the tensors are not those of the network, and names some of them."""
    tied = _second_names(network)
    shapes = {name: tuple(each.shape) for name, each in network.named_parameters()}
    buffers = {name for name, _ in network.named_buffers()}
    first_names = {tied.get(name, name) for name in state}
    missing = [name for name in shapes if name not in first_names]
    more = [name for name in state if name not in shapes.keys() | buffers | tied.keys()]
    if missing or more:
        raise InputError(_misfit(missing, more, shapes, state), file=path)
    for name, tensor in state.items():
        shape = shapes.get(tied.get(name, name))
        if shape is None:
            continue
        if tuple(tensor.shape) != shape:
            raise InputError(
                f"{name} has shape {tuple(tensor.shape)}, but the network's has {shape}; give "
                "the network that it was trained with",
                file=path,
            )
        if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InputError(
                f"{name} holds {'sparse' if tensor.layout != torch.strided else kind} numbers; "
                "save the model with plain floating-point weights",
                file=path,
            )


def _misfit(
    missing: list[str],
    more: list[str],
    shapes: Mapping[str, tuple[int, ...]],
    state: Mapping[str, Tensor],
) -> str:
    """Returns a sentence on names that only the network or only the file has."""
    parts = []
    if missing:
        parts.append(f"has no {listed(f'{name} {shapes[name]}' for name in missing)}")
    if more:
        found = listed(f"{name} {tuple(state[name].shape)}" for name in more)
        parts.append(f"holds {found}, which the network does not have")
    close = difflib.get_close_matches(missing[0], more, n=1, cutoff=0.5) if missing else []
    hint = f"; is {missing[0]} called {close[0]} there?" if close else ""
    return f"{' and '.join(parts)}{hint}; give the network that it was trained with"


def _untied(state: Mapping[str, Tensor], network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Returns the parameters by their first names, without buffers.

    Raises InputError where tied weights differ.
    """
    tied = _second_names(network)
    for name, tensor in state.items():
        if name in tied and tied[name] in state and not torch.equal(tensor, state[tied[name]]):
            raise InputError(
                f"{name} and {tied[name]} differ, but the network ties them; save the tied model",
                file=path,
            )
    known = {name for name, _ in network.named_parameters()}
    first_names = {tied[name]: state[name] for name in tied.keys() & state.keys()}
    return first_names | {name: state[name] for name in known & state.keys()}


def _second_names(network: nn.Module) -> dict[str, str]:
    """Returns the first name of each tied parameter, by each of its other names."""
    first: dict[int, str] = {}
    second: dict[str, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            second[name] = first[id(parameter)]
    return second
