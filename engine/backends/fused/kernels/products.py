"""Products of weights and values, four by four."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.backends.fused.kernels.arrays import FOUR, ONE, STRIDE, ZERO, Floats, Index
from engine.backends.fused.kernels.compiling import SUMS, compiled, inlined


@compiled()
def add_product(
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
def add_outer(
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
def row_sum(d: Floats, at: Index, n: Index) -> Any:
    """Returns the sum over samples of a row of d."""
    t = d.dtype.type(0)
    for s in range(n):
        t += d[at + s]
    return t
