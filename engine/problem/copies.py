"""Copies of a problem's network, each for a thread of its own, and what in them moves.

A copy is made by the function that made the network, not by `copy.deepcopy`: functions that a
module holds, such as hooks, then belong to the copy, and nothing has to be copied that cannot be.
What does not move is the same in every copy: its fixed parameters and its buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from engine.errors import InputError, nearest
from engine.networks.modules import lent
from engine.networks.modules.calls import Handing
from engine.networks.modules.custom import cast
from engine.problem.batch_norm import STATISTICS, batch_norms, explicit
from engine.seeds import DRAWING

#: The seed of what is drawn with a network and does not move, which is the same everywhere.
FIXED_SEED = 0
#: The buffers of a normalized layer, which are no part of a model: they are estimated or counted.
ESTIMATED = (*STATISTICS, "num_batches_tracked")

MakeNetwork = Callable[[], nn.Module]
"""Returns a network with fresh random weights from torch's global generator."""


@dataclass(frozen=True)
class Parameter:
    """The name and the shape of one parameter of a network, in torch's terms."""

    name: str
    shape: tuple[int, ...]


def drawn(make: MakeNetwork, seed: int) -> nn.Module:
    """Returns a network whose weights are drawn by a seed."""
    with DRAWING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make()


def computing(network: nn.Module, handing: Handing) -> nn.Module:
    """Returns the network ready to compute with.

    It is in eval mode, without gradients, with explicit statistics, and is called with one x.
    """
    return handing.hook(explicit(network)).requires_grad_(False).eval()


def copied(
    make: MakeNetwork,
    handing: Handing,
    like: nn.Module,
    device: torch.device,
    dtype: torch.dtype,
) -> nn.Module:
    """Returns a network to compute with, with the fixed parameters and the buffers of another."""
    network = computing(drawn(make, FIXED_SEED), handing)
    take_over(network, {**dict(named_parameters(like)), **dict(like.named_buffers())})
    return cast(network, dtype).to(device)


def take_over(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Gives parameters and buffers of a network these values, by name."""
    with torch.no_grad():
        for name, tensor in [*lent.held(network), *network.named_buffers(remove_duplicate=False)]:
            value = values.get(name)
            if value is None or tensor.is_meta:
                continue
            if tensor.shape == value.shape:
                tensor.copy_(value)
            else:  # a buffer that forward has made anew
                parent, _, own = name.rpartition(".")
                network.get_submodule(parent)._buffers[own] = value.clone()


def shifted(network: nn.Module, by: float) -> dict[str, Tensor]:
    """Returns the parameters of a network by name, with noise of that size in those that move."""
    draws = torch.Generator().manual_seed(FIXED_SEED)
    return {
        name: each.detach() + by * torch.randn(each.shape, generator=draws).to(each)
        for name, each in lent.held(network)
        if each.is_floating_point()
    }


# ---------------------------------------------------------------- what moves


def named_parameters(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yields each parameter once, by its first name, as the modules hold them."""
    seen: set[int] = set()
    for name, parameter in lent.held(network):
        if id(parameter) not in seen:
            seen.add(id(parameter))
            yield name, parameter


def moving(network: nn.Module, patterns: Sequence[str] | None) -> tuple[Parameter, ...]:
    """Returns the parameters that a path moves, in the network's order. A tied one comes once.

    With `patterns` they are those whose name fits one of them (`fnmatch`), otherwise those that
    require gradients. Raises InputError where a pattern fits none, or one cannot be moved.
    """
    every = dict(named_parameters(network))
    if patterns is None:
        found = {name: each for name, each in every.items() if each.requires_grad}
    else:
        found = _named_by(patterns, every)
    for name, parameter in found.items():
        if not parameter.is_floating_point():
            raise InputError(
                f"the parameter {name} holds {str(parameter.dtype).removeprefix('torch.')} "
                "numbers, which a path cannot move; hold plain real ones",
                key="problem.network.factory",
            )
    if not found:
        raise InputError(
            "no parameter of the network requires gradients, so that nothing moves; name those "
            "that move in path_parameters",
            key="problem.network.factory",
        )
    return tuple(Parameter(name, tuple(each.shape)) for name, each in found.items())


def _named_by(
    patterns: Sequence[str], every: Mapping[str, nn.Parameter]
) -> dict[str, nn.Parameter]:
    """Returns the parameters whose names fit a pattern. Raises InputError where one fits none."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            raise InputError(
                f"is {pattern!r}, which fits the name of no parameter; {nearest(pattern, every)}",
                key="path_parameters",
            )
    return {
        name: parameter
        for name, parameter in every.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def places_of(network: nn.Module, parameters: Sequence[Parameter]) -> tuple[tuple[str, str], ...]:
    """Returns, for each place that holds one of these parameters, its name there and its own."""
    first: dict[int, str] = {id(p): name for name, p in named_parameters(network)}
    names = {parameter.name for parameter in parameters}
    held = [(place, first[id(parameter)]) for place, parameter in lent.held(network)]
    return tuple((place, name) for place, name in held if name in names)


def fixed(network: nn.Module, parameters: Sequence[Parameter]) -> dict[str, Tensor]:
    """Returns what of a network's state does not move, by name: parameters, then buffers.

    Buffers that a state dictionary leaves out are no part of it, nor are those of normalized
    layers.
    """
    names = {parameter.name for parameter in parameters}
    estimated = {
        f"{layer}.{own}".lstrip(".") for layer, _ in batch_norms(network) for own in ESTIMATED
    }
    state = {name: each.detach() for name, each in named_parameters(network) if name not in names}
    for module_name, module in network.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            full = f"{module_name}.{name}".lstrip(".")
            if name not in module._non_persistent_buffers_set and full not in estimated:
                state[full] = buffer.detach()
    return state
