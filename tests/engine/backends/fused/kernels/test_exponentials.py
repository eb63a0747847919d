"""The compiled exponential and logistic function and logarithm against numpy's long doubles."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

numba = pytest.importorskip("numba")
exponentials = pytest.importorskip("engine.backends.fused.kernels.exponentials")

Floats = NDArray[Any]
PRECISIONS: list[Any] = [np.float32, np.float64]


def applied(function: Any, x: Floats) -> Floats:
    """A function of the compiled part for every entry, in a loop as theirs."""

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
    def loop(x: Floats, y: Floats) -> None:
        for s in range(x.size):
            y[s] = function(x[s])

    y = np.empty_like(x)
    loop(x, y)
    (code,) = loop.inspect_llvm().values()
    kind = "float" if x.dtype == np.float32 else "double"
    assert re.search(rf"fmul .*<\d+ x {kind}>", code), "the loop is not vectorised"
    return y


@pytest.mark.parametrize(
    ("dtype", "lowest", "highest", "rounding"),
    [(np.float32, -87.3, 88.7, 1.2e-7), (np.float64, -708.3, 709.7, 4e-16)],
)
def test_exponentials_over_the_whole_range(
    dtype: Any, lowest: float, highest: float, rounding: float
) -> None:
    x = np.linspace(lowest, highest, 400_001).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    found = applied(exponentials.exp, x)
    assert np.max(np.abs(found / exact - 1)) < rounding
    small = -np.logspace(-30, 2, 100_001).astype(dtype)
    exact = np.expm1(small.astype(np.longdouble))
    assert np.max(np.abs(applied(exponentials.expm1, small) / exact - 1)) < 3 * rounding


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_exponentials_beyond_the_range(dtype: Any) -> None:
    x = np.array([800, np.inf, -800, -np.inf, np.nan, 0.0, -0.0] * 9, dtype)
    found = applied(exponentials.exp, x).reshape(9, 7)[3]
    assert found.tolist()[:4] == [np.inf, np.inf, 0.0, 0.0]
    assert np.isnan(found[4])
    assert found.tolist()[5:] == [1.0, 1.0]
    edge = np.nextafter(np.log(np.finfo(dtype).tiny), 0, dtype=dtype)
    gradual = np.full(64, edge - 3, dtype)  # the result is below the normal numbers
    expected = np.exp(gradual.astype(np.longdouble))
    assert applied(exponentials.exp, gradual)[5] == pytest.approx(float(expected[5]), rel=1e-3)
    assert np.isnan(applied(exponentials.expm1, x).reshape(9, 7)[0][4])


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float32, 1.6e-7), (np.float64, 3e-16)])
def test_the_logistic_function_over_the_whole_range(dtype: Any, rounding: float) -> None:
    x = np.concatenate([np.linspace(-80, 80, 400_001), np.linspace(-1, 1, 100_001)]).astype(dtype)
    exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    assert np.max(np.abs(applied(exponentials.logistic, x) / exact - 1)) < rounding


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_the_logistic_function_beyond_the_range(dtype: Any) -> None:
    x = np.array([-80, -81, -1e4, -np.inf, 81, 1e4, np.inf, np.nan, 0.0, -0.0] * 9, dtype)
    least, *found = applied(exponentials.logistic, x).reshape(9, 10)[3].tolist()
    assert 0 < least < 2e-35
    assert found[:6] == [least, least, least, 1.0, 1.0, 1.0]
    assert np.isnan(found[6])
    assert found[7:] == [0.5, 0.5]


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float32, 2.5e-7), (np.float64, 5e-16)])
def test_logarithms_of_numbers_above_one(dtype: Any, rounding: float) -> None:
    x = np.concatenate([1 + np.logspace(-5, 0, 50_000), np.logspace(0, 4, 50_000)]).astype(dtype)
    exact = np.log(x.astype(np.longdouble))
    found, there = applied(exponentials.log, x), exact != 0
    assert np.max(np.abs(found[there] / exact[there] - 1)) < rounding
    assert (found[~there] == 0).all()
    assert np.isnan(applied(exponentials.log, np.array([np.inf, np.nan] * 40, dtype))).all()
