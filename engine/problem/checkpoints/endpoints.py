"""Reads the two ends of a search from checkpoints, and checks that they fit the network."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.data.files import locate, looked_in
from engine.errors import InputError, listed
from engine.networks.modules.calls import shapes
from engine.problem import copies
from engine.problem.checkpoints.files import read
from engine.problem.checkpoints.naming import tensors, unprefixed
from engine.problem.copies import FIXED_SEED
from engine.problem.problem import Problem
from engine.shapes import Weights
from engine.spec.training import Endpoints

#: The number of training samples by which it is found out whether a buffer matters.
SAMPLES = 64


@dataclass(frozen=True)
class Model:
    """A model trained elsewhere."""

    theta: Weights
    """Its weight vector (param,)."""
    fixed: Mapping[str, Tensor]
    """What else of it the file holds: parameters that do not move, and buffers, by name."""


def read_endpoints(spec: Endpoints, problem: Problem) -> list[Weights]:
    """Returns the models (param,) of `endpoints.a` and `endpoints.b`.

    Raises InputError as `read_models` does.
    """
    return [model.theta for model in read_models(spec, problem)]


def read_models(spec: Endpoints, problem: Problem) -> list[Model]:
    """Returns the models of `endpoints.a` and `endpoints.b`.

    Raises InputError as `read_model` does, and where both are the same model.
    """
    named = {"endpoints.a": str(spec.a), "endpoints.b": str(spec.b)}
    models = [
        read_model(file, preset_key, problem, spec.key, spec.prefix)
        for preset_key, file in named.items()
    ]
    if torch.equal(*(model.theta for model in models)):
        raise InputError(
            f"is the same model as {spec.a}, so that there is no path to find; give another",
            file=spec.b,
            key="endpoints.b",
        )
    return models


def with_fixed_of(spec: Endpoints, problem: Problem) -> Problem:
    """Returns the problem with what does not move as the two files of `endpoints` hold it.

    Raises InputError as `read_models` and `with_state_of_both` do.
    """
    one, other = read_models(spec, problem)
    return with_state_of_both(problem, one, other, (str(spec.a), str(spec.b)), "endpoints.b")


def with_state_of_both(
    problem: Problem, one: Model, other: Model, names: tuple[str, str], key: str | None = None
) -> Problem:
    """Returns the problem with what does not move as two models hold it.

    Buffers that differ are carried along the path (`problem.carried`), except those by which the
    network does not go, such as counters; of these the problem keeps its own. Raises InputError,
    which tells the models by their `names`, where they differ in a parameter, or in a buffer of
    whole numbers; `key` is the second one's.
    """
    first_name, second_name = names
    parameters = dict(copies.named_parameters(problem.network))
    differing = [name for name in one.fixed if _differ(one.fixed[name], other.fixed.get(name))]
    for name in differing:
        if name in parameters:
            raise InputError(
                f"differs from {first_name} in {name}, which does not move along the path; give "
                "models that share it, or let it move: path_parameters",
                file=second_name,
                key=key,
            )
    common = {name: each for name, each in one.fixed.items() if name not in differing}
    problem = problem.with_fixed(common)
    carried = {}
    for name in differing:
        first, last = one.fixed[name], other.fixed[name]
        if _ignores(problem, one, {name: first}, {name: last}):
            continue
        if first.shape != last.shape or not (first.is_floating_point() or first.is_complex()):
            raise InputError(
                f"differs from {first_name} in the buffer {name}, and there is nothing between "
                f"{shapes(first, types=True)} and {shapes(last, types=True)}; give models that "
                "share it",
                file=second_name,
                key=key,
            )
        carried[name] = torch.stack([first, last])
    return problem.with_carried(one.theta, other.theta, carried)


def _differ(one: Tensor, other: Tensor | None) -> bool:
    """Returns whether two tensors hold other numbers, up to rounding."""
    if other is None or one.shape != other.shape:
        return True
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    return not torch.allclose(one.double(), other.double(), rtol=1e-4, atol=1e-6, equal_nan=True)


def _ignores(
    problem: Problem, model: Model, one: Mapping[str, Tensor], other: Mapping[str, Tensor]
) -> bool:
    """Returns whether a model gives the same losses with one and with other buffers."""
    x, y = problem.train[:SAMPLES].part(slice(None), problem.dtype)
    weights = {place: each[0] for place, each in problem.named(model.theta[None]).items()}
    losses = []
    for buffers in (one, other):
        network = problem.computing()
        copies.take_over(network, {**weights, **buffers})
        with torch.no_grad():
            losses.append(problem.sample_loss(network(x), y))
    return bool(torch.equal(*losses))


def read_model(
    named: str,
    preset_key: str | None,
    problem: Problem,
    key: str | None = None,
    prefix: str | None = None,
) -> Model:
    """Returns the model in a checkpoint, as the network loads it.

    `named` is the path in the preset and `preset_key` its key there; `key` and `prefix` say which
    of the file's tensors are the model's, as the keys of the same names. Buffers may be in the file
    or not. Raises InputError for a file that cannot be read without running code, and where its
    tensors do not fit the network.
    """
    path = locate(named, folders=True)
    if path is None:
        looked = looked_in(named)
        raise InputError(
            f"no such file: {looked}; correct {preset_key}", file=named, key=preset_key
        )
    try:
        return _loaded(path, problem, key, prefix)
    except InputError as error:
        raise InputError(error.what, file=error.file, key=error.key or preset_key) from None


def _loaded(path: Path, problem: Problem, key: str | None, prefix: str | None) -> Model:
    """Returns the model of a checkpoint. Its InputErrors name no preset key."""
    network = copies.drawn(problem.make_network, FIXED_SEED)
    own = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    state = unprefixed(tensors(read(path), key, path), own, prefix, path)
    _check_numbers(state, network, path)
    _check_tied(state, network, path)
    missing, more = _load(state, network, path)
    if missing or more:
        shapes = {name: tuple(each.shape) for name, each in network.named_parameters()}
        raise InputError(_misfit(missing, more, shapes, state), file=path)
    theta = problem.weights_of(network)
    if not theta.isfinite().all():
        raise InputError("holds weights that are not finite; train it again", file=path)
    held = {**dict(copies.named_parameters(network)), **dict(network.named_buffers())}
    fixed = {name: held[name].detach() for name in problem.fixed if name in held}
    return Model(theta, fixed)


def _load(
    state: Mapping[str, Tensor], network: nn.Module, path: Path
) -> tuple[list[str], list[str]]:
    """Loads tensors into a network by its own `load_state_dict`, hooks included.

    Returns the parameters that are missing, and the tensors that are too many.
    """
    try:
        found = network.load_state_dict(dict(state), strict=False)
    except Exception as error:  # the network may have a way of its own
        first = (str(error).splitlines() or [""])[-1].strip()
        raise InputError(
            f"cannot be loaded by the network ({type(error).__name__}: {first}); give the network "
            "that it was trained with",
            file=path,
        ) from error
    second = _second_names(network)
    missing = [second.get(name, name) for name in found.missing_keys]
    given = {second.get(name, name) for name in state}
    parameters = {name for name, _ in network.named_parameters()}
    absent = dict.fromkeys(name for name in missing if name in parameters - given)
    return list(absent), [name for name in state if name in found.unexpected_keys]


def _check_numbers(state: Mapping[str, Tensor], network: nn.Module, path: Path) -> None:
    """Raises InputError where a tensor is none that a parameter of its name can hold."""
    tied = _second_names(network)
    shapes = {name: tuple(each.shape) for name, each in network.named_parameters()}
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


def _check_tied(state: Mapping[str, Tensor], network: nn.Module, path: Path) -> None:
    """Raises InputError where tied weights differ."""
    tied = _second_names(network)
    for name, tensor in state.items():
        if name in tied and tied[name] in state and not torch.equal(tensor, state[tied[name]]):
            raise InputError(
                f"{name} and {tied[name]} differ, but the network ties them; save the tied model",
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


def _second_names(network: nn.Module) -> dict[str, str]:
    """Returns the first name of each tied parameter, by each of its other names."""
    first: dict[int, str] = {}
    second: dict[str, str] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            second[name] = first[id(parameter)]
    return second
