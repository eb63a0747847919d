"""Sizes of networks, layer by layer, from their specs. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import prod

from engine.errors import InputError
from engine.spec.keys import (
    CnnLayer,
    CnnNetwork,
    ConvLayer,
    CustomNetwork,
    DenseLayer,
    LinearNetwork,
    LstmNetwork,
    MlpNetwork,
    Network,
    PoolLayer,
    ResNetwork,
)

LAYERS = "problem.network.layers"
Shape = tuple[int, ...]
"""Of one sample: (channels, height, width), or (units,)."""


def check_network(network: Network) -> None:
    """Raises InputError where a layer does not fit what the layers before it leave."""
    if isinstance(network, CnnNetwork):
        layer_inputs(network)


def input_size(network: Network) -> int | None:
    """Features that a sample must have; None where that is not a number of values."""
    match network:
        case LinearNetwork() | MlpNetwork():
            return network.sizes[0]
        case CnnNetwork() | ResNetwork():
            return prod(network.input)
        case LstmNetwork() | CustomNetwork():
            return None


def output_size(network: Network) -> int | None:
    """Outputs of a sample, of a token for lstm; None where only the module knows."""
    match network:
        case LinearNetwork() | MlpNetwork():
            return network.sizes[-1]
        case CnnNetwork() | ResNetwork():
            return network.outputs
        case LstmNetwork():
            return network.vocabulary
        case CustomNetwork():
            return None


def parameter_count(network: Network) -> int | None:
    """Trained numbers; None where only the module knows. Raises as `layer_inputs`."""
    match network:
        case LinearNetwork():
            return sum(i * o for i, o in pairwise(network.sizes))
        case MlpNetwork():
            return sum(o * (i + network.bias) for i, o in pairwise(network.sizes))
        case CnnNetwork():
            *inputs, last = layer_inputs(network)
            hidden = map(_layer_count, network.layers, inputs)
            return sum(hidden) + network.outputs * (prod(last) + 1)
        case ResNetwork():
            return _resnet_count(network)
        case LstmNetwork():
            return _lstm_count(network)
        case CustomNetwork():
            return None


def describe_sizes(network: Network) -> str:
    """64-32-10, or 1×28×28, conv 32, pool, 10, or lstm 64-128, vocabulary 5 000."""
    match network:
        case LinearNetwork() | MlpNetwork():
            return "-".join(map(str, network.sizes))
        case CnnNetwork():
            layers = [_described(layer) for layer in network.layers]
            return ", ".join([by(network.input), *layers, str(network.outputs)])
        case ResNetwork():
            blocks = "1 block" if network.blocks == 1 else f"{network.blocks} blocks"
            return f"resnet {'-'.join(map(str, network.widths))}, {blocks} each"
        case LstmNetwork():
            widths = [network.embedding, *[network.hidden] * network.layers]
            vocabulary = f"{network.vocabulary:,}".replace(",", " ")
            return f"lstm {'-'.join(map(str, widths))}, vocabulary {vocabulary}"
        case CustomNetwork():
            return network.factory


def by(sizes: Iterable[int]) -> str:
    """1×28×28."""
    return "×".join(map(str, sizes))


# ---------------------------------------------------------------- deep linear networks


def check_linear_sizes(sizes: Sequence[int]) -> None:
    """Raises InputError where a hidden layer is too narrow for the construction."""
    narrow = min(sizes[0], sizes[-1])
    for width in sizes[1:-1]:
        if width < narrow:
            raise InputError(
                f"has a hidden width of {width}, but method linear needs every hidden layer to be "
                f"at least as wide as the smaller of input and output; make it {narrow} or more, "
                "or choose search.method: greedy",
                key="problem.network.sizes",
            )


# ---------------------------------------------------------------- cnn


def layer_inputs(network: CnnNetwork) -> list[Shape]:
    """What goes into each layer and, last, what goes into the outputs' linear layer.

    Raises InputError where a layer does not fit.
    """
    shapes: list[Shape] = [network.input]
    for number, layer in enumerate(network.layers, 1):
        shapes.append(_output(layer, shapes[-1], number))
    return shapes


def padding_of(layer: ConvLayer) -> int:
    """Zeros on each side."""
    return layer.kernel // 2 if layer.padding == "same" else layer.padding


def _output(layer: CnnLayer, shape: Shape, number: int) -> Shape:
    """What a layer, counted from 1, makes of a shape."""
    if isinstance(layer, DenseLayer):
        return (layer.units,)
    if len(shape) == 1:
        raise InputError(
            f"layer {number} is a {layer.kind}, but layer {number - 1} is dense; put all dense "
            "layers last",
            key=LAYERS,
        )
    channels, *sides = shape
    if isinstance(layer, PoolLayer):
        if layer.size > min(sides):
            raise InputError(
                f"layer {number} pools {by((layer.size,) * 2)}, but what is left is {by(sides)}; "
                f"give it a size of at most {min(sides)}, or take it out",
                key=LAYERS,
            )
        return (channels, *(side // layer.size for side in sides))
    return (layer.channels, *_convolved(layer, sides, number))


def _convolved(layer: ConvLayer, sides: list[int], number: int) -> list[int]:
    if layer.padding == "same" and layer.kernel % 2 == 0:
        raise InputError(
            f"is {layer.kernel}, but padding same needs an odd kernel; make it "
            f"{layer.kernel + 1}, or give the padding as a number",
            key=f"{LAYERS}.{number - 1}.kernel",
        )
    padded = [side + 2 * padding_of(layer) for side in sides]
    if layer.kernel > min(padded):
        raise InputError(
            f"layer {number} has a kernel of {by((layer.kernel,) * 2)}, but what is left is "
            f"{by(padded)} with its padding; give it a kernel of at most {min(padded)}, or "
            "padding: same",
            key=LAYERS,
        )
    return [(side - layer.kernel) // layer.stride + 1 for side in padded]


def _layer_count(layer: CnnLayer, shape: Shape) -> int:
    """Weights and biases of a layer, of what goes into it."""
    match layer:
        case ConvLayer():
            return layer.channels * (shape[0] * layer.kernel**2 + 1)
        case PoolLayer():
            return 0
        case DenseLayer():
            return layer.units * (prod(shape) + 1)


def _described(layer: CnnLayer) -> str:
    match layer:
        case ConvLayer():
            return f"conv {layer.channels}"
        case PoolLayer():
            return "pool"
        case DenseLayer():
            return f"dense {layer.units}"


# ---------------------------------------------------------------- resnet, lstm


def residual_blocks(network: ResNetwork) -> Iterator[tuple[int, int, int]]:
    """Channels into a block, channels out of it, and the stride of its first convolution."""
    channels = network.widths[0]
    for stage, width in enumerate(network.widths):
        for block in range(network.blocks):
            yield channels, width, 2 if stage > 0 and block == 0 else 1
            channels = width


def _resnet_count(network: ResNetwork) -> int:
    """No biases of convolutions, but two numbers a channel of the normalization after each."""
    first, last = network.widths[0], network.widths[-1]
    count = 9 * network.input[0] * first + 2 * first
    for i, o, stride in residual_blocks(network):
        count += 9 * (i + o) * o + 4 * o
        if (i, stride) != (o, 1):
            count += i * o + 2 * o
    return count + network.outputs * (last + 1)


def _lstm_count(network: LstmNetwork) -> int:
    """Four gates, each with two weight matrices and, as in torch, two biases."""
    hidden, vocabulary = network.hidden, network.vocabulary
    inputs = [network.embedding, hidden][: network.layers]
    gates = sum(4 * hidden * (i + hidden + 2) for i in inputs)
    return vocabulary * network.embedding + gates + vocabulary * (hidden + 1)
