"""Draws the samples of each step of each row, as a function of the row's seed and its steps alone.

So nothing about them has to be kept between rounds or written to a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from engine.seeds import permutation
from engine.shapes import Rounds


def mini_batches(
    seeds: Sequence[int], steps: Sequence[int], count: int, size: int, samples: int
) -> Rounds:
    """Returns the sample numbers of the next `count` steps, (row, step, sample).

    Row k draws from the stream of `seeds[k]` and has taken `steps[k]` steps. A step sees `size` of
    the `samples` training samples.
    """
    numbers = [
        sample_numbers(seed, start * size, count * size, samples)
        for seed, start in zip(seeds, steps, strict=True)
    ]
    return torch.from_numpy(np.stack(numbers)).view(len(numbers), count, size)


def sample_numbers(seed: int, start: int, count: int, samples: int) -> NDArray[np.int64]:
    """Returns entries start … start + count − 1 of a seed's endless stream of sample numbers.

    The stream passes through all samples again and again, each time in a new random order.
    """
    first, last = start // samples, (start + count - 1) // samples
    passes = [permutation(seed, epoch, samples) for epoch in range(first, last + 1)]
    offset = start - first * samples
    drawn: NDArray[np.int64] = np.concatenate(passes)[offset : offset + count]
    return drawn
