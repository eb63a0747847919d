"""The largest eigenvalues and the trace of a symmetric matrix that is known by its products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = Callable[[Floats], Floats]
"""The product of the matrix with a vector (param,)."""

#: The size of matrices up to which all their columns are computed.
WHOLE = 64
#: The number of random vectors from which the trace is estimated.
PROBES = 30
#: The bytes of Lanczos vectors, which are held side by side, and how many there are at most.
LANCZOS_BYTES, LANCZOS = 2**30, 20
#: The number of times that Lanczos' method may begin anew.
RESTARTS = 100


@dataclass(frozen=True)
class Spectrum:
    """What is known of the eigenvalues."""

    largest: tuple[float, ...]
    """The largest eigenvalues, descending; NaN for those that did not converge."""
    trace: float
    """The sum of all eigenvalues."""
    error: float
    """The standard error of the trace; 0 where it is no estimate."""


def spectrum(times: Times, size: int, count: int, seed: int, *, precise: bool = True) -> Spectrum:
    """Returns the `count` largest eigenvalues and the trace of a matrix (size, size).

    The eigenvalues are found by Lanczos' method with restarts (ARPACK, by scipy), to a relative
    1e-6, or 1e-3 where products are not `precise`. The trace is their sum and Hutchinson's estimate
    of the rest: the mean of zᵀHz over random signs z, of which the eigenvectors are taken out, so
    that the few large eigenvalues add nothing to its error (as in Hutch++, Meyer et al. 2021). A
    small matrix is computed whole. What is drawn depends on the seed alone.
    """
    if size <= max(WHOLE, count + 1):
        return _whole(times, size, count)
    rng = np.random.default_rng(seed)
    start = rng.standard_normal(size)
    turned = times(start)
    if not np.isfinite(turned).all():
        return Spectrum((np.nan,) * count, np.nan, np.nan)
    if not turned.any():  # all of it is zero, in which ARPACK finds no direction
        return Spectrum((0.0,) * count, 0.0, 0.0)
    values, vectors = _lanczos(times, start, count, 1e-6 if precise else 1e-3)
    samples = []
    for _ in range(PROBES):
        signs: Floats = rng.choice([-1.0, 1.0], size)
        probe: Floats = signs - vectors @ (vectors.T @ signs)
        samples.append(float(probe @ times(probe)))
    largest = np.full(count, np.nan)
    largest[: len(values)] = np.sort(values)[::-1]
    error = float(np.std(samples, ddof=1) / np.sqrt(PROBES))
    return Spectrum(tuple(largest.tolist()), float(values.sum() + np.mean(samples)), error)


def _whole(times: Times, size: int, count: int) -> Spectrum:
    """Returns the spectrum of a small matrix, from all its columns."""
    matrix = np.stack([times(unit) for unit in np.eye(size)])
    if not np.isfinite(matrix).all():
        return Spectrum((np.nan,) * min(count, size), np.nan, np.nan)
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)[::-1]
    return Spectrum(tuple(values[:count].tolist()), float(np.trace(matrix)), 0.0)


def _lanczos(times: Times, start: Floats, count: int, tolerance: float) -> tuple[Floats, Floats]:
    """Returns the largest eigenvalues that converged (value,), and vectors (param, value)."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    size = len(start)
    room = min(LANCZOS, LANCZOS_BYTES // start.nbytes)
    try:
        values, vectors = eigsh(
            LinearOperator((size, size), matvec=times, dtype=np.float64),
            k=count,
            which="LA",
            v0=start,
            ncv=min(size, max(room, 2 * count + 2)),
            maxiter=RESTARTS,
            tol=tolerance,
        )
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
    return values, vectors
