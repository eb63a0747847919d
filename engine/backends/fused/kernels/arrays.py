"""The numbers and arrays that compiled code works on.

Samples go through the whole network in blocks that stay in the cache, and the innermost loop is
always over the samples of a block. A row holds one unit's values over a block. Rows lie `STRIDE`
apart, a constant, so that the compiler sees that they do not overlap. Offsets are unsigned, because
numba checks whether a signed index is negative, which keeps loops from vectorising.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
"""An array of float32 or float64."""
Index = Any
"""A whole number of type uint64."""

#: The largest number of samples of a block: its rows fit the cache, and its loops are long.
BLOCK = 256
#: The sizes of blocks are multiples of this, so that no loop leaves a rest.
LANES = 16
#: The distance between rows. With a power of two, all rows would compete for the same places in the
#: cache.
ROW = BLOCK + LANES

STRIDE = np.uint64(ROW)
WIDTH = np.uint64(LANES)
BLOCK_SIZE = np.uint64(BLOCK)
ZERO, ONE, FOUR = np.uint64(0), np.uint64(1), np.uint64(4)

IDENTITY, RELU, SIGMOID, TANH = range(4)
SQUARED, ABSOLUTE, CROSS_ENTROPY = range(3)
SGD, RMSPROP, ADAM = range(3)
GOING, REACHED, OUT_OF_STEPS, STUCK, DIVERGED = range(5)
ACTIVATIONS = {"identity": IDENTITY, "relu": RELU, "sigmoid": SIGMOID, "tanh": TANH}
LOSSES = {"mse": SQUARED, "l1": ABSOLUTE, "cross_entropy": CROSS_ENTROPY}


class Net(NamedTuple):
    """A fully connected network and its loss, in numbers."""

    sizes: NDArray[np.uint64]
    """The widths of the input, of each hidden layer, and of the output."""
    biases: Index
    """1 with biases, 0 without."""
    activation: int
    output_activation: int
    loss: int


class Blocks(NamedTuple):
    """Samples cut into blocks. Places after the last sample repeat it."""

    x: Floats  # (block, feature · ROW)
    y: Floats  # (block, target · ROW)
    size: Index
    """The number of samples of every block but the last."""
    samples: Index
    """The number of samples of all blocks."""


class Table(NamedTuple):
    """Samples one by one, to draw mini-batches from."""

    x: Floats  # (sample, feature)
    y: Floats  # (sample, target)


class Scratch(NamedTuple):
    """The arrays in which one call computes."""

    x: Floats  # (feature · ROW,) a block of a mini-batch
    y: Floats  # (target · ROW,) its targets
    values: Floats  # (unit · ROW,) the outputs of all layers
    deltas: Floats  # (unit · ROW,) derivatives of the loss by a layer's values before activation
    top: Floats  # (ROW,) the largest output, for cross-entropy
    whole: Floats  # (ROW,) the sum of exponentials, for cross-entropy
    losses: Floats  # (ROW,) the loss of each sample
    total: NDArray[np.float64]  # (param,) the sum of gradients
    grad: Floats  # (param,) the mean gradient
    theta: Floats  # (param,) interpolated weights


class Rule(NamedTuple):
    """The steps of a training block, in numbers."""

    kind: int
    lr: float
    rates: NDArray[np.float64]  # (bead, step) scheduled learning rates; (0, 0) where lr is for all
    clip_value: float
    """The greatest absolute value of an entry of the gradient; infinite for no bound."""
    clip_norm: float
    """The greatest norm of the gradient; infinite for no bound."""
    norm_eps: float
    """What is added to the gradient's norm before that is divided by it."""
    weight_decay: float
    decays: Floats  # (param,) 1 for weights that decay, 0 for the others; (0,) where all do
    apart: int
    """1 where weights decay apart from the gradient."""
    momentum: float
    nesterov: int
    """1 where the momentum is Nesterov's."""
    decay: float
    """The share that the mean of squares keeps in a step."""
    first: float
    """The share that Adam's mean of gradients keeps in a step."""
    eps: float


class Budget(NamedTuple):
    """The numbers of steps of a round and of a row, and what counts as progress."""

    check_every: int
    max_steps: int
    improvement: float
    """A loss counts as lower when it is lower by this share."""
    checks: int
    """The most evaluations of a row in a round, where steps do not see the loss on all samples."""
    parts: int
    """The number of parts of a row's patience. A round of a row ends when it has waited a further
    part for a lower loss, since its mini-batch doubles then; 0 where mini-batches do not grow."""


class Drawn(NamedTuple):
    """The sample numbers of the steps of a round, as places in one list."""

    numbers: NDArray[np.int64]
    """A step's numbers follow each other."""
    starts: NDArray[np.int64]
    """(bead,) The place at which each row's first step begins."""
    size: int
    """The number of samples of a step; 0 where steps see all of them."""
    period: int
    """The number of places at which a step may begin; after the last one comes place 0 again."""


class Rows(NamedTuple):
    """Beads in training, as in `engine.steps.rows.Rows`. All arrays are updated in place."""

    theta: Floats  # (bead, param)
    slow: Floats  # (bead, param) momentum, or Adam's mean
    square: Floats  # (bead, param) the mean of squares
    target: Floats  # (bead,)
    patience: NDArray[np.int64]  # (bead,)
    steps: NDArray[np.int64]  # (bead,)
    loss: Floats  # (bead,)
    best: Floats  # (bead,)
    best_step: NDArray[np.int64]  # (bead,)
    end: NDArray[np.int8]  # (bead,) an `End` for each


class Tie(NamedTuple):
    """The tethers of a string, in numbers."""

    hard: int
    """1 where inner beads keep to the hyperplane equidistant from their neighbours."""
    kappa: float
    """Loss per unit of distance from that hyperplane."""
    zeta: float
    """Loss per unit of distance between neighbours."""


class Work(NamedTuple):
    """The arrays in which a round of one string computes."""

    before: Floats  # (bead, param) the weights that a step starts from
    grads: Floats  # (bead, param)
    arc: NDArray[np.float64]  # (bead,) length of the string up to a bead
    slot: NDArray[np.bool_]  # (bead,) those that go at the beginning of the round
    moved: NDArray[np.bool_]  # (bead,) those that take this step, or that respacing moved


def net(
    sizes: Sequence[int], bias: bool, activation: str, output_activation: str, loss: str
) -> Net:
    """Returns a network and its loss, which are given by their names, in numbers."""
    return Net(
        np.array(sizes, np.uint64),
        np.uint64(bias),
        ACTIVATIONS[activation],
        ACTIVATIONS[output_activation],
        LOSSES[loss],
    )


def cut(table: Table) -> Blocks:
    """Returns samples cut into blocks that are as even as possible."""
    samples = len(table.x)
    count = -(-samples // BLOCK)
    size = -(-samples // (count * LANES)) * LANES
    order = np.minimum(np.arange(count * size), samples - 1).reshape(count, size)

    def blocks(rows: Floats) -> Floats:
        columns = rows.shape[1]
        cut = np.zeros((count, columns, ROW), rows.dtype)
        for block, numbers in zip(cut, order, strict=True):
            block[:, :size] = rows[numbers].T
        return cut.reshape(count, columns * ROW)

    return Blocks(blocks(table.x), blocks(table.y), np.uint64(size), np.uint64(samples))


def room(net: Net, table: Table, theta: Floats) -> Scratch:
    """Returns new arrays for one call. Calls come from several threads, so they share none."""
    sizes = net.sizes.tolist()

    def rows(count: int) -> Floats:
        return np.empty(count * ROW, theta.dtype)

    return Scratch(
        x=rows(table.x.shape[1]),
        y=rows(table.y.shape[1]),
        values=rows(sum(sizes[1:])),
        deltas=rows(2 * max(sizes[1:])),
        top=rows(1),
        whole=rows(1),
        losses=rows(1),
        total=np.empty(theta.shape[1]),
        grad=np.empty(theta.shape[1], theta.dtype),
        theta=np.empty(theta.shape[1], theta.dtype),
    )
