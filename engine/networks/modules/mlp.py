"""The module of the fully connected network of §2.2."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.networks.mlp import MlpNetwork

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class Mlp(nn.Module):
    """The network Φ(x) = σ_out(W_K ρ(W_{K-1} … ρ(W_1 x))) (Eq. 5), with or without biases."""

    def __init__(self, spec: MlpNetwork) -> None:
        """Draws weights and biases as the key `init` says."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(i, o, bias=spec.bias) for i, o in pairwise(spec.sizes)
        )
        self.activation = ACTIVATIONS[spec.activation]
        self.output_activation = ACTIVATIONS[spec.output_activation]
        self.dropout = spec.dropout
        if spec.init == "paper":
            self._draw_as_in_the_paper()

    def forward(self, x: Tensor) -> Tensor:  # (sample, …) -> (sample, sizes[-1])
        """Returns the last layer's values for a batch of samples, which may have several axes."""
        x = x.flatten(1)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
            if self.training and self.dropout:
                x = functional.dropout(x, self.dropout)
        return self.output_activation(last(x))

    def _draw_as_in_the_paper(self) -> None:
        """Draws weights uniform in [-1, 1] and biases standard normal."""
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.uniform_(layer.weight, -1.0, 1.0)
            if layer.bias is not None:
                nn.init.normal_(layer.bias)
