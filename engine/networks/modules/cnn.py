"""The module of the convolutional network, layer by layer as its keys list them."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks.base import Shape
from engine.networks.cnn import (
    CnnLayer,
    CnnNetwork,
    ConvLayer,
    DenseLayer,
    PoolLayer,
    ResponseNormLayer,
    layer_inputs,
)
from engine.networks.modules.fresh import NORMS, draw_weights
from engine.networks.modules.mlp import ACTIVATIONS
from engine.networks.modules.response_norm import ResponseNorm
from engine.networks.modules.vmapped import under_vmap


class Cnn(nn.Module):
    """The module of a convolutional network: the listed layers, then a linear layer."""

    def __init__(self, spec: CnnNetwork) -> None:
        """Draws weights as the keys `init` say. Raises InputError where a layer does not fit."""
        super().__init__()
        *inputs, last = layer_inputs(spec)
        self.input = spec.input
        self.dropout = spec.dropout
        self.gives_probabilities = spec.output_activation == "softmax"
        self.activation = ACTIVATIONS[spec.activation]
        self.layers = nn.ModuleList(map(_layer, spec.layers, inputs))
        self.output = nn.Linear(prod(last), spec.outputs)
        for module, layer in zip(self.layers, spec.layers, strict=True):
            if isinstance(layer, ConvLayer | DenseLayer):
                draw_weights(module, layer.init or spec.init)
        draw_weights(self.output, spec.init)

    def forward(self, x: Tensor) -> Tensor:  # (sample, …) -> (sample, outputs)
        """Returns the outputs for a batch of images, which may be flat."""
        x = as_images(x, self.input, self.output.weight)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | Normalized):
                x = self.activation(layer(x))
            elif isinstance(layer, nn.Linear):
                x = self.activation(layer(x.flatten(1)))
                if self.training and self.dropout:
                    x = functional.dropout(x, self.dropout)
            else:
                x = layer(x)
        outputs: Tensor = self.output(x.flatten(1))
        return outputs.softmax(1) if self.gives_probabilities else outputs


def _layer(layer: CnnLayer, shape: Shape) -> nn.Module:
    """Returns the module of one layer, for an input of this shape."""
    match layer:
        case ConvLayer():
            return _convolution(layer, shape[0])
        case PoolLayer():
            pool = nn.MaxPool2d if layer.by == "max" else nn.AvgPool2d
            return pool(layer.size, layer.stride, ceil_mode=layer.ceil_mode)
        case ResponseNormLayer():
            return ResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
        case DenseLayer():
            return nn.Linear(prod(shape), layer.units)


class Normalized(nn.Sequential):
    """The module of a convolution without biases, and of the normalization that follows it."""


def _convolution(layer: ConvLayer, channels: int) -> nn.Module:
    """Returns the module of a convolution of so many channels, with its normalization."""
    plain = nn.Conv2d(
        channels, layer.channels, layer.kernel, layer.stride, layer.zeros, bias=layer.norm is None
    )
    return Normalized(plain, NORMS[layer.norm](layer.channels)) if layer.norm else plain


def as_images(x: Tensor, shape: tuple[int, int, int], weight: Tensor) -> Tensor:
    """Returns samples (sample, …) as images (sample, channel, height, width), flat ones included.

    On the CPU, in float32 and outside vmap, channels lie innermost in memory: a pass with its
    gradient then takes a tenth to two fifths less time, most of which pooling saves. So they do on
    GPUs in bfloat16, as tensor cores take them.
    """
    x = x.reshape(len(x), *shape)
    if x.dtype != torch.float32 or under_vmap(x, weight):
        return x
    if x.is_cuda and not torch.is_autocast_enabled("cuda"):
        return x
    return x.to(memory_format=torch.channels_last)
