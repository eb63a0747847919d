"""Modules traced into the operations of ATen, as torch computes them.

`torch.fx` alone sees an LSTM, a GRU, an attention or a transformer layer as one call. Here they are
taken apart into products of matrices, sums and functions of single values, as `torch.export` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from engine.networks.modules import lent
from engine.networks.modules.calls import Inputs

#: What reads a number out of a tensor, by which forward may then go.
READERS = (
    *(Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__),
    *(Tensor.item, Tensor.tolist),
)
#: The number of random weights and samples with which forward must read the same numbers.
DRAWS = 8
#: Seed of those weights and samples.
SEED = 20230205

Forward = Callable[[list[Tensor], list[Tensor], Inputs], Tensor]


class Unseen(Exception):
    """A forward that cannot be traced; `str` is a clause that says why."""


def traced(
    network: nn.Module,
    places: Mapping[str, str],
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    x: Inputs,
) -> fx.GraphModule:
    """Returns the forward of a network as operations of ATen.

    Its inputs are the parameters in their order, then the buffers, then x (sample, …). `places`
    names the parameter that the network holds at each place. Shapes are those of x. Raises Unseen
    where forward depends on the values that it computes with, or does something that torch does not
    trace.
    """

    def forward(own: list[Tensor], others: list[Tensor], x: Inputs) -> Tensor:
        named = dict(zip(parameters, own, strict=True))
        weights = {place: named[name] for place, name in places.items()}
        return lent.output(network, {**weights, **dict(zip(buffers, others, strict=True))}, x)

    own, others = list(parameters.values()), list(buffers.values())
    try:
        return _traced(forward, own, others, x, nullcontext())
    except Exception as error:  # whatever the module's own code raises on values that are none
        if "DataDependent" not in type(error).__name__:
            raise Unseen(_why(error)) from error
    told = _read_by(forward, own, others, x)
    try:
        return _traced(forward, own, others, x, _Telling(told))
    except Exception as error:
        raise Unseen(_why(error)) from error


def _traced(
    forward: Forward,
    own: list[Tensor],
    others: list[Tensor],
    x: Inputs,
    context: AbstractContextManager[object],
) -> fx.GraphModule:
    # Imported here because it takes seconds, and few searches need it.
    from torch.fx.experimental.proxy_tensor import make_fx

    own = [each.detach().clone().requires_grad_() for each in own]
    # With gradients, because layers of torch's have other code without them.
    with torch.enable_grad(), context:
        make = make_fx(forward, tracing_mode="fake", _allow_non_fake_inputs=True)
        graph = make(own, others, x)
    # Nothing that is thrown away, such as the last states of an LSTM, ties units to each other.
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _read_by(forward: Forward, own: list[Tensor], others: list[Tensor], x: Inputs) -> list[object]:
    """Returns the numbers that forward reads out of tensors, one after another.

    They may be those of a mask, as in torch's transformers. Raises Unseen where they depend on
    weights or samples.
    """
    generator = torch.Generator().manual_seed(SEED)

    def drawn(like: Tensor) -> Tensor:
        if not like.is_floating_point():
            return like
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    heard: list[list[object]] = []
    for _ in range(DRAWS):
        with torch.no_grad(), _Telling() as listening:
            forward([drawn(each) for each in own], others, tree_map(drawn, x))
        heard.append(listening.told)
    if any(each != heard[0] for each in heard):
        raise Unseen("its forward decides by the values that it computes")
    return heard[0]


class _Telling(TorchFunctionMode):
    """A context that hears what is read out of tensors, or tells what was heard before."""

    def __init__(self, told: list[object] | None = None) -> None:
        super().__init__()
        self.told: list[object] = []
        self._left = None if told is None else iter(told)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Returns what a function of torch gives, or what a reader has given before."""
        if func not in READERS:
            return func(*args, **(kwargs or {}))
        if self._left is not None:
            return next(self._left)
        self.told.append(func(*args, **(kwargs or {})))
        return self.told[-1]


def _why(error: Exception) -> str:
    """Returns a clause that says why a forward cannot be traced."""
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"its forward cannot be traced ({line})"
