"""Polynomials of degree 4 on [0, 1] by their Bernstein coefficients, which enclose them."""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor

from engine.path.certificate.chord import EPSILON

DEGREE = 4
#: Pieces of [0, 1] on which a polynomial is enclosed by its coefficients.
PIECES = 32

#: (5,) The coefficients of s.
RAMP = torch.arange(DEGREE + 1, dtype=torch.float64) / DEGREE
#: (5,) The coefficients of s(1−s).
BUMP = torch.tensor([0, 1 / 4, 1 / 3, 1 / 4, 0], dtype=torch.float64)
#: (power, coefficient) The coefficients of 1, s, … s⁴.
POWERS = torch.tensor(
    [[comb(k, j) / comb(DEGREE, j) for k in range(DEGREE + 1)] for j in range(DEGREE + 1)],
    dtype=torch.float64,
)


def highest(coefficients: Tensor) -> Tensor:
    """Returns upper bounds (cell, piece) of polynomials (cell, 5), NaN for one not finite.

    They hold on pieces of [0, 1] of the same width, and are larger by 64 roundings than computed,
    of which some ten are spent here.
    """
    within = torch.einsum("pij,cj->cpi", _PIECES, coefficients).amax(2)
    size = coefficients.abs().amax(1, keepdim=True)
    return torch.where(size.isfinite(), within + 64 * EPSILON * size, torch.nan)


def _piece(low: float, high: float) -> Tensor:
    """Returns the matrix (5, 5) that takes coefficients on [0, 1] to those on [low, high].

    Its entries are the blossom's at mixed arguments, so they are positive and rows sum to 1.
    """
    rows = []
    for number in range(DEGREE + 1):
        arguments = [high] * number + [low] * (DEGREE - number)
        values = torch.eye(DEGREE + 1, dtype=torch.float64)
        for s in arguments:
            values = (1 - s) * values[:-1] + s * values[1:]
        rows.append(values[0])
    return torch.stack(rows)


_PIECES = torch.stack([_piece(n / PIECES, (n + 1) / PIECES) for n in range(PIECES)])
