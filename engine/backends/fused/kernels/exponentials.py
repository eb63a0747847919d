"""The exponential and the logistic function and the logarithm, in loops that vectorise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from engine.backends.fused.kernels.compiling import MULTIPLY_ADD, STRICT, inlined

LN2 = math.log(2)
#: What LN2 lacks.
LN2_REST = 2.3190468138462996e-17


def exp(x: Any) -> Any:
    """Returns e^x in compiled code, with inf, 0 and NaN where they belong."""


def expm1(x: Any) -> Any:
    """Returns e^x − 1 for x ≤ 0 in compiled code."""


def logistic(x: Any) -> Any:
    """Returns 1 / (1 + e^−x) in compiled code; below −80 it is that of −80. NaN stays."""


def log(x: Any) -> Any:
    """Returns ln x for x ≥ 1 in compiled code; NaN where x is not finite."""


def _exponentials(real: Any, integer: Any, bits: int, bias: int, coarse: float) -> Any:
    """Returns exp, expm1 and logistic for a type of number.

    Its fraction has `bits` bits and its exponent counts from -`bias`. They compute e^x = 2^n e^r.
    `coarse` is nearly ln 2, and so short that its product with n is exact.
    """
    inverse, fine, coarse = real(1 / LN2), real(LN2 - coarse + LN2_REST), real(coarse)
    # Adding this and taking it away rounds to a whole number, which is then in the lowest bits.
    shift = real(1.5 * 2.0**bits)
    origin, bias, bits, half = shift.view(integer), integer(bias), integer(bits), integer(1)
    highest, lowest, negligible = real(bias), -real(bias + bits), -real(60)
    largest = real(80)  # e^80 and 1 / (1 + e^80) are normal numbers of either type
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

    def logistic_of(x: Any) -> Any:
        x = largest if x > largest else x
        x = -largest if x < -largest else x
        shifted = shift - x * inverse
        n = shifted - shift
        r = (-x - n * coarse) - n * fine
        fraction = real(one + (r + r * r * series(r))).view(integer)
        power = integer(real(shifted).view(integer) << bits)  # the bits above are shifted out
        return one / (one + integer(fraction + power).view(real))

    return exp_of, expm1_of, logistic_of


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
_by_type(logistic, MULTIPLY_ADD, _EXP32[2], _EXP64[2])
_by_type(log, STRICT, _LOG32, _LOG64)
