"""Batch normalization whose statistics are explicit.

torch's own layers keep running statistics that training overwrites. Here a model is a weight vector
and nothing else, so its statistics are a function of the weights and of certain samples.

They are those of torch's own layers with `momentum=None` after one pass in train mode over those
samples in one batch. In that pass every layer normalizes by the batch it is given, so that the
layers after it see what training shows them. A layer that forward calls k times gets the mean of k
batch means, and the mean of k unbiased variances. Dropout stays off in that pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from engine.errors import InputError
from engine.networks.modules.calls import Inputs
from engine.spec.problem import BatchNorm as BatchNormSpec

Mode = Literal["batch", "collect", "given"]

#: The buffers in which torch's layers keep their running statistics.
STATISTICS = ("running_mean", "running_var")


class BatchNorm(_BatchNorm):
    """What is added to a batch normalization of torch: its mode, and the statistics it has seen.

    `explicit` turns the layers of a network into this class and their own at once, so that their
    names, hooks and attributes stay.
    """

    mode: Mode
    """The statistics to normalize by. With batch they are the batch's own; with collect the same,
    and they are kept in `collected`; with given they are the layer's running statistics, in place
    of which `functional_call` may lend others."""
    collected: tuple[tuple[Tensor, Tensor], ...]
    """The mean and the unbiased variance, (channel,) each, of every batch in a pass of `collect`:
    one pair for each call of the layer."""
    forward_of_its_own: bool
    """Whether the layer is of a class that changes what torch's forward does."""

    def forward(self, input: Tensor) -> Tensor:  # (sample, channel, …)
        """Returns the normalized values, in the shape of the input.

        Raises InputError where a batch has only one value per channel, which has no variance.
        """
        x = input
        if self.mode == "given":
            if self.forward_of_its_own:
                return super().forward(x)
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if len(x) * prod(x.shape[2:]) < 2:
            raise InputError(
                "batch normalization has one value a channel to go by; give it batches of two or "
                "more samples",
                key="problem.batch_norm",
            )
        if self.mode == "collect":
            var, mean = torch.var_mean(x, [0, *range(2, x.ndim)])
            self.collected = (*self.collected, (mean, var))
        if self.forward_of_its_own:
            with _without_statistics(self):
                return super().forward(x)
        return functional.batch_norm(
            x, None, None, self.weight, self.bias, training=True, eps=self.eps
        )

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Returns the mean over all collected calls of their means, and of their variances.

        Both are (channel,), as the mode given expects them. A layer that was not called keeps its
        running statistics, which nothing reads.
        """
        if not self.collected:
            assert self.running_mean is not None and self.running_var is not None
            return self.running_mean, self.running_var
        means, variances = zip(*self.collected, strict=True)
        return _mean(means), _mean(variances)


@contextmanager
def _without_statistics(layer: BatchNorm) -> Iterator[None]:
    """Makes a context in which torch's forward normalizes by the batch, and keeps nothing of it."""
    kept = {name: layer._buffers[name] for name in STATISTICS}
    layer._buffers.update(dict.fromkeys(STATISTICS))
    try:
        yield
    finally:
        layer._buffers.update(kept)


def explicit(network: nn.Module) -> nn.Module:
    """Returns the network, with each batch normalization in it turned into a BatchNorm as well.

    A layer that keeps no running statistics gets some.
    """
    for layer in network.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, BatchNorm):
            layer.__class__ = _joined(type(layer))  # type: ignore[arg-type]
            assert isinstance(layer, BatchNorm)
            layer.mode, layer.collected = "given", ()
            if layer.running_mean is None:
                layer.register_buffer("running_mean", torch.zeros(layer.num_features))
                layer.register_buffer("running_var", torch.ones(layer.num_features))
    return network


@cache
def _joined(kind: type[_BatchNorm]) -> type[BatchNorm]:
    """Returns a class that is a BatchNorm and of this kind, under the kind's own name."""
    own = kind.forward is not _BatchNorm.forward
    found = type(kind.__name__, (BatchNorm, kind), {"forward_of_its_own": own})
    found.__module__ = kind.__module__
    return found


def _mean(parts: tuple[Tensor, ...]) -> Tensor:
    """Returns the mean of tensors of one shape. A single tensor is returned as it is."""
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean(0)


def collect(
    model: Callable[[Inputs], Any], layers: Sequence[BatchNorm], x: Inputs
) -> tuple[Tensor, ...]:
    """Returns the mean and the variance of each layer in turn, (channel,) each.

    They come from one pass of the model over x. The layers are the model's own and must be in the
    mode collect.
    """
    for layer in layers:
        layer.collected = ()
    model(x)
    return tuple(part for layer in layers for part in layer.statistics())


def chosen(samples: int, spec: BatchNormSpec) -> slice | Tensor:
    """Returns the numbers of the training samples that give the statistics, in rising order.

    `samples` is the number of training samples. With a seed the numbers are drawn without
    replacement by torch's own generator, so that a reader of a string file draws the same ones with
    `torch.randperm`. Without a seed they are the first ones.
    """
    if spec.seed is None or spec.samples >= samples:
        return slice(0, spec.samples)
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(spec.seed))
    return order[: spec.samples].sort().values


def batch_norms(network: nn.Module) -> list[tuple[str, BatchNorm]]:
    """Returns each BatchNorm layer once, with its name, in the order of the network's modules."""
    return [(n, layer) for n, layer in network.named_modules() if isinstance(layer, BatchNorm)]
