"""The parameters of a network that weight decay leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from engine.errors import InputError, listed
from engine.problem.copies import named_parameters
from engine.spec.optimizers import Exempt


def which_decay(network: nn.Module, exempt: Collection[Exempt]) -> dict[str, bool]:
    """Returns for each parameter of a network, by name, whether weight decay applies to it.

    With bias in `exempt` it does not apply to parameters with "bias" in their own name, with norm
    to those of layers whose class has "Norm" in its name, such as LayerNorm and RMSNorm, with
    vectors to those of one axis or none, and with a pattern to those whose names it fits. Raises
    InputError where a pattern fits none.
    """
    tests = [_test(each, network) for each in exempt]
    return {
        name: not any(test(name, parameter) for test in tests)
        for name, parameter in named_parameters(network)
    }


Test = Callable[[str, nn.Parameter], bool]
"""Tells whether a parameter of this name is exempt."""


def _test(exempt: Exempt, network: nn.Module) -> Test:
    """Returns the test of one entry of decay_exempt."""
    match exempt:
        case "bias":
            return lambda name, parameter: "bias" in name.rpartition(".")[2]
        case "norm":
            normalizing = _normalizing(network)
            return lambda name, parameter: id(parameter) in normalizing
        case "vectors":
            return lambda name, parameter: parameter.ndim < 2
        case pattern:
            _check_fits(pattern, network)
            return lambda name, parameter: fnmatchcase(name, pattern)


def _normalizing(network: nn.Module) -> set[int]:
    """Returns the ids of the parameters of all normalizations."""
    return {
        id(parameter)
        for module in network.modules()
        if "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    }


def _check_fits(pattern: str, network: nn.Module) -> None:
    """Raises InputError where a pattern fits the name of no parameter."""
    names = [name for name, _ in named_parameters(network)]
    if not any(fnmatchcase(name, pattern) for name in names):
        raise InputError(
            f"the pattern {pattern} fits no parameter; there are {listed(names)}",
            key="decay_exempt",
        )


def decaying(network: nn.Module, exempt: Collection[Exempt], moving: Sequence[str]) -> Tensor:
    """Returns (param,) 1 for each weight of a vector that decays, and 0 for the exempt ones.

    `moving` are the names of the parameters that the vector holds, in order.
    """
    decays, parameters = which_decay(network, exempt), dict(named_parameters(network))
    parts = [torch.full((parameters[name].numel(),), float(decays[name])) for name in moving]
    return torch.cat(parts)
