"""Walks: rows that go round one shuffled order of the samples, each from a place of its own.

They are the mini-batches of rows whose mini-batches grow (`mini_batches`). Compiled code takes them
as places in the order, and so as many steps at once as it likes. Nothing here waits for torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.seeds import permutation


@dataclass(frozen=True)
class Walks:
    """Where some rows are on their walks: a row goes on from place to place, step by step."""

    order: NDArray[np.int64]
    """The order once round, and then its first `size` entries again."""
    starts: NDArray[np.int64]
    """(row,) The place in the order at which each row's next step begins."""
    size: int
    """The number of samples of a step. Each step begins so many places after the one before."""
    samples: int
    """The number of places of the order, after which it begins again."""


def walks(seeds: Sequence[int], steps: Sequence[int], size: int, samples: int) -> Walks:
    """Returns the walks of rows with these seeds, which have taken so many steps."""
    starts = np.array(places(seeds, steps, size, samples), np.int64)
    return Walks(order_of(samples, samples + size), starts, size, samples)


def places(seeds: Sequence[int], steps: Sequence[int], size: int, samples: int) -> list[int]:
    """Returns the place in the order at which the next step of each row begins."""
    taken = zip(seeds, steps, strict=True)
    return [(seed + start * size) % samples for seed, start in taken]


@lru_cache(maxsize=8)
def order_of(samples: int, length: int) -> NDArray[np.int64]:
    """Returns the one order that all walks go round, again and again up to a length."""
    return np.resize(permutation(0, 0, samples), length)
