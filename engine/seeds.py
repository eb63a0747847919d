"""Independent random streams from one seed. Each use of a seed has a path of its own."""

from __future__ import annotations

import hashlib
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: The lock that is held while torch's own generator draws, because it belongs to all threads.
DRAWING = Lock()


def derive(seed: int, *path: int | str) -> int:
    """Returns a seed of 63 bits that depends on the given seed and on every part of the path."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *path: int | str) -> np.random.Generator:
    """Returns a fresh random generator for this seed and path."""
    import numpy as np

    return np.random.Generator(np.random.Philox(derive(seed, *path)))


def permutation(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Returns the order in which the stream of a seed visits the samples in an epoch, (sample,)."""
    return generator(seed, "epoch", epoch).permutation(samples)
