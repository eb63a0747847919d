"""Images changed at random, by keys of their own: crop, flip, brightness and contrast.

The draws of an image depend on its key alone, so they are the same in any batch, after a resume,
and on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.draws import mixed, uniform
from engine.problem.samples import central
from engine.spec.augment import Augment

#: The counter under a sample's key from which its image is drawn. Dropout counts from 1.
IMAGE = 0


def augmented(
    x: Tensor, keys: Tensor, spec: Augment, side: int | None, dtype: torch.dtype
) -> Tensor:
    """Returns images (…, channel, height, width) as a step sees them, in the unit of x.

    `keys` (…) int64 holds the key of each image. Windows that are cut out have `side` pixels a
    side, or with None the size of the images. Bytes stay bytes where only their places change.
    """
    shape, images = x.shape, x.flatten(0, -4)
    drawn = uniform(mixed(keys.flatten(), IMAGE), 5).double()
    top, left, turned, bright, sharp = drawn.unbind(1)
    flips = turned < spec.flip
    if spec.crop is not None:
        images = _windows(images, spec.crop, side, top, left, flips)
    else:
        images = central(images, side)
        images = torch.where(flips[:, None, None, None], images.flip(-1), images)
    if spec.brightness:
        added = (2 * bright - 1) * spec.brightness
        images = images.to(dtype) + added.to(dtype)[:, None, None, None]
    if spec.contrast is not None:
        least, largest = spec.contrast
        factor = (least + (largest - least) * sharp).to(dtype)[:, None, None, None]
        images = images.to(dtype)
        mean = images.mean((-2, -1), keepdim=True)
        images = (images - mean) * factor + mean
    return images.view(*shape[:-2], *images.shape[-2:])


def _windows(
    images: Tensor, zeros: int, side: int | None, top: Tensor, left: Tensor, flips: Tensor
) -> Tensor:
    """Returns a window of each image (image, channel, height, width), with zeros around it.

    `top` and `left` (image,) are the shares, in [0, 1), of the ways that the window may be moved;
    where `flips` (image,), it is turned left to right.
    """
    height, width = (side or length for length in images.shape[-2:])
    padded = functional.pad(images, (zeros, zeros, zeros, zeros))
    rows = _places(top, padded.shape[-2], height)
    columns = _places(left, padded.shape[-1], width)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    each = torch.arange(len(images), device=images.device)[:, None, None, None]
    channels = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[each, channels, rows[:, None, :, None], columns[:, None, None, :]]


def _places(share: Tensor, length: int, size: int) -> Tensor:
    """Returns the `size` places that each window covers on an axis, (image, size) int64."""
    first = (share * (length - size + 1)).long()
    return first[:, None] + torch.arange(size, device=share.device)
