"""Draws the samples of each step of each row, as a function of the row's seed and its steps alone.

So nothing about them has to be kept between rounds or written to a checkpoint. There are two kinds
of streams (`mini_batches` in a preset): *shuffled* orders are permuted by numpy on the host, whole
passes at a time; *hashed* ones are computed entry by entry, on whatever device the rows are. Where
shuffled mini-batches grow, a new permutation for each pass would cost more than steps on few
samples. All rows then *walk* round one shuffled order again and again, each from a place of its
own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeds import permutation
from engine.shapes import Rounds, Steps
from engine.steps import hashed_orders
from engine.steps.walks import order_of, places


def mini_batches(
    seeds: Sequence[int],
    steps: Sequence[int],
    count: int,
    size: int,
    samples: int,
    drop_last: bool = False,
) -> Rounds:
    """Returns the samples of the next `count` steps of shuffled streams, (row, step, sample).

    Row k draws from the stream of `seeds[k]` and has taken `steps[k]` steps. A step sees `size` of
    the `samples` training samples. With `drop_last`, no step sees samples of two passes.
    """
    of_a_pass = samples_of_a_pass(size, samples, drop_last)
    numbers = [
        sample_numbers(seed, start * size, count * size, samples, of_a_pass)
        for seed, start in zip(seeds, steps, strict=True)
    ]
    return torch.from_numpy(np.stack(numbers)).view(len(numbers), count, size)


def walked_batches(
    seeds: Sequence[int], steps: Sequence[int], count: int, size: int, samples: int
) -> Rounds:
    """Returns the samples of the next `count` steps of walks round one order, (row, step, sample).

    The walk of row k begins at a place that its seed chooses, and it has taken `steps[k]` steps of
    `size` samples.
    """
    order, shown = order_of(samples, samples + count * size), count * size
    starts = places(seeds, steps, size, samples)
    numbers = np.stack([order[start : start + shown] for start in starts])
    return torch.from_numpy(numbers).view(len(starts), count, size)


def hashed_batches(
    seeds: Tensor,
    steps: Steps,
    count: int,
    size: int,
    samples: int,
    drop_last: bool = False,
) -> Rounds:
    """Returns the sample numbers of the next `count` steps of hashed streams, (row, step, sample).

    `seeds` and `steps` (row,) are int64 tensors on one device; the rest is as in `mini_batches`.
    """
    of_a_pass = samples_of_a_pass(size, samples, drop_last)
    numbers = hashed_orders.sample_numbers(seeds, steps * size, count * size, samples, of_a_pass)
    return numbers.view(len(steps), count, size)


def samples_of_a_pass(size: int, samples: int, drop_last: bool) -> int:
    """Returns the number of samples that a pass shows, where a step sees `size` of `samples`.

    With `drop_last` they are those that make whole mini-batches, else all.
    """
    return samples // size * size if drop_last else samples


def sample_numbers(
    seed: int, start: int, count: int, samples: int, of_a_pass: int
) -> NDArray[np.int64]:
    """Returns entries start … start + count − 1 of a seed's endless stream of sample numbers.

    The stream passes through all samples again and again, each time in a new random order, of which
    the first `of_a_pass` are shown.
    """
    first, last = start // of_a_pass, (start + count - 1) // of_a_pass
    passes = [permutation(seed, epoch, samples)[:of_a_pass] for epoch in range(first, last + 1)]
    offset = start - first * of_a_pass
    drawn: NDArray[np.int64] = np.concatenate(passes)[offset : offset + count]
    return drawn
