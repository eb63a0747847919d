"""Fully connected networks as a list of sizes. This module imports neither torch nor numba."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Activation = Literal["identity", "relu", "sigmoid", "tanh"]


@dataclass(frozen=True)
class DenseLayout:
    """A fully connected network.

    A weight vector holds, layer by layer, the weight (out, in) row-major, then the bias.
    """

    sizes: tuple[int, ...]
    """The width of the input, of each hidden layer, and of the output."""
    bias: bool
    """Whether each layer adds a bias."""
    # Written out, not as Activation: subclasses elsewhere must be able to read the annotation.
    activation: Literal["identity", "relu", "sigmoid", "tanh"]
    """The function that each hidden layer applies to its values."""
    output_activation: Literal["identity", "relu", "sigmoid", "tanh"]
    """The function that the last layer applies to its values."""

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases."""
        return sum(o * (i + self.bias) for i, o in pairwise(self.sizes))

    @property
    def linear(self) -> bool:
        """Whether the network is a product of matrices, W_K … W_1 x (Eq. 4)."""
        return (self.bias, self.activation, self.output_activation) == (
            False,
            "identity",
            "identity",
        )
