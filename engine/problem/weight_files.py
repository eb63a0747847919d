"""Reads models trained elsewhere from files of named tensors. Code in a file is never run."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from engine.data.files import candidates, locate
from engine.errors import InputError
from engine.problem.problem import DRAWING, Problem
from engine.shapes import Weights

#: Prefixes that wrappers for parallel training, or torch.compile, put before every name.
PREFIXES = ("module.", "_orig_mod.")


def read_endpoint(named: str, key: str, problem: Problem) -> Weights:
    """Returns the weight vector (param,) in a .pt or .safetensors file of a model's state.

    `named` is the path in the preset and `key` its key. Statistics of batch normalization may be
    in the file or not. Raises InputError for a file that cannot be read without running code, and
    names the first parameter that is missing, unknown or of another shape, or the first other
    buffer that differs from the network's own.
    """
    path = locate(named)
    if path is None:
        looked = " nor ".join(map(str, candidates(named)))
        raise InputError(f"no such file: {looked}; correct {key}", file=named, key=key)
    with DRAWING, torch.random.fork_rng(devices=[]):
        network = problem.make_network()
    state = _without_prefixes(_unwrapped(_read(path, key), path, key), network)
    _check_buffers(state, problem, network, path, key)
    named_parameters = _untied(state, network, path, key)
    parts = [
        _part(named_parameters, parameter.name, parameter.shape, path, key)
        for parameter in problem.parameters
    ]
    theta = torch.cat(parts)
    if not theta.isfinite().all():
        raise InputError("holds weights that are not finite; train it again", file=path, key=key)
    return theta.to(problem.device, problem.dtype)


def _read(path: Path, key: str) -> Any:
    """Returns what a file holds. Raises InputError where that is not safe, whole or known."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if path.suffix in (".pt", ".pth"):
            with warnings.catch_warnings(action="ignore"):  # what is refused is refused in words
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            "holds more than tensors, or is damaged; what is more could run code and is refused: "
            "save it with torch.save(model.state_dict(), …)",
            file=path,
            key=key,
        ) from None
    except Exception as error:  # each reader has its own ways to say that a file is not whole
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(
            f"is not a whole {path.suffix} file ({reason}); save it again", file=path, key=key
        ) from None
    raise InputError(f"ends in {path.suffix!r}; give a .pt or .safetensors", file=path, key=key)


def _unwrapped(held: Any, path: Path, key: str) -> Mapping[str, Tensor]:
    """Returns the tensors by name, from below `state_dict` or `model` where there is such a key.

    Raises InputError where the file holds anything else.
    """
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
    named = isinstance(held, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in held.items()
    )
    if not named or not held:
        raise InputError(
            f"holds {type(held).__name__}, not tensors by name; save model.state_dict()",
            file=path,
            key=key,
        )
    return dict(held)


def _without_prefixes(state: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
    """Returns the tensors with the names that they have in the unwrapped network."""
    own = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    for prefix in PREFIXES:
        if not own & state.keys() and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _check_buffers(
    state: Mapping[str, Tensor], problem: Problem, network: nn.Module, path: Path, key: str
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
                key=key,
            )


def _untied(
    state: Mapping[str, Tensor], network: nn.Module, path: Path, key: str
) -> dict[str, Tensor]:
    """Returns the parameters by their first names, without buffers.

    Raises InputError where tied weights differ, and for a name that the network does not have.
    """
    tied = _second_names(network)
    known = {name for name, _ in network.named_parameters()}
    buffers = {name for name, _ in network.named_buffers()}
    for name, tensor in state.items():
        if name in tied and tied[name] in state and not torch.equal(tensor, state[tied[name]]):
            raise InputError(
                f"{name} and {tied[name]} differ, but the network ties them; save the tied model",
                file=path,
                key=key,
            )
        if name not in known | buffers | tied.keys():
            raise InputError(
                f"holds {name} {tuple(tensor.shape)}, which the network does not have; give the "
                "network that it was trained with",
                file=path,
                key=key,
            )
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


def _part(
    state: Mapping[str, Tensor], name: str, shape: tuple[int, ...], path: Path, key: str
) -> Tensor:
    """Returns one parameter, flattened, in float32. Raises InputError where it does not fit."""
    if name not in state:
        raise InputError(
            f"has no {name} {shape}; give the network that it was trained with", file=path, key=key
        )
    if tuple(state[name].shape) != shape:
        raise InputError(
            f"{name} has shape {tuple(state[name].shape)}, but the network's has {shape}; give "
            "the network that it was trained with",
            file=path,
            key=key,
        )
    return state[name].to(torch.float32).flatten()
