"""A convolutional network, layer by layer as its keys list them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveFloat

from engine.errors import InputError
from engine.networks.base import ActivationName, End, Init, NetworkKeys, NormName, Shape
from engine.part import MOST_LAYERS, NonNegativeInt, Part, Size

if TYPE_CHECKING:
    from torch import nn

#: The key that holds the layers.
LAYERS = "problem.network.layers"

ImageShape = tuple[Size, Size, Size]
"""The shape of an image: (channels, height, width)."""


class Layer(Part):
    """The keys of one layer, and what they say of its sizes."""

    if TYPE_CHECKING:
        kind: str  # each declares its own

    @property
    @abstractmethod
    def words(self) -> str:
        """The layer in a word or two."""

    @abstractmethod
    def after(self, shape: Shape, number: int) -> Shape:
        """Returns the shape of the output for an input of this shape.

        `number`, counted from 1, is used in error messages only. Raises InputError where the layer
        does not fit.
        """

    @abstractmethod
    def parameter_count(self, shape: Shape) -> int:
        """Returns the number of weights and biases for an input of this shape."""


class ConvLayer(Layer):
    """A square convolution, a normalization if there is one, and the network's activation."""

    kind: Literal["conv"]
    channels: Size
    """Number of channels of the output."""
    kernel: Size = 3
    """The height and width of the kernel, in pixels."""
    stride: Size = 1
    """The distance that the kernel moves from one output to the next, in pixels."""
    padding: Literal["same"] | NonNegativeInt = "same"
    """The number of zeros on each side of the image; same means (kernel - 1) / 2."""
    norm: NormName | None = None
    """Whether the convolution, which then has no biases, is normalized over the batch or over the
    sample; null: not at all."""
    init: Init | None = None
    """How fresh weights of this layer are drawn; null: as the network's `init` says."""

    @property
    def words(self) -> str:
        """The layer in a word and its channels: "conv 32"."""
        return f"conv {self.channels}"

    @property
    def zeros(self) -> int:
        """The number of zeros on each side of the image."""
        return self.kernel // 2 if self.padding == "same" else self.padding

    def after(self, shape: Shape, number: int) -> Shape:
        """Returns the shape (channels, height, width) of the output for such an input.

        Raises InputError where the input is no image, the kernel is larger than it, or an even
        kernel cannot be padded alike on both sides.
        """
        sides = _sides(self, shape, number)
        if self.padding == "same" and self.kernel % 2 == 0:
            raise InputError(
                f"is {self.kernel}, but padding same needs an odd kernel; make it "
                f"{self.kernel + 1}, or give the padding as a number",
                key=f"{LAYERS}.{number - 1}.kernel",
            )
        padded = [side + 2 * self.zeros for side in sides]
        if self.kernel > min(padded):
            raise InputError(
                f"layer {number} has a kernel of {by((self.kernel,) * 2)}, but what is left is "
                f"{by(padded)} with its padding; give it a kernel of at most {min(padded)}, or "
                "padding: same",
                key=LAYERS,
            )
        return (self.channels, *((side - self.kernel) // self.stride + 1 for side in padded))

    def parameter_count(self, shape: Shape) -> int:
        """Returns the number of trained numbers for an input (channels, height, width).

        A normalization has two numbers a channel, in place of the biases.
        """
        return self.channels * (shape[0] * self.kernel**2 + (2 if self.norm else 1))


class PoolLayer(Layer):
    """A pooling over squares, side by side or overlapping."""

    kind: Literal["pool"]
    size: Size = 2
    """The height and width of a square, in pixels."""
    stride: Size | None = None
    """The distance from one square to the next, in pixels; null: the size."""
    ceil_mode: bool = False
    """Whether a last square that begins inside the image and reaches beyond it counts too; what is
    left over at the edge is dropped if not."""
    by: Literal["max", "average"] = "max"
    """The value that stands for a square."""

    @property
    def words(self) -> str:
        """The layer in a word: "pool"."""
        return "pool"

    def after(self, shape: Shape, number: int) -> Shape:
        """Returns the shape (channels, height, width) of the output for such an input.

        Raises InputError where the input is no image, or smaller than a square.
        """
        sides = _sides(self, shape, number)
        if self.size > min(sides):
            raise InputError(
                f"layer {number} pools {by((self.size,) * 2)}, but what is left is {by(sides)}; "
                f"give it a size of at most {min(sides)}, or take it out",
                key=LAYERS,
            )
        return (shape[0], *map(self._squares, sides))

    def _squares(self, side: int) -> int:
        """Returns the number of squares along a side, as torch counts them."""
        stride = self.stride or self.size
        whole = (side - self.size) // stride + 1
        some_left = (whole - 1) * stride + self.size < side and whole * stride < side
        return whole + (self.ceil_mode and some_left)

    def parameter_count(self, shape: Shape) -> int:
        """Returns 0: pooling has no weights."""
        return 0


class ResponseNormLayer(Layer):
    """A local response normalization: x / (k + alpha · mean of x² over channels nearby)^beta.

    Krizhevsky et al. 2012, section 3.3, with the keys of torch.nn.LocalResponseNorm.
    """

    kind: Literal["lrn"]
    size: Size = 5
    """The number of neighbouring channels over which the mean is taken."""
    alpha: PositiveFloat = 1e-4
    """The factor of that mean. Where alpha multiplies a sum instead, as in TensorFlow, it is alpha
    there times the size."""
    beta: PositiveFloat = 0.75
    """The exponent of the denominator."""
    k: PositiveFloat = 1.0
    """The number that is added to the mean."""

    @property
    def words(self) -> str:
        """The layer in a word: "lrn"."""
        return "lrn"

    def after(self, shape: Shape, number: int) -> Shape:
        """Returns the shape of its input. Raises InputError where that is no image."""
        _sides(self, shape, number)
        return shape

    def parameter_count(self, shape: Shape) -> int:
        """Returns 0: the normalization has no weights."""
        return 0


class DenseLayer(Layer):
    """A fully connected layer, followed by the network's activation."""

    kind: Literal["dense"]
    units: Size
    """Number of values of the output."""
    init: Init | None = None
    """How fresh weights of this layer are drawn; null: as the network's `init` says."""

    @property
    def words(self) -> str:
        """The layer in a word and its units: "dense 1024"."""
        return f"dense {self.units}"

    def after(self, shape: Shape, number: int) -> Shape:
        """Returns the shape (units,) of the output, for an input of any shape."""
        return (self.units,)

    def parameter_count(self, shape: Shape) -> int:
        """Returns the number of weights and biases for an input of this shape."""
        return self.units * (prod(shape) + 1)


CnnLayer = Annotated[
    ConvLayer | PoolLayer | ResponseNormLayer | DenseLayer, Field(discriminator="kind")
]


class CnnNetwork(NetworkKeys):
    """A convolutional network: the listed layers, then a linear layer to the outputs."""

    kind: Literal["cnn"]
    input: ImageShape
    """The shape of a sample: (channels, height, width)."""
    layers: Annotated[tuple[CnnLayer, ...], Field(min_length=1, max_length=MOST_LAYERS)]
    """The layers before the last one, dense ones after all others."""
    outputs: Size
    """Number of values that the network returns."""
    activation: ActivationName = "relu"
    """The function that each convolution and each dense layer applies to its values."""
    output_activation: Literal["identity", "softmax"] = "identity"
    """The function that the outputs pass through. With softmax they are probabilities, of which
    cross_entropy, which takes scores, takes the softmax once more."""
    init: Init = "torch"
    """How fresh weights are drawn where a layer does not say its own: as torch draws them, as He et
    al. do, which deep networks without a normalization need, or by a truncated normal
    distribution."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the values of each dense layer that steps of training drop at random, where
    their block does not say dropout: false. A loss that is judged drops none."""

    @property
    def takes(self) -> End:
        """The input end: the values of one image."""
        return image_end(self.input)

    @property
    def gives(self) -> End:
        """The output end, whose size is the key `outputs`."""
        return End(self.outputs, "outputs", f"is {self.outputs}")

    @property
    def drops(self) -> bool:
        """Whether the keys ask for values to be dropped at random in steps of training."""
        return self.dropout > 0

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases. Raises InputError where a layer does not fit."""
        *inputs, last = layer_inputs(self)
        hidden = (
            layer.parameter_count(shape) for layer, shape in zip(self.layers, inputs, strict=True)
        )
        return sum(hidden) + self.outputs * (prod(last) + 1)

    @property
    def words(self) -> str:
        """The layers, as in "1×28×28, 2× conv 32, pool, 10"."""
        alike = [(word, len(list(group))) for word, group in groupby(x.words for x in self.layers)]
        layers = [word if count == 1 else f"{count}× {word}" for word, count in alike]
        return ", ".join([by(self.input), *layers, str(self.outputs)])

    def check(self) -> None:
        """Raises InputError where a layer does not fit what the layers before it leave."""
        layer_inputs(self)

    def build(self) -> nn.Module:
        """Returns a module with fresh weights, drawn from torch's global generator.

        Raises InputError where a layer does not fit what the layers before it leave.
        """
        from engine.networks.modules.cnn import Cnn

        return Cnn(self)


def image_end(shape: tuple[int, int, int]) -> End:
    """Returns the end of a network that takes images (channels, height, width), key `input`."""
    return End(prod(shape), "input", f"is {list(shape)} = {prod(shape)} values")


def layer_inputs(network: CnnNetwork) -> list[Shape]:
    """Returns the shape that goes into each layer and, last, into the outputs' linear layer.

    Raises InputError where a layer does not fit.
    """
    shapes: list[Shape] = [network.input]
    for number, layer in enumerate(network.layers, 1):
        shapes.append(layer.after(shapes[-1], number))
    return shapes


def by(sizes: Iterable[int]) -> str:
    """Returns sizes as people write them: 1×28×28."""
    return "×".join(map(str, sizes))


def _sides(layer: Layer, shape: Shape, number: int) -> list[int]:
    """Returns height and width of an image. Raises InputError for the shape of anything else."""
    if len(shape) == 1:
        raise InputError(
            f"layer {number} is a {layer.kind}, but layer {number - 1} is dense; put all dense "
            "layers last",
            key=LAYERS,
        )
    return list(shape[1:])
