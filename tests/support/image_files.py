"""Small image data sets in the formats of the published ones."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

Pixels = NDArray[np.uint8]


def pixels(samples: int, *shape: int, seed: int = 3) -> Pixels:
    """(sample, *shape) bytes, of which each value is about as frequent."""
    drawn = np.random.default_rng(seed).integers(0, 256, (samples, *shape))
    return drawn.astype(np.uint8)


def labels(samples: int, seed: int = 4) -> Pixels:
    return np.random.default_rng(seed).integers(0, 10, samples).astype(np.uint8)


def idx(array: Pixels) -> bytes:
    """The bytes of an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def records(x: Pixels, y: Pixels) -> bytes:
    """The bytes of a CIFAR-10 batch."""
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(x, y, strict=True))


def write(path: Path, content: bytes) -> Path:
    """Compressed where the name says so; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def write_idx(folder: Path, samples: int = 23, test: int = 11, seed: int = 3) -> Path:
    """The four files of an IDX data set, plain."""
    for names, count, at in ((TRAIN, samples, seed), (TEST, test, seed + 100)):
        write(folder / names[0], idx(pixels(count, 28, 28, seed=at)))
        write(folder / names[1], idx(labels(count, seed=at)))
    return folder


def write_cifar10(folder: Path, samples: int = 13, test: int = 7, seed: int = 3) -> Path:
    """Two training batches and a test batch, plain."""
    sizes = {"data_batch_1": samples, "data_batch_2": samples + 2, "test_batch": test}
    for at, (name, count) in enumerate(sizes.items(), seed):
        x, y = pixels(count, 3, 32, 32, seed=at), labels(count, seed=at)
        write(folder / f"{name}.bin", records(x, y))
    return folder
