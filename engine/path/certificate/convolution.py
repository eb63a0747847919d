"""Convolutions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.networks.steps import Convolution
from engine.path.certificate.affine import Moving, affine
from engine.path.certificate.chord import Chord


def convolution(x: Chord, weights: Moving, step: Convolution) -> Chord:
    """Returns the model (cell, sample, channel, height, width) of a convolution and its bias."""

    def apply(inputs: Tensor, kernels: Tensor) -> Tensor:
        """Convolves the samples of each cell with its kernels; inputs may have one cell for all."""
        inputs = inputs.expand(len(kernels), *inputs.shape[1:])
        return torch.stack(
            [
                functional.conv2d(
                    images, kernel, None, step.stride, step.padding, step.dilation, step.groups
                )
                for images, kernel in zip(inputs, kernels, strict=True)
            ]
        )

    return affine(x, weights, apply, 2)
