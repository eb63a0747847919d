"""Builds and checks the modules that a function of the user's own returns."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from engine.errors import InputError
from engine.factories import call_factory
from engine.networks.custom import CustomNetwork
from engine.networks.modules import lent
from engine.networks.modules.recomputed import check_recomputes

KEY = "problem.network"


def build_custom(spec: CustomNetwork) -> nn.Module:
    """Returns the function's module in float32. Its weights are drawn as the function draws them.

    Weights may be tied, and buffers stay as they are. Raises InputError where the function returns
    no module, or one whose parameters cannot all be moved: frozen ones, such as are not
    floating-point, or none.
    """
    network = unwrapped(call_factory(spec.factory, spec.args, KEY))
    if isinstance(network, torch.jit.ScriptModule):
        raise _refused(spec, "returned TorchScript", "return the nn.Module that it was made from")
    if not isinstance(network, nn.Module):
        raise _refused(spec, f"returned {type(network).__name__}", "return an nn.Module")
    _check_parameters(dict(network.named_parameters()), spec)
    for name, buffer in network.named_buffers():
        if buffer.is_complex():
            remedy = "hold its real and its imaginary part as two buffers"
            raise _refused(spec, f"has the complex buffer {name}", remedy)
    return network.to(torch.float32)


def unwrapped(made: Any) -> Any:
    """Returns the module within wrappers for parallel training and torch.compile."""
    while isinstance(made, nn.DataParallel | DistributedDataParallel):
        made = made.module
    inner = getattr(made, "_orig_mod", None)  # of torch.compile
    return unwrapped(inner) if isinstance(inner, nn.Module) else made


def _check_parameters(parameters: dict[str, nn.Parameter], spec: CustomNetwork) -> None:
    """Raises InputError where there are no parameters that can be moved, or some that cannot."""
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters.values()):
        raise _refused(spec, "has lazy parameters", "run it once on a sample before returning it")
    if not any(parameter.is_floating_point() for parameter in parameters.values()):
        raise _refused(
            spec, "has no floating-point parameters", "there is nothing to train or to connect"
        )
    for name, parameter in parameters.items():
        if not parameter.is_floating_point():
            raise _refused(
                spec, f"has the parameter {name} of type {parameter.dtype}", "make it a buffer"
            )
        if not parameter.requires_grad:
            raise _refused(
                spec,
                f"has the parameter {name} that does not require gradients",
                "a path moves all parameters: make it a buffer to keep it fixed",
            )


def _refused(spec: CustomNetwork, what: str, remedy: str) -> InputError:
    """Returns the error that names the function, what is wrong with its module, and a remedy."""
    return InputError(f"{spec.factory} {what}; {remedy}", key=f"{KEY}.factory")


def check_runs(network: nn.Module, x: Any, spec: CustomNetwork) -> None:
    """Raises InputError where the network does not take a batch of the data's samples x.

    It must return a tensor (sample, …), and compute with nothing but its parameters and buffers.
    """
    try:
        with torch.no_grad():
            output = network(x)
    except Exception as error:  # it is not our code
        raise _refused(
            spec,
            f"does not take a batch of samples {tuple(x.shape)} of {x.dtype} "
            f"({type(error).__name__}: {str(error).splitlines()[0]})",
            "make network and data fit",
        ) from error
    if not isinstance(output, torch.Tensor) or len(output) != len(x):
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise _refused(
            spec, f"returned {shape} for a batch of {len(x)}", "return a tensor (sample, …)"
        )
    _check_weights_count(network, x, spec)
    _check_gradients(network, x, spec)
    if spec.recompute:
        check_recomputes(network, spec.recompute, x)


def _check_gradients(network: nn.Module, x: Any, spec: CustomNetwork) -> None:
    """Raises InputError where the outputs have no gradient by any parameter."""
    other = copy.deepcopy(network).requires_grad_(True)
    try:
        with torch.enable_grad():
            other(x).sum().backward()
        why = "" if any(p.grad is not None for p in other.parameters()) else "it reaches none"
    except Exception as error:  # it is not our code
        why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if why:
        raise _refused(
            spec,
            f"has no gradient by its parameters ({why})",
            "let forward compute with torch alone, without detach(), numpy() or no_grad()",
        )


def _check_weights_count(network: nn.Module, x: Any, spec: CustomNetwork) -> None:
    """Raises InputError where the outputs do not follow from weights that are lent to the network.

    A path is measured by lending its weights to the network, which must go by nothing else.
    """
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        by_lent, own = lent.output(network, dict(lent.held(other)), x), other(x)
    if not torch.allclose(by_lent, own, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise _refused(
            spec,
            "does not go by its parameters alone",
            "hold them as attributes, not in lists, and draw nothing at random in forward (dropout "
            "as nn.Dropout, which is off here)",
        )
