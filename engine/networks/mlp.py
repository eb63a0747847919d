"""The fully connected network of §2.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.networks.base import ActivationName
from engine.networks.dense import DenseKeys
from engine.networks.layout import Activation, DenseLayout
from engine.part import MOST_LAYERS, Size

if TYPE_CHECKING:
    from torch import nn


class MlpNetwork(DenseKeys):
    """A fully connected network (Eq. 5)."""

    kind: Literal["mlp"]
    sizes: Annotated[tuple[Size, ...], Field(min_length=2, max_length=MOST_LAYERS)]
    """The width of the input, of each hidden layer, and of the output."""
    activation: ActivationName = "relu"
    """The function that each hidden layer applies to its values."""
    bias: bool = True
    """Whether each layer adds a bias."""
    output_activation: Activation = "identity"
    """The function that the last layer applies to its values."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the values of each hidden layer that steps of training drop at random, where
    their block does not say dropout: false. A loss that is judged drops none."""
    init: Literal["default", "paper"] = "default"
    """The distribution of random weights. With default, it is torch's own; with paper, weights are
    uniform in [-1, 1] and biases standard normal."""

    @property
    def drops(self) -> bool:
        """Whether the keys ask for values to be dropped at random in steps of training."""
        return self.dropout > 0

    @property
    def layout(self) -> DenseLayout:
        """The network as fully connected layers."""
        return DenseLayout(self.sizes, self.bias, self.activation, self.output_activation)

    def build(self) -> nn.Module:
        """Returns a module with fresh weights, drawn from torch's global generator."""
        from engine.networks.modules.mlp import Mlp

        return Mlp(self)
