"""Eigenvalues and traces of matrices that are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.quantities.spectrum import WHOLE, Spectrum, spectrum

Floats = NDArray[np.float64]


def matrix_of(values: Floats, seed: int = 3) -> Floats:
    """A symmetric matrix with these eigenvalues."""
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))
    found: Floats = turned * values @ turned.T
    return found


@pytest.mark.parametrize("size", [WHOLE, WHOLE + 1, 300])
def test_the_largest_eigenvalues(size: int) -> None:
    """Negative ones of a larger size are not among them, as they are in power iteration."""
    values = np.random.default_rng(5).normal(0, 0.1, size)
    values[:4] = [7.0, 6.9, 2.0, -30.0]
    matrix = matrix_of(values)
    found = spectrum(lambda v: matrix @ v, size, 3, seed=1)
    np.testing.assert_allclose(found.largest, [7.0, 6.9, 2.0], rtol=1e-6)
    assert abs(found.trace - values.sum()) <= 5 * found.error + 1e-9
    assert (found.error == 0) == (size == WHOLE)


def test_a_few_large_eigenvalues_add_nothing_to_the_error() -> None:
    values = np.zeros(200)
    values[:3] = [400.0, 30.0, 5.0]
    matrix = matrix_of(values)
    found = spectrum(lambda v: matrix @ v, 200, 3, seed=1)
    assert found.trace == pytest.approx(435, rel=1e-6) and found.error < 1e-4


def test_the_trace_has_no_bias() -> None:
    values = np.random.default_rng(6).normal(0.5, 1.0, 150)
    matrix = matrix_of(values)
    found = [spectrum(lambda v: matrix @ v, 150, 3, seed=seed) for seed in range(20)]
    off = np.array([each.trace - values.sum() for each in found])
    errors = np.array([each.error for each in found])
    assert abs(off.mean()) < 4 * errors.mean() / np.sqrt(20)
    assert 0.5 < off.std() / errors.mean() < 2


def test_the_seed_decides() -> None:
    matrix = matrix_of(np.random.default_rng(6).normal(0.5, 1.0, 100))
    one, same, other = (spectrum(lambda v: matrix @ v, 100, 3, seed) for seed in (4, 4, 5))
    assert one == same and one.trace != other.trace


@pytest.mark.parametrize("size", [10, 100])
def test_matrices_without_eigenvalues_to_find(size: int) -> None:
    assert spectrum(np.zeros_like, size, 2, seed=0) == Spectrum((0.0, 0.0), 0.0, 0.0)
    found = spectrum(lambda v: np.full_like(v, np.nan), size, 2, seed=0)
    assert np.isnan([*found.largest, found.trace]).all()
    assert spectrum(lambda v: 2 * v, size, 2, seed=0).largest == pytest.approx((2.0, 2.0))


def test_what_does_not_converge_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.quantities.spectrum.RESTARTS", 1)
    matrix = np.diag(np.linspace(0.999, 1.0, 2000))
    found = spectrum(lambda v: matrix @ v, 2000, 3, seed=0)
    assert np.isnan(found.largest[-1]) and found.trace == pytest.approx(1999, rel=1e-3)
