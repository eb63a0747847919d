"""The module of the deep linear network of §2.1."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class DeepLinear(nn.Module):
    """The deep linear network Φ(x) = W_K … W_1 x (Eq. 4)."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        """Draws weights (out, in) for each pair of neighbouring sizes, as torch draws them."""
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:  # (sample, …) -> (sample, sizes[-1])
        """Returns the last layer's values for a batch of samples, which may have several axes."""
        x = x.flatten(1)
        for layer in self.layers:
            x = layer(x)
        return x
