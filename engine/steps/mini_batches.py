"""Which samples each step of each row sees: a function of the row's seed and its steps alone.

Nothing of it has to be kept between rounds or written to a checkpoint.
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

    Row k has the stream of `seeds[k]` and has taken `steps[k]` steps; a step sees `size` of the
    `samples`.
    """
    numbers = [
        sample_numbers(seed, start * size, count * size, samples)
        for seed, start in zip(seeds, steps, strict=True)
    ]
    return torch.from_numpy(np.stack(numbers)).view(len(numbers), count, size)


def sample_numbers(seed: int, start: int, count: int, samples: int) -> NDArray[np.int64]:
    """Returns entries start … start + count of a stream that passes through all samples again.

    Every pass is in a new random order. A batch may straddle two passes.
    """
    first, last = start // samples, (start + count - 1) // samples
    passes = [permutation(seed, epoch, samples) for epoch in range(first, last + 1)]
    offset = start - first * samples
    drawn: NDArray[np.int64] = np.concatenate(passes)[offset : offset + count]
    return drawn
