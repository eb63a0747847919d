"""The bound of a whole fully connected network in compiled code. This module needs numba.

It does what `dense`, `piecewise_linear`, `sigmoid` and `losses` do, one block of samples after
another through all layers. Its sums run in another order than those of the tensors' code, so that
the two bounds differ by roundings, which docs/proof.md counts for sums in any order. What a block
adds to a cell depends neither on other cells nor on other samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.path.certificate import scalar
from engine.path.certificate.chord import EPSILON, SKEW, TINY
from engine.path.certificate.compiled_forms import (
    Forms,
    carried,
    factors_against,
    gathered,
    rectified,
    room_for_forms,
    without_unknowns,
)
from engine.path.certificate.compiled_losses import SUMS, distances, entropies, errors, squares
from engine.path.certificate.jit import Floats, entry, part
from engine.path.certificate.scalar import larger, smaller

Whole = NDArray[np.int64]

#: Numbers of the activations and of the measures.
ACTIVATIONS = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}
MEASURES = {"mse": 0, "l1": 1, "cross_entropy": 2, "error_rate": 3}
#: Samples that go through the network together at most.
BLOCK = 128
#: Numbers between the values of one block and the next, so that a sample's values do not share the
#: few places of a core's cache that addresses of the same remainder have.
APART = 8


class Network(NamedTuple):
    """A fully connected network in numbers."""

    widths: Whole
    """(layer+1,) The number of values that go into each layer, and of the outputs."""
    weights: Whole
    """(layer,) Where the weights of each layer begin in a weight vector."""
    biases: Whole
    """(layer,) Where its biases begin, or -1 where it has none."""
    activations: Whole
    """(layer,) A number of `ACTIVATIONS` for what follows it."""
    measure: int
    """A number of `MEASURES`."""


class Data(NamedTuple):
    """The samples, in blocks."""

    x: Floats
    """(feature, sample)"""
    y: Floats
    """(output, sample) What outputs are compared with; without entries where labels are."""
    labels: Whole
    """(block,) The label of a block's samples; 0 where outputs are compared with y."""
    blocks: Whole
    """(block, 2) The first sample of each, and the one after its last."""


class Room(NamedTuple):
    """Arrays in which a block of samples is computed."""

    models: Floats
    """(5, value, sample) The parts of the models: start, end, bow, low, high."""
    parts: Floats
    """(6, value, sample) What is multiplied by the rows of the weights."""
    products: Floats
    """(6, value, sample) What comes out."""
    sizes: Floats
    """(2, sample) Each sample's size of the inputs of a layer, and room to compute it."""
    forms: Forms
    """The remainders as linear forms in what rectifiers lost."""


# The rows of a cell's weights (6, param), each of which one part of the inputs is multiplied by:
# start by W₀, end by W₁, bow by W_m, end − start by D, the rest of the remainder by |W_m|, and
# SKEW·|bow| with half of the whole remainder by |D|. Factors of linear remainders are by W_m.
PRODUCTS = 6


@entry
def sums(
    network: Network,
    data: Data,
    left: Floats,
    right: Floats,
    u: Floats,
    v: Floats,
) -> Floats:
    """Returns the sums (cell, SUMS) over samples on cells [u, v] of a segment."""
    found = np.zeros((len(u), SUMS))
    room, mass = room_for(network.widths), np.empty(len(left))
    for k in range(len(left)):
        mass[k] = abs(left[k]) + abs(right[k])
    for cell in range(len(u)):
        weights = over(left, right, u[cell], v[cell])
        for block in range(len(data.blocks)):
            of_block(network, data, block, weights, mass, room, found[cell])
    return found


@part
def room_for(widths: Whole) -> Room:
    """Returns new arrays for layers of these widths."""
    widest = 0
    for width in widths:
        widest = max(widest, width)
    return Room(
        np.empty((5, widest, BLOCK + APART)),
        np.empty((PRODUCTS, widest, BLOCK + APART)),
        np.empty((PRODUCTS, widest, BLOCK + APART)),
        np.empty((2, BLOCK + APART)),
        room_for_forms(widest, BLOCK + APART),
    )


@part
def of_block(
    network: Network,
    data: Data,
    block: int,
    weights: Floats,
    mass: Floats,
    room: Room,
    found: Floats,
) -> None:
    """Adds the sums over the samples of a block to those of a cell."""
    first, count = data.blocks[block, 0], data.blocks[block, 1] - data.blocks[block, 0]
    label = data.labels[block]
    for i in range(network.widths[0]):
        for s in range(count):
            room.models[0, i, s] = data.x[i, first + s]
    for number in range(len(network.weights)):
        layer(network, number, weights, mass, label, room, count, number == 0)
    x, y = room.models[:, : network.widths[-1]], data.y[:, first : first + count]
    if network.measure == 0:
        squares(x, y, found)
    elif network.measure == 1:
        distances(x, y, found)
    elif network.measure == 2:
        entropies(x, room.products, count, found)
    else:
        errors(x, label, count, found)


@part
def over(left: Floats, right: Floats, u: float, v: float) -> Floats:
    """Returns the weights (6, param) over a cell [u, v] of a segment between weight vectors."""
    made = np.empty((PRODUCTS, len(left)))
    for k in range(len(left)):
        start, end = (1 - u) * left[k] + u * right[k], (1 - v) * left[k] + v * right[k]
        rows(made, k, start, end, (start + end) / 2, end - start)
    return made


@part
def rows(made: Floats, k: int, start: float, end: float, middle: float, change: float) -> None:
    """Writes the rows of one weight."""
    made[0, k], made[1, k], made[2, k], made[3, k] = start, end, middle, change
    made[4, k], made[5, k] = abs(middle), abs(change)


@part
def layer(
    network: Network,
    number: int,
    weights: Floats,
    mass: Floats,
    label: int,
    room: Room,
    count: int,
    exact: bool,
) -> None:
    """Puts the models of a layer's outputs, or of its margins, in place of those of its inputs.

    `mass` (param,) is |A| + |B|, A and B the weights at the segment's ends. Margins, the outputs
    less that of the label, are what the last layer gives where the measure needs them. Of inputs
    that are `exact`, such as data, only the first of the models is read.
    """
    at, bias = network.weights[number], network.biases[number]
    inputs, outputs = network.widths[number], network.widths[number + 1]
    margins = network.measure >= 2 and number == len(network.weights) - 1
    used = weights[:, at : at + inputs * outputs]
    if margins and not exact:
        used = differences(used, inputs, label)
    values(used, inputs, outputs, room, exact, count)
    heaviest, heaviest_bias = 0.0, 0.0
    for o in range(outputs):
        of_weights, of_bias = 0.0, 0.0
        for k in range(at + o * inputs, at + (o + 1) * inputs):
            of_weights += mass[k]
        if bias >= 0:
            of_bias = mass[bias + o]
            for s in range(count):
                room.models[0, o, s] += weights[0, bias + o]
                room.models[1, o, s] += weights[1, bias + o]
        heaviest, heaviest_bias = larger(heaviest, of_weights), larger(heaviest_bias, of_bias)
        if not margins:
            rounded(room, o, of_weights, of_bias, inputs, count)
    if margins:
        against(room.models, outputs, label, room.products[0, 0], count)
        factors_against(room.forms, outputs, label, count)
        for o in range(outputs):
            if o != label:
                rounded(room, o, 2 * heaviest, 2 * heaviest_bias, inputs, count)
    gathered(room.forms, room.models, outputs, count)
    activate(network.activations[number], room, outputs, count)


@part
def differences(weights: Floats, inputs: int, label: int) -> Floats:
    """Returns a last layer's weights (6, weight) with remainders multiplied by W_k − W_label.

    Differences come before absolute values, so that what all classes have in common cancels.
    """
    made, own = np.empty(weights.shape), label * inputs
    for k in range(weights.shape[1]):
        other = own + k % inputs
        middle, change = weights[2, k] - weights[2, other], weights[3, k] - weights[3, other]
        rows(made, k, weights[0, k], weights[1, k], middle, change)
        made[2, k], made[3, k] = weights[2, k], weights[3, k]
    return made


@part
def values(weights: Floats, inputs: int, outputs: int, room: Room, exact: bool, count: int) -> None:
    """Puts the models of W·x (output, sample), rounding aside, in place of those of x.

    Each sample's sum of the largest absolute values of its parts, which `chord.largest` returns,
    goes to `room.sizes`. Of inputs that are `exact`, only the first of the models is read.
    """
    x, made = room.models, room.products
    if exact:
        without_unknowns(room.forms, x, 0, count)
    largest(x, inputs, exact, room.sizes, count)
    spread(room, inputs, exact, count)
    carried(room.forms, x, weights[2], inputs, outputs, count)
    for p in range(2 if exact else PRODUCTS):
        for o in range(outputs):
            of_output = weights[p, o * inputs : (o + 1) * inputs]
            product(of_output, room.parts[p], made[p, o], count)
    for o in range(outputs):
        for s in range(count):
            x[0, o, s], x[1, o, s] = made[0, o, s], made[1, o, s]
            if exact:
                x[2, o, s], x[3, o, s], x[4, o, s] = 0.0, 0.0, 0.0
            else:
                x[2, o, s] = made[2, o, s] - made[3, o, s]
                radius = made[4, o, s] + made[5, o, s]
                x[3, o, s], x[4, o, s] = -radius, radius


@part
def spread(room: Room, inputs: int, exact: bool, count: int) -> None:
    """Writes what the rows of the weights multiply into the parts; two of them for exact inputs."""
    x, parts, rest = room.models, room.parts, room.forms.rest
    for i in range(inputs):
        for s in range(count):
            parts[0, i, s] = x[0, i, s]
            parts[1, i, s] = x[0, i, s] if exact else x[1, i, s]
    if exact:
        return
    for i in range(inputs):
        for s in range(count):
            parts[2, i, s] = x[2, i, s]
            parts[3, i, s] = x[1, i, s] - x[0, i, s]
            parts[4, i, s] = rest[i, s]
            parts[5, i, s] = SKEW * abs(x[2, i, s]) + larger(x[4, i, s], -x[3, i, s]) / 2


@part
def product(weights: Floats, x: Floats, made: Floats, count: int) -> None:
    """Writes the sum of weights (input,) times x (input, sample) into made (sample,)."""
    for s in range(count):
        made[s] = 0.0
    inputs = len(weights)
    many = inputs - inputs % 4
    for i in range(0, many, 4):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        xa, xb, xc, xd = x[i], x[i + 1], x[i + 2], x[i + 3]
        for s in range(count):
            made[s] = made[s] + a * xa[s] + b * xb[s] + c * xc[s] + d * xd[s]
    for i in range(many, inputs):
        a, xa = weights[i], x[i]
        for s in range(count):
            made[s] += a * xa[s]


@part
def largest(x: Floats, inputs: int, exact: bool, made: Floats, count: int) -> None:
    """Writes each sample's sum of the largest absolute values of the parts into made[0].

    made[1] is overwritten. The end of exact numbers is their start.
    """
    total, most = made[0], made[1]
    for s in range(count):
        total[s] = 0.0
    for p in range(1 if exact else 5):
        for s in range(count):
            most[s] = 0.0
        for i in range(inputs):
            row = x[p, i]
            for s in range(count):
                most[s] = larger(most[s], abs(row[s]))
        for s in range(count):
            total[s] += 2 * most[s] if exact else most[s]


@part
def rounded(room: Room, o: int, mass: float, bias_mass: float, inputs: int, count: int) -> None:
    """Widens the remainders of an output by its layer's rounding errors (`affine.rounding`)."""
    terms = 4 * (inputs + 10) * EPSILON
    low, high = room.models[3, o], room.models[4, o]
    for s in range(count):
        slack = terms * (room.sizes[0, s] * mass + bias_mass) + TINY
        low[s] = smaller(low[s] - slack, 0.0)
        high[s] = larger(high[s] + slack, 0.0)


@part
def against(x: Floats, classes: int, label: int, own: Floats, count: int) -> None:
    """Takes the label's start, end and bow from those of all classes; `own` is overwritten.

    The label's own margin is exactly 0.
    """
    for p in range(3):
        for s in range(count):
            own[s] = x[p, label, s]
        for o in range(classes):
            for s in range(count):
                x[p, o, s] -= own[s]
    for s in range(count):
        x[3, label, s], x[4, label, s] = 0.0, 0.0


@part
def activate(kind: int, room: Room, width: int, count: int) -> None:
    """Puts the models of an activation of x in place of those of x."""
    x = room.models
    if kind == 1:
        rectified(room.forms, x, width, count)
    elif kind > 1:
        for i in range(width):
            curved(x, i, 1.0 if kind == 2 else 2.0, count)
        without_unknowns(room.forms, x, width, count)


@part
def curved(x: Floats, i: int, scale: float, count: int) -> None:
    """Puts the models of scale·σ(scale·x) − (scale − 1) in place of those of the value i of x.

    With a scale of 1 it is the sigmoid, with 2 the hyperbolic tangent.
    """
    starts, ends, bows, lows, highs = x[0, i], x[1, i], x[2, i], x[3, i], x[4, i]
    shift = scale - 1
    for s in range(count):
        start, end, bow = scale * starts[s], scale * ends[s], scale * bows[s]
        low, high = scale * lows[s], scale * highs[s]
        start, end, bow, low, high = scalar.sigmoid(start, end, bow, low, high)
        starts[s], ends[s], bows[s] = scale * start - shift, scale * end - shift, scale * bow
        lows[s], highs[s] = scale * low, scale * high
