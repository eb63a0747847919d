"""Builds and checks the modules that a function of the user's own returns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.errors import InputError
from engine.factories import call_factory
from engine.networks.custom import CustomNetwork
from engine.networks.modules import lent

KEY = "problem.network"


def build_custom(spec: CustomNetwork) -> nn.Module:
    """Returns the function's module in float32. Its weights are drawn as the function draws them.

    Weights may be tied, complex numbers stay complex, and buffers stay as they are. Raises
    InputError where the function returns no module, or one whose parameters hold no numbers.
    """
    network = unwrapped(call_factory(spec.factory, spec.args, KEY))
    if isinstance(network, torch.jit.ScriptModule):
        raise _refused(spec, "returned TorchScript", "return the nn.Module that it was made from")
    if not isinstance(network, nn.Module):
        raise _refused(spec, f"returned {type(network).__name__}", "return an nn.Module")
    _check_parameters(dict(lent.held(network)), spec)
    return cast(network, torch.float32)


def cast(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Returns the network itself, its floating-point numbers in a type. Complex ones stay."""

    def to_type(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return network._apply(to_type)  # type: ignore[no-any-return, no-untyped-call]


def unwrapped(made: Any) -> Any:
    """Returns the module within wrappers for parallel training and torch.compile."""
    while isinstance(made, nn.DataParallel | DistributedDataParallel):
        made = made.module
    inner = getattr(made, "_orig_mod", None)  # of torch.compile
    return unwrapped(inner) if isinstance(inner, nn.Module) else made


def _check_parameters(parameters: dict[str, nn.Parameter], spec: CustomNetwork) -> None:
    """Raises InputError where there are no parameters, or some that hold no plain numbers."""
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters.values()):
        raise _refused(spec, "has lazy parameters", "run it once on a sample before returning it")
    for name, parameter in parameters.items():
        if parameter.is_meta:
            raise _refused(
                spec, f"has the parameter {name} on the meta device", "give it numbers: to_empty()"
            )
        if parameter.layout != torch.strided:
            raise _refused(spec, f"has the sparse parameter {name}", "make it dense: to_dense()")
    if not any(parameter.is_floating_point() for parameter in parameters.values()):
        raise _refused(
            spec, "has no floating-point parameters", "there is nothing to train or to connect"
        )


def _refused(spec: CustomNetwork, what: str, remedy: str) -> InputError:
    """Returns the error that names the function, what is wrong with its module, and a remedy."""
    return InputError(f"{spec.factory} {what}; {remedy}", key=f"{KEY}.factory")
