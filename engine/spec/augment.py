"""Keys of augmentation: how images are changed at random in the steps of training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, model_validator

from engine.part import NonNegativeInt, Part

Share = Annotated[float, Field(ge=0, le=1)]


class Augment(Part):
    """The changes of images in the steps of training, in the order of these keys.

    They are drawn anew for each sample of each step, by the seed of the weight vector. A loss that
    is judged never sees them.
    """

    crop: NonNegativeInt | None = None
    """The pixels of zeros that are put on each side before a place of the network's size is cut
    out at random; with problem.data.crop, 0 cuts it from the image itself. Null: no random crop."""
    flip: Share = 0.0
    """The share of images that are turned left to right."""
    brightness: NonNegativeFloat = 0.0
    """The most that is added to all values of an image, or taken from them, in the unit in which
    the data are kept: 255 is white where they are bytes."""
    contrast: tuple[NonNegativeFloat, NonNegativeFloat] | None = None
    """The least and the largest factor of the differences from a channel's mean. Null: none."""

    @model_validator(mode="after")
    def _contrast_rises(self) -> Augment:
        """Raises ValueError where the least factor of contrast is above the largest."""
        if self.contrast is not None and self.contrast[0] > self.contrast[1]:
            raise ValueError("contrast must be [least, largest], such as [0.2, 1.8]")
        return self
