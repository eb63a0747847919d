"""The module of the small residual network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.networks.modules.cnn import as_images
from engine.networks.modules.fresh import NORMS, Norm, draw_weights
from engine.networks.resnet import ResNetwork, residual_blocks


class ResNet(nn.Module):
    """A convolution, stages of residual blocks, the mean over the image, a linear layer."""

    def __init__(self, spec: ResNetwork) -> None:
        """Draws all weights as the key `init` says."""
        super().__init__()
        norm = NORMS[spec.norm]
        self.input = spec.input
        self.conv = convolution(spec.input[0], spec.widths[0], stride=1)
        self.norm = norm(spec.widths[0])
        self.blocks = nn.Sequential(
            *(Block(i, o, stride, norm) for i, o, stride in residual_blocks(spec))
        )
        self.output = nn.Linear(spec.widths[-1], spec.outputs)
        draw_weights(self, spec.init)

    def forward(self, x: Tensor) -> Tensor:  # (sample, …) -> (sample, outputs)
        """Returns the outputs for a batch of images, which may be flat."""
        x = as_images(x, self.input, self.output.weight)
        x = torch.relu(self.norm(self.conv(x)))
        return self.output(self.blocks(x).mean((2, 3)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A residual block ρ(g(x) + s(x)) with the ReLU ρ.

    g is two 3×3 convolutions. s is the identity, or a 1×1 convolution where the shape changes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        """Draws weights as torch draws them. `stride` is that of the first convolution."""
        super().__init__()
        self.conv1 = convolution(inputs, outputs, stride)
        self.norm1 = norm(outputs)
        self.conv2 = convolution(outputs, outputs, stride=1)
        self.norm2 = norm(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if (inputs, stride) != (outputs, 1):
            narrow = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(narrow, norm(outputs))

    def forward(self, x: Tensor) -> Tensor:  # (sample, channel, height, width)
        """Returns the block's output, `stride` times smaller, for a batch of images."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    """Returns a 3×3 convolution without the biases, which a normalization would take out."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
