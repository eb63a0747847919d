"""Decodes the images of a user's folders, by pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.data.image_folder import Classes, ImageFolderData, in_order
from engine.data.images import pixel_scaling
from engine.data.room import room
from engine.errors import InputError

Image = tuple[Path, int]
"""A file and the number of its class."""


def dataset(spec: ImageFolderData, train: Classes, held_out: Classes) -> Dataset:
    """Returns the images of two splits. Without a second one, some of the first are held out.

    Raises InputError where pillow is missing, or an image is damaged or of another size.
    """
    images, others = in_order(train), in_order(held_out)
    if not others:
        order = np.random.Generator(np.random.Philox(spec.seed)).permutation(len(images))
        count = spec.held_out_of(len(images))
        others = [images[number] for number in order[:count].tolist()]
        images = [images[number] for number in np.sort(order[count:]).tolist()]
    first = _pixels(images[0][0], spec)
    x, y = _read(images, spec, first.shape, images[0][0])
    x_held_out, y_held_out = _read(others, spec, first.shape, images[0][0])
    scaling = pixel_scaling(x, standardize=spec.standardize)
    return Dataset(x, y, x_held_out, y_held_out, len(train), scaling)


def _read(
    images: list[Image], spec: ImageFolderData, shape: tuple[int, ...], first: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns pixels and classes. Raises InputError where an image has another shape."""
    x = room((len(images), *shape), np.uint8)
    for number, (path, _) in enumerate(images):
        pixels = _pixels(path, spec)
        if pixels.shape != shape:
            raise InputError(
                f"has {pixels.shape[1]} × {pixels.shape[2]} pixels, but {first} has {shape[1]} × "
                f"{shape[2]}; set problem.data.size to [height, width]",
                file=path,
            )
        x[number] = pixels
    return x, np.array([number for _, number in images], np.int64)


def _pixels(path: Path, spec: ImageFolderData) -> NDArray[np.uint8]:
    """Returns the pixels of a file, (channel, height, width). Raises InputError."""
    pillow = _pillow()
    try:
        with pillow.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError("its pixels have more than 8 bits")
            image = image.convert("RGB" if spec.channels == 3 else "L")
            if spec.size is not None:
                image = _fitted(image, spec.size)
            pixels = np.asarray(image, np.uint8)
    except Exception as error:  # damaged images have many ways to say so
        raise InputError(
            f"cannot be read as an image ({type(error).__name__}: {error}); replace or remove it",
            file=path,
        ) from None
    return pixels[None] if spec.channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _pillow() -> Any:
    """Returns pillow's module of images. Raises InputError where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "is imagefolder, which needs pillow to decode images; install dss-tui[images]",
            key="problem.data.kind",
        ) from None
    return Image


def _fitted(image: Any, size: tuple[int, int]) -> Any:
    """Returns an image cut around its middle and scaled to a height and width."""
    from PIL import Image, ImageOps

    height, width = size
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
