"""The paper's MNIST network with the initial weights of TensorFlow's tutorial that it is from.

dss-tui run benchmarks/mnist_tutorial.yaml --headless --out tutorial
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tutorial(nn.Module):
    """Two convolutions and a dense layer of 1 024 units, with a dropout of one half.

    Weights are drawn from a normal distribution with a deviation of 0.1, cut off at twice that, and
    biases are 0.1.
    """

    def __init__(self, deviation: float = 0.1) -> None:
        """Makes the layers, with 3 274 634 parameters."""
        super().__init__()
        self.first = nn.Conv2d(1, 32, 5, padding=2)
        self.second = nn.Conv2d(32, 64, 5, padding=2)
        self.dense, self.last = nn.Linear(7 * 7 * 64, 1024), nn.Linear(1024, 10)
        self.dropout = nn.Dropout(0.5)
        for layer in (self.first, self.second, self.dense, self.last):
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            nn.init.constant_(layer.get_parameter("bias"), 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the scores of the classes, (sample, 10)."""
        x = torch.max_pool2d(torch.relu(self.first(x)), 2)
        x = torch.max_pool2d(torch.relu(self.second(x)), 2)
        scores: Tensor = self.last(self.dropout(torch.relu(self.dense(x.flatten(1)))))
        return scores
