"""Independent random streams from one seed: each use names its path."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def derive(seed: int, *path: int | str) -> int:
    """A 63-bit seed that depends on the seed and on every part of the path."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *path: int | str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive(seed, *path)))


def permutation(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """The order in which the stream of that seed passes through the samples in an epoch."""
    return generator(seed, "epoch", epoch).permutation(samples)
