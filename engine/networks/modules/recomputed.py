"""Modules whose inner values are computed again for the gradient instead of being kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.errors import InputError

Again = Callable[[], AbstractContextManager[Any]]
"""Returns the context in which what follows now can be computed a second time."""

KEY = "problem.network.recompute"


@contextmanager
def recomputing(
    network: nn.Module, names: Sequence[str], again: Again = nullcontext
) -> Iterator[None]:
    """Lets the named modules of a network forget their inner values within the block.

    The gradient computes them again from the module's inputs, in the context that `again` returned
    when the module was called. Of an nn.Sequential or nn.ModuleList, each module forgets by itself.
    """
    with ExitStack() as stack:
        for module in _named(network, names):
            stack.enter_context(_forgetting(module, again))
        yield


@contextmanager
def _forgetting(module: nn.Module, again: Again) -> Iterator[None]:
    """Lets one module forget its inner values within the block."""
    forward, had = module.forward, "forward" in vars(module)

    def forgotten(*inputs: Any, **named: Any) -> Any:
        second = again()
        return checkpoint(
            forward,
            *inputs,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), second),
            **named,
        )

    vars(module)["forward"] = forgotten
    try:
        yield
    finally:
        if had:
            vars(module)["forward"] = forward
        else:
            del vars(module)["forward"]


def _named(network: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Returns the modules that forget by themselves."""
    found: list[nn.Module] = []
    for name in names:
        module = network.get_submodule(name)
        several = isinstance(module, nn.Sequential | nn.ModuleList)
        found += module.children() if several else [module]
    return found


def check_recomputes(network: nn.Module, names: Sequence[str], x: Tensor) -> None:
    """Raises InputError where a name is no module's, or the gradient is another when recomputed.

    x are some samples (sample, …). The gradient is another where a module changes its input.
    """
    known = dict(network.named_modules())
    for name in names:
        if name not in known or not name:
            shown = [each for each in known if each][:8]
            raise InputError(f"names {name!r}, but the modules are {', '.join(shown)}", key=KEY)
    expected = _gradient(network, (), x)
    try:
        found = _gradient(network, names, x)
    except RuntimeError:  # torch's own check of the inputs that it keeps
        found = None
    if found is None or not torch.allclose(expected, found, 1e-3, 1e-6, equal_nan=True):
        raise InputError(
            "names modules whose gradient is another when they are computed again; leave out those "
            "that change their input in place, or begin one module earlier",
            key=KEY,
        )


def _gradient(network: nn.Module, names: Sequence[str], x: Tensor) -> Tensor:
    """Returns the gradient of the sum of the outputs, (param,)."""
    other = copy.deepcopy(network).requires_grad_(True)
    with torch.enable_grad(), recomputing(other, names):
        outputs = other(x)
    outputs.sum().backward()
    slopes = [
        torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
        for p in other.parameters()
    ]
    return torch.cat(slopes)
