"""Batch normalization whose statistics are explicit.

torch's own layers keep running statistics that training overwrites. Here a model is a weight vector
and nothing else, so its statistics are a function of the weights and of certain samples.

They are those of torch's own layers with `momentum=None` after one pass in train mode over those
samples in one batch. In that pass every layer normalizes by the batch it is given, so that the
layers after it see what training shows them. A layer that forward calls k times gets the mean of k
batch means, and the mean of k unbiased variances. Dropout stays off in that pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from engine.errors import InputError
from engine.spec.problem import BatchNorm as BatchNormSpec

Mode = Literal["batch", "collect", "given"]


class BatchNorm(nn.Module):
    """The replacement of nn.BatchNorm1d, 2d and 3d.

    Its `mode`, not train() or eval(), decides by which statistics it normalizes.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    mean: Tensor
    var: Tensor

    mode: Mode
    """The statistics to normalize by. With batch they are the batch's own; with collect the same,
    and they are kept in `collected`; with given they are the buffers `mean` and `var`, in place of
    which `functional_call` may lend others."""
    collected: tuple[tuple[Tensor, Tensor], ...]
    """The mean and the unbiased variance, (channel,) each, of every batch in a pass of `collect`:
    one pair for each call of the layer."""

    def __init__(self, replaced: _BatchNorm) -> None:
        """Takes over the parameters and the running statistics of torch's layer."""
        super().__init__()
        self.channels = replaced.num_features
        self.eps = replaced.eps
        self.mode = "given"
        self.collected = ()
        self.register_parameter("weight", replaced.weight)
        self.register_parameter("bias", replaced.bias)
        mean, var = replaced.running_mean, replaced.running_var
        self.register_buffer("mean", torch.zeros(self.channels) if mean is None else mean)
        self.register_buffer("var", torch.ones(self.channels) if var is None else var)

    def forward(self, x: Tensor) -> Tensor:  # (sample, channel, …)
        """Returns the normalized values, in the shape of x.

        Raises InputError where a batch has only one value per channel, which has no variance.
        """
        if self.mode == "given":
            return functional.batch_norm(
                x, self.mean, self.var, self.weight, self.bias, eps=self.eps
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
        return functional.batch_norm(
            x, None, None, self.weight, self.bias, training=True, eps=self.eps
        )

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Returns the mean over all collected calls of their means, and of their variances.

        Both are (channel,), as the mode given expects them. A layer that was not called keeps its
        buffers, which nothing reads.
        """
        if not self.collected:
            return self.mean, self.var
        means, variances = zip(*self.collected, strict=True)
        return _mean(means), _mean(variances)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state for a copy, without the collected tensors, which may belong to vmap."""
        return self.__dict__ | {"collected": ()}


def replace_batch_norm(network: nn.Module) -> nn.Module:
    """Returns a copy of the network with BatchNorm in place of torch's layers.

    Its parameters keep their names. Raises InputError where the network cannot be copied, and where
    a layer normalizes by batches in a way of its own.
    """
    try:
        network = copy.deepcopy(network)
    except Exception as error:  # it is not our code
        raise InputError(
            f"cannot be copied ({type(error).__name__}: {str(error).splitlines()[0]}); hold what "
            "is computed from parameters in forward only (torch.nn.utils.parametrizations)",
            key="problem.network",
        ) from error
    places = [
        (name, layer)
        for name, layer in network.named_modules(remove_duplicate=False)
        if isinstance(layer, _BatchNorm)
    ]
    new = {layer: _replacement(name, layer) for name, layer in places}
    for name, layer in places:
        if layer is network:
            return new[layer]
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, new[layer])
    return network


def _replacement(name: str, layer: _BatchNorm) -> BatchNorm:
    """Returns the replacement of one layer. Raises InputError for a forward of the layer's own."""
    if type(layer).forward is not _BatchNorm.forward:
        raise InputError(
            f"layer {name} is a {type(layer).__name__}, whose statistics are out of reach; use "
            "torch's BatchNorm1d, BatchNorm2d or BatchNorm3d",
            key="problem.network",
        )
    return BatchNorm(layer)


def _mean(parts: tuple[Tensor, ...]) -> Tensor:
    """Returns the mean of tensors of one shape. A single tensor is returned as it is."""
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean(0)


def collect(
    model: Callable[[Tensor], Tensor], layers: Sequence[BatchNorm], x: Tensor
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
