"""The deep linear network of §2.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.errors import InputError
from engine.networks.dense import DenseKeys
from engine.networks.layout import DenseLayout
from engine.part import MOST_LAYERS, Size

if TYPE_CHECKING:
    from torch import nn


class LinearNetwork(DenseKeys):
    """A deep linear network W_K … W_1 x (Eq. 4)."""

    kind: Literal["linear"]
    sizes: Annotated[tuple[Size, ...], Field(min_length=2, max_length=MOST_LAYERS)]
    """The width of the input, of each hidden layer, and of the output."""

    @property
    def layout(self) -> DenseLayout:
        """The network as fully connected layers without biases and activations."""
        return DenseLayout(self.sizes, False, "identity", "identity")

    def build(self) -> nn.Module:
        """Returns a module with fresh weights, drawn from torch's global generator."""
        from engine.networks.modules.linear import DeepLinear

        return DeepLinear(self.sizes)


def check_linear_sizes(sizes: Sequence[int]) -> None:
    """Raises InputError where a hidden layer is too narrow for the closed-form path (Prop. 2.2)."""
    narrow = min(sizes[0], sizes[-1])
    for width in sizes[1:-1]:
        if width < narrow:
            raise InputError(
                f"has a hidden width of {width}, but method linear needs every hidden layer to be "
                f"at least as wide as the smaller of input and output; make it {narrow} or more, "
                "or choose search.method: greedy",
                key="problem.network.sizes",
            )
