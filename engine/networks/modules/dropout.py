"""Dropout whose masks are functions of keys, so that batching and resuming change none of them.

`Dropping` is a context within which torch's dropout functions, and with them the layers of
torch.nn that call them, take their masks from keys. A mask belongs to a sample's key and to the
number of the call within a forward pass, so it is the same wherever the sample stands in a batch
and however the batch is cut.

Attention and recurrent layers draw within torch, out of reach, and some networks do not keep the
samples on the first axis. For those, torch's own generator is seeded by the key of the first sample
for the forward pass of one model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from engine.draws import mixed, uniform
from engine.errors import InputError
from engine.seeds import DRAWING

#: The value that saturates SELU, with its sign turned, which alpha dropout puts in place of others.
ALPHA = 1.7580993408473766

WHOLE_CHANNELS = (functional.dropout1d, functional.dropout2d, functional.dropout3d)
"""The functions that drop whole channels."""
SELF_NORMALIZING = (functional.alpha_dropout, functional.feature_alpha_dropout)
"""The functions that keep mean and variance of SELU's values; the second drops whole channels."""
DROPOUTS = (functional.dropout, *WHOLE_CHANNELS, *SELF_NORMALIZING)


class NotBySample(InputError):
    """Raised where a layer drops values that do not have the samples on their first axis."""


class Dropping(TorchFunctionMode):
    """A context in which dropout drops by the keys of the samples, for this thread alone.

    A layer raises NotBySample there where its values do not have the samples on their first axis.
    """

    def __init__(self, keys: Tensor | None, calls: int = 0) -> None:
        """Takes the key of each sample, (sample,) int64; with None nothing is dropped.

        `calls` is the number of dropout calls that came before.
        """
        super().__init__()
        self._keys = keys
        self.calls = calls
        """The number of dropout calls so far."""

    def again(self) -> Dropping:
        """Returns a context that drops once more what this one drops from now on."""
        return Dropping(self._keys, self.calls)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Returns what a function of torch gives, with our masks where it is a dropout."""
        kwargs = kwargs or {}
        if func not in DROPOUTS:
            return func(*args, **kwargs)
        return self._dropped(func, *args, **kwargs)

    def _dropped(
        self,
        func: Callable[..., Any],
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        """Returns values with some dropped, as torch's function of these arguments does."""
        if not training or not p:
            return input
        self.calls += 1
        if self._keys is None:
            return input
        shape = _mask_shape(func, input, len(self._keys))
        drawn = uniform(mixed(self._keys, self.calls), prod(shape[1:]))
        kept = (drawn.view(shape) >= p).to(input.dtype)
        if func not in SELF_NORMALIZING:
            return input * (kept / (1 - p)) if p < 1 else input * 0
        scale = ((ALPHA**2 * p + 1) * (1 - p)) ** -0.5 if p < 1 else 0.0
        return input * (kept * scale) + ((kept - 1) * ALPHA + ALPHA * p) * scale


def _mask_shape(func: Callable[..., Any], x: Tensor, samples: int) -> tuple[int, ...]:
    """Returns the shape of the mask for values x, (sample, …). Raises NotBySample."""
    by_channel = func in WHOLE_CHANNELS or func is functional.feature_alpha_dropout
    if x.ndim < (3 if by_channel else 1) or len(x) != samples:
        raise NotBySample(
            f"drops values of shape {tuple(x.shape)} in a batch of {samples} samples, but in a "
            "smaller batch the samples were on their first axis; keep them there",
            key="problem.network",
        )
    return (*x.shape[:2], *(1 for _ in x.shape[2:])) if by_channel else tuple(x.shape)


@contextmanager
def in_training_mode(network: nn.Module, on: bool) -> Iterator[None]:
    """Sets the modules of a network to their mode of training within the block, where it is on.

    They are in their mode of evaluation otherwise, in which layers drop nothing.
    """
    if not on:
        yield
        return
    network.train()
    try:
        yield
    finally:
        network.eval()


@contextmanager
def generator_of(keys: Tensor) -> Iterator[None]:
    """Seeds torch's generators by the key of the first sample (sample,) within the block.

    They belong to all threads, so one thread at a time is within such a block. Afterwards they go
    on as if nothing had been drawn.
    """
    device = keys.device
    on_gpu = device.type == "cuda"
    with DRAWING, torch.random.fork_rng(devices=[device] if on_gpu else []):
        seed = int(keys[0]) % 2**63
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[keys.get_device()].manual_seed(seed)
        yield


def draws_within(network: nn.Module, x: Tensor) -> bool:
    """Returns whether a network in training draws random numbers that keys cannot give.

    x are some samples (sample, …), which the network takes. The network may be changed by a trial.
    """
    keys = torch.arange(len(x), device=x.device)
    with torch.no_grad(), in_training_mode(network, True), generator_of(keys):
        before = _states(keys.device)
        try:
            with Dropping(keys):
                network(x)
        except NotBySample:
            return True
        return not all(map(torch.equal, before, _states(keys.device)))


def _states(device: torch.device) -> list[Tensor]:
    """Returns the states of torch's generators on the CPU and on a device."""
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def check_drops(network: nn.Module, x: Tensor, key: str) -> None:
    """Raises InputError, at a key, where steps cannot drop values of a network as they should.

    x are some samples (sample, …), which the network takes. Where it drops nothing, it must compute
    in training what it computes in evaluation. What is drawn within layers cannot be told apart
    from what else they compute. The network may be changed by what is tried here.
    """
    if draws_within(network, x):
        return
    with torch.no_grad():
        expected = network(x)
        with in_training_mode(network, True), Dropping(None) as dropping:
            found = network(x)
    if not dropping.calls:
        why, remedy = "drops nothing", "leave the key null"
    elif not torch.allclose(expected, found, rtol=1e-4, atol=1e-6, equal_nan=True):
        why = "computes something else in training, beside its dropout"
        remedy = "let forward depend on self.training through dropout alone"
    else:
        return
    raise InputError(f"is true, but the network {why}; {remedy}", key=key)
