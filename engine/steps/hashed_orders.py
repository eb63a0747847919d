"""Random orders of samples of which any entry is computed by itself, on any device.

Samples are laid out in rows and columns, barely more places than there are samples. An order is a
Feistel network over these places: by turns the row is moved by a hash of the column, and the column
by a hash of the row (Black & Rogaway 2002, "Ciphers with arbitrary finite domains"). A place beyond
the samples is mapped again until it is among them, which takes as many maps more as there are such
places, at most. So nothing is drawn in advance, kept, or asked of the device.
"""

from __future__ import annotations

from functools import cache
from math import isqrt

import torch
from torch import Tensor

from engine.draws import mixed, whole

#: The number of times that each half of a pair is moved.
MOVES = 6


def sample_numbers(seeds: Tensor, first: Tensor, count: int, samples: int, shown: int) -> Tensor:
    """Returns entries of the endless streams of some seeds, (row, count) int64 from 0 to samples.

    Row k has the entries first[k] … first[k] + count − 1 of the stream of seeds[k]; both are int64.
    A stream passes through the samples again and again, each time in a new random order, of which
    the first `shown` are part of the stream.
    """
    entries = first[:, None] + torch.arange(count, device=first.device)
    keys = mixed(seeds[:, None], entries // shown)
    return permuted(keys, entries % shown, samples)


def permuted(keys: Tensor, numbers: Tensor, samples: int) -> Tensor:
    """Returns where the random permutation of each key takes a number from 0 to samples − 1.

    `keys` and `numbers` are int64 and broadcast.
    """
    sides = sides_of(samples)
    found = _moved(keys, numbers, sides)
    for _ in range(sides[0] * sides[1] - samples):
        found = torch.where(found < samples, found, _moved(keys, found, sides))
    return found


def _moved(keys: Tensor, numbers: Tensor, sides: tuple[int, int]) -> Tensor:
    """Returns where the Feistel network of each key takes numbers below the product of `sides`."""
    rows, columns = sides
    row, column = numbers // columns, numbers % columns
    for move in range(MOVES):
        row = (row + whole(keys, column * (2 * MOVES) + 2 * move)) % rows
        column = (column + whole(keys, row * (2 * MOVES) + 2 * move + 1)) % columns
    return row * columns + column


@cache
def sides_of(samples: int) -> tuple[int, int]:
    """Returns the numbers of rows and columns of the pairs: as few pairs as cover the samples.

    Neither number is far below the square root of the samples, because short sides mix badly.
    """
    root = max(2, isqrt(samples))
    rows = range(root, max(1, 3 * root // 4 - 1), -1)
    return min(((row, -(-samples // row)) for row in rows), key=lambda side: side[0] * side[1])
