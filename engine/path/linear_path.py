"""The path between two deep linear networks in closed form (§2.1, Prop. 2.2).

The product P = W_K … W_1 moves on a straight line, along which a convex loss stays below the
larger of its ends. With A_k = W_K … W_k the factors follow from the output inwards:

    A_k(t) = (1−t)·A_k¹ + t·A_k² + t(1−t)·V_k,  V_1 = 0, the other V_k random,
    W_K(t) = A_K(t),
    W_k(t) = A_{k+1}(t)⁺ A_k(t) + (I − A_{k+1}(t)⁺ A_{k+1}(t)) ((1−t)·W_k¹ + t·W_k²).

The last term, which the draft leaves out, makes the ends come out where a layer is wider than
the output. Every A_k(t) must have full row rank. Where only the input is narrow enough for
that, the same is done to the transposed network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.networks.linear import check_linear_sizes
from engine.seeds import generator

Matrix = NDArray[np.float64]

#: The number of draws of the V_k. The path is that whose products keep farthest from losing rank.
DRAWS = 20
#: The smallest singular value of an A_k(t), as a share of its largest, that counts as full rank.
FULL_RANK = 1e-6
#: The values of t at which the rank is computed.
PLACES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class LinearPath:
    """A continuous curve of weights from one deep linear network to another."""

    first: tuple[Matrix, ...]
    """The layers W_1 … W_K of the first network, (out, in) each."""
    last: tuple[Matrix, ...]
    """The layers of the other network."""
    detours: tuple[Matrix, ...]
    """The matrices V_1 … V_K."""
    mirrored: bool
    """Whether these are the transposed network's matrices, the last layer first."""

    def at(self, t: float) -> list[Matrix]:
        """Returns the layers W_1(t) … W_K(t), (out, in) each."""
        upper = self._products_at(t)
        layers = [_lerp(a, b, t) for a, b in zip(self.first, self.last, strict=True)]
        for k in range(len(layers) - 1):
            inverse = np.linalg.pinv(upper[k + 1])
            layers[k] = inverse @ upper[k] + layers[k] - inverse @ (upper[k + 1] @ layers[k])
        layers[-1] = upper[-1]
        return _mirror(layers) if self.mirrored else layers

    @cached_property
    def _products(self) -> tuple[list[Matrix], list[Matrix]]:
        """The products A_1 … A_K of both ends."""
        return products(self.first), products(self.last)

    def _products_at(self, t: float) -> list[Matrix]:
        """Returns the products A_1(t) … A_K(t)."""
        ends = zip(*self._products, self.detours, strict=True)
        return [_lerp(a, b, t) + t * (1 - t) * v for a, b, v in ends]

    @property
    def rank_margin(self) -> float:
        """The least ratio of the smallest to the largest singular value of any A_k(t).

        It is zero also where a square A_k changes the sign of its determinant on the way.
        """
        seen = [self._products_at(float(t))[1:] for t in PLACES]
        for same in zip(*seen, strict=True):
            square = same[0].shape[0] == same[0].shape[1]
            if square and len({np.sign(np.linalg.det(product)) for product in same}) > 1:
                return 0.0
        return min((_rank_margin(p) for at_t in seen for p in at_t), default=1.0)


def linear_path(first: Sequence[Matrix], last: Sequence[Matrix], seed: int) -> LinearPath:
    """Returns the path between two lists of layers W_1 … W_K of equal shapes, (out, in) each.

    Raises InputError where a layer is too narrow, and ArithmeticError where no V_k keeps full rank.
    That is so where an end has no full rank itself. It is so too where a hidden layer is only as
    wide as the narrower end, and the ends lie on two sides of a lost rank, as the branches of
    w_2 w_1 = 1 do.
    """
    check_linear_sizes([first[0].shape[1], *(layer.shape[0] for layer in first)])
    mirrored = first[-1].shape[0] > first[0].shape[1]
    ends = [list(first), list(last)]
    if mirrored:
        ends = [_mirror(layers) for layers in ends]
    for upper, other in zip(products(ends[0])[1:], products(ends[1])[1:], strict=True):
        square = upper.shape[0] == upper.shape[1]
        if square and np.linalg.det(upper) * np.linalg.det(other) <= 0:
            raise ArithmeticError(
                "a product that a narrow layer makes square has determinants of different signs at "
                "the two ends, so no way between them keeps full rank"
            )
    path = max((_draw(ends, mirrored, seed, draw) for draw in range(DRAWS)), key=_margin)
    if path.rank_margin <= FULL_RANK:
        raise ArithmeticError(f"no full rank in {DRAWS} random draws")
    return path


def _draw(ends: Sequence[Sequence[Matrix]], mirrored: bool, seed: int, draw: int) -> LinearPath:
    """Returns the path with the V_k of one random draw."""
    random = generator(seed, "linear path", draw)
    detours = [
        0.0 * upper if k == 0 else np.std(upper) * random.standard_normal(upper.shape)
        for k, upper in enumerate(products(ends[0]))
    ]
    return LinearPath(tuple(ends[0]), tuple(ends[1]), tuple(detours), mirrored)


def _margin(path: LinearPath) -> float:
    """Returns the rank margin of a path."""
    return path.rank_margin


def products(layers: Sequence[Matrix]) -> list[Matrix]:
    """Returns the products A_1 … A_K with A_k = W_K … W_k."""
    upper = [layers[-1]]
    for layer in reversed(layers[:-1]):
        upper.insert(0, upper[0] @ layer)
    return upper


def _lerp(a: Matrix, b: Matrix, t: float) -> Matrix:
    """Returns (1 − t)·a + t·b."""
    return (1 - t) * a + t * b


def _mirror(layers: Sequence[Matrix]) -> list[Matrix]:
    """Returns the layers of the transposed network."""
    return [layer.T for layer in reversed(layers)]


def _rank_margin(product: Matrix) -> float:
    """Returns the ratio of the smallest to the largest singular value, 0 for a zero matrix."""
    values = np.linalg.svd(product, compute_uv=False)
    return float(values[-1] / values[0]) if values[0] > 0 else 0.0
