"""Compiled networks, losses and optimizers, in loops that vectorise. This module needs numba.

Samples go through the whole network in blocks that stay in the cache, and the innermost loop is
always over the samples of a block. A row holds one unit's values over a block. Rows lie `STRIDE`
apart, a constant, so that the compiler sees that they do not overlap. Offsets are unsigned, because
numba checks whether a signed index is negative, which keeps loops from vectorising.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from engine.backends.fused.disk_cache import DiskCache

Function = TypeVar("Function", bound=Callable[..., Any])
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

#: Rounding in which a product and the sum it enters round once. No sum has two products, so that
#: the compiler has no choice.
MULTIPLY_ADD = frozenset({"contract"})
#: Rounding in which sums may also be reordered. Numbers that are not finite stay what they are.
SUMS = frozenset({"contract", "reassoc", "nsz"})
#: Rounding of each operation by itself, in the order written.
STRICT: frozenset[str] = frozenset()


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
    """An optimizer, in numbers."""

    kind: int
    lr: float
    momentum: float
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


def compiled(
    rounding: frozenset[str] = MULTIPLY_ADD, *, inline: bool = False, entry: bool = False
) -> Callable[[Function], Function]:
    """Returns a decorator that compiles a function with these rules of rounding.

    An `entry` can be called from Python and is kept on the disk. A function that sums with SUMS
    must be `inline`, and so must its callers up to an entry. A function that is not inlined is
    optimised anew in each entry. The session that compiles then runs one of the copies, a session
    that loads from the disk another, and they may sum in different orders.
    """
    how: dict[str, Any] = {
        "nogil": True,
        "fastmath": set(rounding),
        "error_model": "numpy",
        "forceinline": inline,
        "no_cfunc_wrapper": True,
        "no_cpython_wrapper": not entry,
    }

    def decorate(function: Function) -> Function:
        made = numba.njit(**how)(function)
        if entry:
            made._cache = DiskCache(function.__name__)  # numba has no other way to choose its own
        return cast(Function, made)

    return decorate


def inlined(function: Function) -> Function:
    """Compiles a function that is written out where it is called, under the caller's rules."""
    return cast(Function, numba.njit(inline="always")(function))


# ---------------------------------------------------------------- exp and log that vectorise

LN2 = math.log(2)
#: What LN2 lacks.
LN2_REST = 2.3190468138462996e-17


def exp(x: Any) -> Any:
    """Returns e^x in compiled code, with inf, 0 and NaN where they belong."""


def expm1(x: Any) -> Any:
    """Returns e^x − 1 for x ≤ 0 in compiled code."""


def log(x: Any) -> Any:
    """Returns ln x for x ≥ 1 in compiled code; NaN where x is not finite."""


def _exponentials(real: Any, integer: Any, bits: int, bias: int, coarse: float) -> Any:
    """Returns exp and expm1 for a type of number.

    Its fraction has `bits` bits and its exponent counts from -`bias`. They compute e^x = 2^n e^r.
    `coarse` is nearly ln 2, and so short that its product with n is exact.
    """
    inverse, fine, coarse = real(1 / LN2), real(LN2 - coarse + LN2_REST), real(coarse)
    # Adding this and taking it away rounds to a whole number, which is then in the lowest bits.
    shift = real(1.5 * 2.0**bits)
    origin, bias, bits, half = shift.view(integer), integer(bias), integer(bits), integer(1)
    highest, lowest, negligible = real(bias), -real(bias + bits), -real(60)
    one = real(1)
    series = _series32 if real is np.float32 else _series64

    def exp_of(x: Any) -> Any:
        x = highest if x > highest else x
        x = lowest if x < lowest else x
        shifted = x * inverse + shift
        n = shifted - shift
        r = (x - n * coarse) - n * fine
        power = integer(real(shifted).view(integer) - origin)
        part = integer(power >> half)  # 2^n as two factors: it may be too large or small for one
        first = integer(integer(part + bias) << bits).view(real)
        second = integer(integer(power - part + bias) << bits).view(real)
        return (one + (r + r * r * series(r))) * first * second

    def expm1_of(x: Any) -> Any:
        x = negligible if x < negligible else x
        shifted = x * inverse + shift
        n = shifted - shift
        r = (x - n * coarse) - n * fine
        power = integer(real(shifted).view(integer) - origin)
        scale = integer(integer(power + bias) << bits).view(real)
        return (r + r * r * series(r)) * scale + (scale - one)

    return exp_of, expm1_of


@inlined
def _series32(r: Any) -> Any:
    """Returns (e^r − 1 − r) / r² for |r| ≤ ln 2 / 2 in float32, by Taylor's series."""
    f = np.float32
    p = f(1 / 5040) * r + f(1 / 720)
    p = p * r + f(1 / 120)
    p = p * r + f(1 / 24)
    p = p * r + f(1 / 6)
    return p * r + f(1 / 2)


@inlined
def _series64(r: Any) -> Any:
    """Returns (e^r − 1 − r) / r² for |r| ≤ ln 2 / 2 in float64, by Taylor's series."""
    p = 1 / 6227020800 * r + 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    return p * r + 1 / 2


def _logarithm(real: Any, integer: Any, bits: int) -> Any:
    """Returns log for a type of number.

    It writes x = 2^n m with m near 1, and takes the series of artanh((m − 1) / (m + 1)).
    """
    origin, bits = real(math.sqrt(0.5)).view(integer), integer(bits)
    ln2, one, two = real(LN2), real(1), real(2)
    series = _log_series32 if real is np.float32 else _log_series64

    def log_of(x: Any) -> Any:
        pattern = real(x).view(integer)
        n = integer(integer(pattern - origin) >> bits)
        m = integer(pattern - integer(n << bits)).view(real)
        f = (m - one) / (m + one)
        return real(n) * ln2 + two * f * series(f * f) + (x - x)  # nan where x is not finite

    return log_of


@inlined
def _log_series32(q: Any) -> Any:
    """Returns artanh(f) / f for q = f² ≤ 0.03 in float32."""
    f = np.float32
    p = f(1 / 9) * q + f(1 / 7)
    p = p * q + f(1 / 5)
    p = p * q + f(1 / 3)
    return p * q + f(1)


@inlined
def _log_series64(q: Any) -> Any:
    """Returns artanh(f) / f for q = f² ≤ 0.03 in float64."""
    p = 1 / 21 * q + 1 / 19
    p = p * q + 1 / 17
    p = p * q + 1 / 15
    p = p * q + 1 / 13
    p = p * q + 1 / 11
    p = p * q + 1 / 9
    p = p * q + 1 / 7
    p = p * q + 1 / 5
    p = p * q + 1 / 3
    return p * q + 1.0


_EXP32 = _exponentials(np.float32, np.int32, 23, 127, 355 / 512)
_EXP64 = _exponentials(np.float64, np.int64, 52, 1023, int(LN2 * 2**32) / 2**32)
_LOG32 = _logarithm(np.float32, np.int32, 23)
_LOG64 = _logarithm(np.float64, np.int64, 52)


def _by_type(name: Any, rounding: frozenset[str], of_float: Any, of_double: Any) -> None:
    """Makes compiled code that calls `name` take the function for its type of number."""

    def choose(x: Any) -> Any:
        return of_float if x == types.float32 else of_double

    overload(name, jit_options={"fastmath": set(rounding), "error_model": "numpy"})(choose)


_by_type(exp, MULTIPLY_ADD, _EXP32[0], _EXP64[0])
_by_type(expm1, MULTIPLY_ADD, _EXP32[1], _EXP64[1])
_by_type(log, STRICT, _LOG32, _LOG64)


# ---------------------------------------------------------------- products, four by four


@compiled()
def _add_product(
    out: Floats,
    out_at: Index,
    x: Floats,
    x_at: Index,
    w: Floats,
    w_at: Index,
    across: Index,
    down: Index,
    rows: Index,
    columns: Index,
    n: Index,
) -> None:
    """Adds W · x to out, row by row.

    Row o of out begins at out_at + o · STRIDE, row i of x at x_at + i · STRIDE. The element (o, i)
    of W is w[w_at + o · across + i · down].
    """
    o_end, i_end = rows - rows % FOUR, columns - columns % FOUR
    for o in range(ZERO, o_end, FOUR):
        o_at, start = out_at + o * STRIDE, w_at + o * across
        for i in range(ZERO, i_end, FOUR):
            _add_4x4(out, o_at, x, x_at + i * STRIDE, w, start + i * down, across, down, n)
        for i in range(i_end, columns):
            _add_4x1(out, o_at, x, x_at + i * STRIDE, w, start + i * down, across, n)
    for o in range(o_end, rows):
        o_at, start = out_at + o * STRIDE, w_at + o * across
        for i in range(ZERO, i_end, FOUR):
            _add_1x4(out, o_at, x, x_at + i * STRIDE, w, start + i * down, down, n)
        for i in range(i_end, columns):
            _add_1x1(out, o_at, x, x_at + i * STRIDE, w, start + i * down, n)


@compiled()
def _add_4x4(
    out: Floats,
    o0: Index,
    x: Floats,
    i0: Index,
    w: Floats,
    at: Index,
    across: Index,
    down: Index,
    n: Index,
) -> None:
    """Adds the products of four rows of x to four rows of out."""
    o1, o2, o3 = o0 + STRIDE, o0 + STRIDE + STRIDE, o0 + STRIDE + STRIDE + STRIDE
    i1, i2, i3 = i0 + STRIDE, i0 + STRIDE + STRIDE, i0 + STRIDE + STRIDE + STRIDE
    d1, d2, d3 = down, down + down, down + down + down
    w00, w01, w02, w03 = w[at], w[at + d1], w[at + d2], w[at + d3]
    at += across
    w10, w11, w12, w13 = w[at], w[at + d1], w[at + d2], w[at + d3]
    at += across
    w20, w21, w22, w23 = w[at], w[at + d1], w[at + d2], w[at + d3]
    at += across
    w30, w31, w32, w33 = w[at], w[at + d1], w[at + d2], w[at + d3]
    for s in range(n):
        x0, x1, x2, x3 = x[i0 + s], x[i1 + s], x[i2 + s], x[i3 + s]
        out[o0 + s] = out[o0 + s] + w00 * x0 + w01 * x1 + w02 * x2 + w03 * x3
        out[o1 + s] = out[o1 + s] + w10 * x0 + w11 * x1 + w12 * x2 + w13 * x3
        out[o2 + s] = out[o2 + s] + w20 * x0 + w21 * x1 + w22 * x2 + w23 * x3
        out[o3 + s] = out[o3 + s] + w30 * x0 + w31 * x1 + w32 * x2 + w33 * x3


@compiled()
def _add_4x1(
    out: Floats, o0: Index, x: Floats, i0: Index, w: Floats, at: Index, across: Index, n: Index
) -> None:
    """Adds the products of one row of x to four rows of out."""
    o1, o2, o3 = o0 + STRIDE, o0 + STRIDE + STRIDE, o0 + STRIDE + STRIDE + STRIDE
    w0, w1 = w[at], w[at + across]
    w2, w3 = w[at + across + across], w[at + across + across + across]
    for s in range(n):
        x0 = x[i0 + s]
        out[o0 + s] += w0 * x0
        out[o1 + s] += w1 * x0
        out[o2 + s] += w2 * x0
        out[o3 + s] += w3 * x0


@compiled()
def _add_1x4(
    out: Floats, o0: Index, x: Floats, i0: Index, w: Floats, at: Index, down: Index, n: Index
) -> None:
    """Adds the products of four rows of x to one row of out."""
    i1, i2, i3 = i0 + STRIDE, i0 + STRIDE + STRIDE, i0 + STRIDE + STRIDE + STRIDE
    w0, w1 = w[at], w[at + down]
    w2, w3 = w[at + down + down], w[at + down + down + down]
    for s in range(n):
        x0, x1, x2, x3 = x[i0 + s], x[i1 + s], x[i2 + s], x[i3 + s]
        out[o0 + s] = out[o0 + s] + w0 * x0 + w1 * x1 + w2 * x2 + w3 * x3


@compiled()
def _add_1x1(out: Floats, o0: Index, x: Floats, i0: Index, w: Floats, at: Index, n: Index) -> None:
    """Adds the product of one row of x to one row of out."""
    w0 = w[at]
    for s in range(n):
        out[o0 + s] += w0 * x[i0 + s]


@compiled(inline=True)
def _add_outer(
    total: NDArray[np.float64],
    at: Index,
    d: Floats,
    d_at: Index,
    x: Floats,
    x_at: Index,
    rows: Index,
    columns: Index,
    n: Index,
) -> None:
    """Adds the sums over samples of d's rows times x's rows to total[at:], (rows, columns)."""
    o_end, i_end = rows - rows % FOUR, columns - columns % FOUR
    for o in range(ZERO, o_end, FOUR):
        o_at, start = d_at + o * STRIDE, at + o * columns
        for i in range(ZERO, i_end, FOUR):
            _dot_4x4(total, start + i, columns, d, o_at, x, x_at + i * STRIDE, n)
        for i in range(i_end, columns):
            _dot_4x1(total, start + i, columns, d, o_at, x, x_at + i * STRIDE, n)
    for o in range(o_end, rows):
        o_at, start = d_at + o * STRIDE, at + o * columns
        for i in range(ZERO, i_end, FOUR):
            _dot_4x1(total, start + i, ONE, x, x_at + i * STRIDE, d, o_at, n)
        for i in range(i_end, columns):
            total[start + i] += _dot(d, o_at, x, x_at + i * STRIDE, n)


@compiled(SUMS, inline=True)
def _dot_4x4(
    total: NDArray[np.float64],
    at: Index,
    across: Index,
    d: Floats,
    o0: Index,
    x: Floats,
    i0: Index,
    n: Index,
) -> None:
    """Adds the sums of four rows of d times four rows of x to total."""
    o1, o2, o3 = o0 + STRIDE, o0 + STRIDE + STRIDE, o0 + STRIDE + STRIDE + STRIDE
    i1, i2, i3 = i0 + STRIDE, i0 + STRIDE + STRIDE, i0 + STRIDE + STRIDE + STRIDE
    zero = d.dtype.type(0)
    t00, t01, t02, t03 = zero, zero, zero, zero
    t10, t11, t12, t13 = zero, zero, zero, zero
    t20, t21, t22, t23 = zero, zero, zero, zero
    t30, t31, t32, t33 = zero, zero, zero, zero
    for s in range(n):
        x0, x1, x2, x3 = x[i0 + s], x[i1 + s], x[i2 + s], x[i3 + s]
        d0, d1, d2, d3 = d[o0 + s], d[o1 + s], d[o2 + s], d[o3 + s]
        t00 += d0 * x0
        t01 += d0 * x1
        t02 += d0 * x2
        t03 += d0 * x3
        t10 += d1 * x0
        t11 += d1 * x1
        t12 += d1 * x2
        t13 += d1 * x3
        t20 += d2 * x0
        t21 += d2 * x1
        t22 += d2 * x2
        t23 += d2 * x3
        t30 += d3 * x0
        t31 += d3 * x1
        t32 += d3 * x2
        t33 += d3 * x3
    _add_four(total, at, t00, t01, t02, t03)
    _add_four(total, at + across, t10, t11, t12, t13)
    _add_four(total, at + across + across, t20, t21, t22, t23)
    _add_four(total, at + across + across + across, t30, t31, t32, t33)


@inlined
def _add_four(total: NDArray[np.float64], at: Index, a: Any, b: Any, c: Any, d: Any) -> None:
    """Adds four numbers to neighbouring places of total."""
    total[at] += a
    total[at + ONE] += b
    total[at + ONE + ONE] += c
    total[at + ONE + ONE + ONE] += d


@compiled(SUMS, inline=True)
def _dot_4x1(
    total: NDArray[np.float64],
    at: Index,
    across: Index,
    d: Floats,
    o0: Index,
    x: Floats,
    i0: Index,
    n: Index,
) -> None:
    """Adds the sums of four rows of d times one row of x to total."""
    o1, o2, o3 = o0 + STRIDE, o0 + STRIDE + STRIDE, o0 + STRIDE + STRIDE + STRIDE
    zero = d.dtype.type(0)
    t0, t1, t2, t3 = zero, zero, zero, zero
    for s in range(n):
        x0 = x[i0 + s]
        t0 += d[o0 + s] * x0
        t1 += d[o1 + s] * x0
        t2 += d[o2 + s] * x0
        t3 += d[o3 + s] * x0
    total[at] += t0
    total[at + across] += t1
    total[at + across + across] += t2
    total[at + across + across + across] += t3


@compiled(SUMS, inline=True)
def _dot(d: Floats, o0: Index, x: Floats, i0: Index, n: Index) -> Any:
    """Returns the sum over samples of a row of d times a row of x."""
    t = d.dtype.type(0)
    for s in range(n):
        t += d[o0 + s] * x[i0 + s]
    return t


@compiled(SUMS, inline=True)
def _sum(d: Floats, at: Index, n: Index) -> Any:
    """Returns the sum over samples of a row of d."""
    t = d.dtype.type(0)
    for s in range(n):
        t += d[at + s]
    return t


# ---------------------------------------------------------------- layers


@compiled()
def _activate(kind: int, values: Floats, at: Index, rows: Index, n: Index) -> None:
    """Applies an activation to rows of values, in place."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    if kind == IDENTITY:
        return
    for row in range(rows):
        start = at + row * STRIDE
        if kind == RELU:
            for s in range(n):
                value = values[start + s]
                values[start + s] = zero if value < zero else value  # nan stays
        elif kind == SIGMOID:
            for s in range(n):
                values[start + s] = one / (one + exp(-values[start + s]))
        else:
            for s in range(n):
                value = values[start + s]
                less = expm1(-abs(value + value))
                size = -less / (less + one + one)
                values[start + s] = -size if value < zero else size


@compiled()
def _to_inner(
    kind: int, deltas: Floats, d_at: Index, values: Floats, at: Index, rows: Index, n: Index
) -> None:
    """Multiplies deltas by the activation's derivative, which follows from its values."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    if kind == IDENTITY:
        return
    for row in range(rows):
        d, v = d_at + row * STRIDE, at + row * STRIDE
        if kind == RELU:
            for s in range(n):
                deltas[d + s] = deltas[d + s] if values[v + s] > zero else zero
        elif kind == SIGMOID:
            for s in range(n):
                deltas[d + s] *= values[v + s] * (one - values[v + s])
        else:
            for s in range(n):
                deltas[d + s] *= one - values[v + s] * values[v + s]


# ---------------------------------------------------------------- losses


@compiled()
def _loss(net: Net, scratch: Scratch, y: Floats, real: Index, n: Index) -> float:
    """Returns the sum of the losses of the first `real` of n samples.

    Writes the derivatives by the last layer's values to the deltas of all n, 0 beyond `real`.
    """
    units = net.sizes[-1]
    at = np.uint64(scratch.values.size) - units * STRIDE
    losses, deltas = scratch.losses, scratch.deltas
    for s in range(n):
        losses[s] = 0
    if net.loss == CROSS_ENTROPY:
        _cross_entropy(scratch, at, y, units, n)
    else:
        for o in range(units):
            row = o * STRIDE
            if net.loss == SQUARED:
                _squared(scratch.values, at + row, y, deltas, row, losses, real)
            else:
                _absolute(scratch.values, at + row, y, deltas, row, losses, real)
    for o in range(units):
        for s in range(real, n):
            deltas[o * STRIDE + s] = 0
    return _in_order(losses, real)


@compiled()
def _in_order(losses: Floats, n: Index) -> float:
    """Returns the sum of n losses, in four parts, since each addition waits for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    end = n - n % FOUR
    for s in range(ZERO, end, FOUR):
        a += losses[s]
        b += losses[s + ONE]
        c += losses[s + ONE + ONE]
        d += losses[s + ONE + ONE + ONE]
    for s in range(end, n):
        a += losses[s]
    return (a + b) + (c + d)


@compiled()
def _squared(
    values: Floats, at: Index, y: Floats, deltas: Floats, row: Index, losses: Floats, n: Index
) -> None:
    """Adds the squared errors of one output to the losses, and writes their derivatives."""
    for s in range(n):
        error = values[at + s] - y[row + s]
        losses[s] += error * error
        deltas[row + s] = error + error


@compiled()
def _absolute(
    values: Floats, at: Index, y: Floats, deltas: Floats, row: Index, losses: Floats, n: Index
) -> None:
    """Adds the absolute errors of one output to the losses, and writes their derivatives."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    for s in range(n):
        error = values[at + s] - y[row + s]
        losses[s] += abs(error)
        sign = one if error > zero else zero
        deltas[row + s] = -one if error < zero else sign


@compiled()
def _cross_entropy(scratch: Scratch, at: Index, y: Floats, units: Index, n: Index) -> None:
    """Writes −log softmax of each label's output to the losses, and its derivatives.

    The largest output is subtracted first, so that no exponential overflows.
    """
    values, deltas = scratch.values, scratch.deltas
    zero, one = values.dtype.type(0), values.dtype.type(1)
    top, whole, losses = scratch.top, scratch.whole, scratch.losses
    for s in range(n):
        top[s] = values[at + s]
        whole[s] = zero
    for k in range(ONE, units):
        row = at + k * STRIDE
        for s in range(n):
            top[s] = values[row + s] if values[row + s] > top[s] else top[s]
    for k in range(units):
        row = at + k * STRIDE
        for s in range(n):
            part = exp(values[row + s] - top[s])
            deltas[k * STRIDE + s] = part
            whole[s] += part
    for s in range(n):
        losses[s] = log(whole[s])
        whole[s] = one / whole[s]
    for k in range(units):
        row, label = at + k * STRIDE, values.dtype.type(k)
        for s in range(n):
            share = deltas[k * STRIDE + s] * whole[s]
            deltas[k * STRIDE + s] = share - one if y[s] == label else share
            losses[s] += top[s] - values[row + s] if y[s] == label else zero


# ---------------------------------------------------------------- one weight vector


@inlined
def _mean_loss(
    net: Net,
    blocks: Blocks,
    table: Table,
    numbers: NDArray[np.int64],
    theta: Floats,
    scratch: Scratch,
    grads: Floats | None,
    needed: bool,
) -> Any:
    """Returns the mean loss of a weight vector over the samples of `numbers`, or over all if none.

    Writes the gradient to scratch.grad where it is `needed`. Where `grads` is None, the code for
    gradients is not even compiled.
    """
    for p in range(scratch.total.size):
        scratch.total[p] = 0.0
    samples, size = blocks.samples, blocks.size
    if numbers.size:
        samples, size = np.uint64(numbers.size), BLOCK_SIZE
    loss = 0.0
    x, y = scratch.x, scratch.y
    for block in range((samples + size - ONE) // size):
        done = block * size
        real = min(size, samples - done)
        n = (real + WIDTH - ONE) // WIDTH * WIDTH
        if numbers.size:
            _gather(table.x, numbers, done, real, n, x)
            _gather(table.y, numbers, done, real, n, y)
        else:
            x, y = blocks.x[block], blocks.y[block]
        _forward(net, theta, x, scratch.values, n)
        loss += _loss(net, scratch, y, real, n)
        if grads is not None and needed:
            _backward(net, theta, x, scratch, n)
    if grads is not None and needed:
        _mean(scratch, samples)
    return loss / np.float64(samples)


@inlined
def _forward(net: Net, theta: Floats, x: Floats, values: Floats, n: Index) -> None:
    """Writes the outputs of all layers for a block x to values."""
    layers, zero = net.sizes.size - 1, theta.dtype.type(0)
    source, in_at, out_at, at = x, ZERO, ZERO, ZERO
    for layer in range(layers):
        fan_in, fan_out = net.sizes[layer], net.sizes[layer + 1]
        biases_at = at + fan_in * fan_out
        for o in range(fan_out):
            bias, row = theta[biases_at + o] if net.biases else zero, out_at + o * STRIDE
            for s in range(n):
                values[row + s] = bias
        _add_product(values, out_at, source, in_at, theta, at, fan_in, ONE, fan_out, fan_in, n)
        kind = net.activation if layer < layers - 1 else net.output_activation
        _activate(kind, values, out_at, fan_out, n)
        source, in_at = values, out_at
        out_at += fan_out * STRIDE
        at = biases_at + fan_out * net.biases


@inlined
def _backward(net: Net, theta: Floats, x: Floats, scratch: Scratch, n: Index) -> None:
    """Adds a block's gradient to scratch.total, from the deltas of the last layer's values."""
    layers, zero = net.sizes.size - 1, theta.dtype.type(0)
    values, deltas, total = scratch.values, scratch.deltas, scratch.total
    here, there = ZERO, np.uint64(deltas.size) // (ONE + ONE)
    out_at, at = np.uint64(values.size), np.uint64(theta.size)
    for layer in range(layers - 1, -1, -1):
        fan_in, fan_out = net.sizes[layer], net.sizes[layer + 1]
        out_at -= fan_out * STRIDE
        kind = net.activation if layer < layers - 1 else net.output_activation
        _to_inner(kind, deltas, here, values, out_at, fan_out, n)
        if net.biases:
            at -= fan_out
            for o in range(fan_out):
                total[at + o] += _sum(deltas, here + o * STRIDE, n)
        at -= fan_in * fan_out
        source, in_at = (values, out_at - fan_in * STRIDE) if layer else (x, ZERO)
        _add_outer(total, at, deltas, here, source, in_at, fan_out, fan_in, n)
        if layer:
            for i in range(fan_in):
                row = there + i * STRIDE
                for s in range(n):
                    deltas[row + s] = zero
            _add_product(deltas, there, deltas, here, theta, at, ONE, fan_in, fan_in, fan_out, n)
            here, there = there, here


@compiled(STRICT)
def _mean(scratch: Scratch, samples: Index) -> None:
    """Writes the mean gradient to scratch.grad."""
    for p in range(scratch.grad.size):
        scratch.grad[p] = scratch.total[p] / np.float64(samples)


@compiled()
def _gather(
    rows: Floats, numbers: NDArray[np.int64], start: Index, real: Index, n: Index, out: Floats
) -> None:
    """Writes the columns of `real` numbered samples to rows of out, the last repeated up to n."""
    for column in range(np.uint64(rows.shape[1])):
        at = column * STRIDE
        for s in range(real):
            out[at + s] = rows[np.uint64(numbers[start + s]), column]
        last = out[at + real - ONE]
        for s in range(real, n):
            out[at + s] = last


# ---------------------------------------------------------------- calls


@compiled(entry=True)
def measure(
    net: Net,
    blocks: Blocks,
    table: Table,
    scratch: Scratch,
    left: Floats,
    right: Floats,
    rows: NDArray[np.int64],
    t: Floats,
    batches: NDArray[np.int64],
    losses: Floats,
    grads: Floats | None,
) -> None:
    """Writes losses[i] at the point t[i] of the segment from left[rows[i]] to right[rows[i]].

    Writes gradients too where there is an array for them. Samples are those of the numbers
    batches[i], or all where there are none.
    """
    half, one = left.dtype.type(0.5), left.dtype.type(1)
    for i in range(rows.size):
        row, place = rows[i], t[i]
        for p in range(left.shape[1]):
            way = right[row, p] - left[row, p]
            scratch.theta[p] = (
                left[row, p] + place * way if place < half else right[row, p] - (one - place) * way
            )
        losses[i] = _mean_loss(net, blocks, table, batches[i], scratch.theta, scratch, grads, True)
        if grads is not None:
            for p in range(left.shape[1]):
                grads[i, p] = scratch.grad[p]


@compiled(entry=True)
def advance(
    net: Net,
    blocks: Blocks,
    table: Table,
    scratch: Scratch,
    rule: Rule,
    budget: Budget,
    rows: Rows,
    batches: NDArray[np.int64],
    all_samples: NDArray[np.int64],
) -> None:
    """Takes a round of steps of every row, on batches (bead, step, sample), or on all samples.

    On all samples each step sees the loss. With batches it is evaluated once, before the steps.
    """
    on_all = batches.size == 0
    for bead in range(len(rows.theta)):
        theta = rows.theta[bead]
        for step in range(budget.check_every if on_all else budget.check_every + 1):
            evaluate, move = on_all or step == 0, on_all or step > 0
            numbers = all_samples if evaluate else batches[bead, step - 1]
            loss = _mean_loss(net, blocks, table, numbers, theta, scratch, theta, move)
            if evaluate and not judge(rows, bead, loss, budget):
                break
            if rows.steps[bead] >= budget.max_steps:
                break
            if move:
                _step(rule, rows, bead, scratch.grad)


@compiled(STRICT)
def judge(rows: Rows, bead: int, mean: float, budget: Budget) -> bool:
    """Notes a row's loss and returns whether the row goes on, exactly as `engine.steps.judge`."""
    real = rows.loss.dtype.type
    rows.loss[bead] = mean
    loss, steps = rows.loss[bead], rows.steps[bead]
    finite = np.isfinite(loss)
    reached = finite and loss <= rows.target[bead]
    lower = loss < rows.best[bead] * real(1 - budget.improvement)
    if reached:
        rows.best[bead] = np.inf
    elif lower:
        rows.best[bead] = loss
    if reached or lower:
        rows.best_step[bead] = steps
    if not finite:
        rows.end[bead] = DIVERGED
    elif reached:
        rows.end[bead] = REACHED
    elif steps >= budget.max_steps:
        rows.end[bead] = OUT_OF_STEPS
    elif steps - rows.best_step[bead] >= rows.patience[bead]:
        rows.end[bead] = STUCK
    else:
        rows.end[bead] = GOING
    going: bool = rows.end[bead] == GOING
    return going


@compiled(entry=True)
def advance_string(
    net: Net,
    blocks: Blocks,
    table: Table,
    scratch: Scratch,
    rule: Rule,
    budget: Budget,
    rows: Rows,
    batches: NDArray[np.int64],
    all_samples: NDArray[np.int64],
    tie: Tie,
    work: Work,
) -> None:
    """Takes a round of steps of one string, evaluates it, respaces it, and evaluates it again.

    One loop makes steps and evaluations, so that the code for losses is compiled once.
    """
    on_all, beads = batches.size == 0, len(rows.theta)
    steps, respaced = budget.check_every, budget.check_every + 1
    for bead in range(beads):
        work.slot[bead] = rows.end[bead] == GOING
    for phase in range(steps + 2):
        if phase == respaced and (not tie.hard or not _respace(rows.theta, work)):
            break
        move = phase < steps
        for bead in range(beads):
            if not _is_due(rows, work, bead, phase - steps, on_all):
                continue
            numbers = batches[bead, phase] if move and not on_all else all_samples
            theta = rows.theta[bead]
            loss = _mean_loss(net, blocks, table, numbers, theta, scratch, theta, move)
            if phase == respaced:
                _note_loss(rows, bead, loss)
            elif (not move or on_all) and not judge(rows, bead, loss, budget):
                continue
            if move and rows.steps[bead] < budget.max_steps:
                work.moved[bead] = True
                work.grads[bead, :] = scratch.grad
        if move:
            _step_together(rule, tie, rows, work)


@compiled(STRICT)
def _is_due(rows: Rows, work: Work, bead: int, phase: int, on_all: bool) -> bool:
    """Returns whether the loss of a bead is needed in a phase.

    The phase is negative in a step, 0 in the evaluation after steps, and 1 after respacing.
    """
    if phase > 0:
        return bool(work.moved[bead])
    going = rows.end[bead] == GOING
    if phase == 0:
        return bool(work.slot[bead] and (going or not on_all))
    work.moved[bead] = False
    return bool(work.slot[bead] and going)


@compiled(STRICT)
def _note_loss(rows: Rows, bead: int, mean: float) -> None:
    """Notes a loss measured apart from steps, exactly as `Rows.with_loss`."""
    rows.loss[bead] = mean
    if rows.loss[bead] <= rows.target[bead]:
        rows.end[bead] = REACHED
    elif rows.end[bead] <= REACHED:
        rows.end[bead] = GOING


@compiled(STRICT)
def _step_together(rule: Rule, tie: Tie, rows: Rows, work: Work) -> None:
    """Takes a step of the beads that move. Each goes by the places of its neighbours before it."""
    beads, params = rows.theta.shape
    tied = tie.hard or tie.kappa != 0 or tie.zeta != 0
    if tied:
        for bead in range(beads):
            for p in range(params):
                work.before[bead, p] = rows.theta[bead, p]
    for bead in range(beads):
        if not work.moved[bead]:
            continue
        inner = tied and 0 < bead < beads - 1
        if inner:
            _pull(tie, work, bead)
        _step(rule, rows, bead, work.grads[bead])
        if inner and tie.hard:
            _project(rows.theta, work, bead)


@compiled(STRICT)
def _pull(tie: Tie, work: Work, bead: int) -> None:
    """Adds the gradients of the springs and of leaving the hyperplane to work.grads[bead]."""
    here, left, right = work.before[bead], work.before[bead - 1], work.before[bead + 1]
    grad, tiny = work.grads[bead], 1e-12
    to_left, to_right, chord, off = 0.0, 0.0, 0.0, 0.0
    for p in range(here.size):
        a, b, c = np.float64(left[p]), np.float64(here[p]), np.float64(right[p])
        to_left += (b - a) * (b - a)
        to_right += (c - b) * (c - b)
        chord += (c - a) * (c - a)
        off += (b - (a + c) / 2) * (c - a)
    to_left, to_right = max(math.sqrt(to_left), tiny), max(math.sqrt(to_right), tiny)
    chord = max(math.sqrt(chord), tiny)
    for p in range(here.size):
        a, b, c = np.float64(left[p]), np.float64(here[p]), np.float64(right[p])
        more = tie.zeta * ((b - a) / to_left + (b - c) / to_right)
        more += tie.kappa * np.sign(off) * (c - a) / chord
        grad[p] += grad.dtype.type(more)


@compiled(STRICT)
def _project(theta: Floats, work: Work, bead: int) -> None:
    """Takes the part along the chord out of the step that a bead has just taken."""
    before, left, right = work.before[bead], work.before[bead - 1], work.before[bead + 1]
    chord, along = 0.0, 0.0
    for p in range(before.size):
        way = np.float64(right[p]) - np.float64(left[p])
        chord += way * way
        along += (np.float64(theta[bead, p]) - np.float64(before[p])) * way
    share = along / max(chord, 1e-24)
    for p in range(before.size):
        way = np.float64(right[p]) - np.float64(left[p])
        theta[bead, p] = theta[bead, p] - theta.dtype.type(share * way)


@compiled(STRICT)
def _respace(theta: Floats, work: Work) -> bool:
    """Makes one pass of even spacing, as `tethers.spread`, and returns whether any bead moved."""
    beads, params = theta.shape
    arc, before = work.arc, work.before
    for bead in range(beads):
        work.moved[bead] = False
        for p in range(params):
            before[bead, p] = theta[bead, p]
    arc[0] = 0.0
    for bead in range(1, beads):
        length = 0.0
        for p in range(params):
            way = np.float64(before[bead, p]) - np.float64(before[bead - 1, p])
            length += way * way
        arc[bead] = arc[bead - 1] + math.sqrt(length)
    whole = arc[beads - 1]
    if beads < 3 or not np.isfinite(whole) or whole <= 0:
        return False
    left, any_moved = 0, False
    for bead in range(1, beads - 1):
        place = whole * bead / (beads - 1)
        while left < beads - 2 and arc[left + 1] <= place:
            left += 1
        gap = arc[left + 1] - arc[left]
        t = min(max((place - arc[left]) / gap, 0.0), 1.0) if gap > 0 else 0.0
        for p in range(params):
            a, b = np.float64(before[left, p]), np.float64(before[left + 1, p])
            there = theta.dtype.type(a + t * (b - a) if t < 0.5 else b - (b - a) * (1 - t))
            if there != theta[bead, p]:
                theta[bead, p] = there
                work.moved[bead] = True
                any_moved = True
    return any_moved


@compiled()
def _step(rule: Rule, rows: Rows, bead: int, grad: Floats) -> None:
    """Takes one step of a row along its gradient."""
    theta = rows.theta[bead]
    if rule.kind == SGD:
        _sgd(rule, theta, rows.slow[bead], grad)
    elif rule.kind == RMSPROP:
        _rmsprop(rule, theta, rows.slow[bead], rows.square[bead], grad)
    else:
        taken = rows.steps[bead] + 1
        _adam(rule, theta, rows.slow[bead], rows.square[bead], grad, taken)
    rows.steps[bead] += 1


@compiled(STRICT)
def _sgd(rule: Rule, theta: Floats, slow: Floats, grad: Floats) -> None:
    """Takes one step of stochastic gradient descent."""
    real = theta.dtype.type
    lr, momentum = real(rule.lr), real(rule.momentum)
    if rule.momentum == 0:
        for p in range(theta.size):
            theta[p] -= lr * grad[p]
    else:
        for p in range(theta.size):
            slow[p] = momentum * slow[p] + grad[p]
            theta[p] -= lr * slow[p]


@compiled(STRICT)
def _rmsprop(rule: Rule, theta: Floats, slow: Floats, square: Floats, grad: Floats) -> None:
    """Takes one step of RMSprop."""
    real = theta.dtype.type
    lr, momentum, eps = real(rule.lr), real(rule.momentum), real(rule.eps)
    keep, take = real(rule.decay), real(1 - rule.decay)
    if rule.momentum == 0:
        for p in range(theta.size):
            square[p] = keep * square[p] + take * grad[p] * grad[p]
            theta[p] -= lr * grad[p] / (np.sqrt(square[p]) + eps)
    else:
        for p in range(theta.size):
            square[p] = keep * square[p] + take * grad[p] * grad[p]
            slow[p] = momentum * slow[p] + grad[p] / (np.sqrt(square[p]) + eps)
            theta[p] -= lr * slow[p]


@compiled(STRICT)
def _adam(
    rule: Rule, theta: Floats, slow: Floats, square: Floats, grad: Floats, taken: int
) -> None:
    """Takes one step of Adam. The row's own steps give the bias corrections, in float64."""
    real = theta.dtype.type
    keep, take = real(rule.decay), real(1 - rule.decay)
    new, eps = real(1 - rule.first), real(rule.eps)
    rate = real(rule.lr / (1 - rule.first ** np.float64(taken)))
    root = real(math.sqrt(1 - rule.decay ** np.float64(taken)))
    for p in range(theta.size):
        slow[p] += new * (grad[p] - slow[p])
        square[p] = keep * square[p] + take * grad[p] * grad[p]
        theta[p] -= rate * slow[p] / (np.sqrt(square[p]) / root + eps)
