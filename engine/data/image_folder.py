"""A user's own images: a folder for each class."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from engine.data.base import DataKeys, Dataset
from engine.data.files import locate, looked_in
from engine.errors import InputError, listed
from engine.part import Fraction, PathName, SeedInt, Size

KEY = "problem.data.path"
#: The endings of files that are taken for images, in small letters.
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
TRAIN, HELD_OUT = "train", ("test", "val")

Classes = dict[str, list[Path]]
"""The images of each class in order, by the class's name."""


class ImageFolderData(DataKeys):
    """Images in a folder for each class, or in train and test with such folders in each."""

    kind: Literal["imagefolder"]
    path: PathName
    """The folder that holds a folder for each class, or train and test (or val) with these."""
    size: tuple[Size, Size] | None = None
    """The height and width to which images are cut around their middle and scaled; null takes them
    as they are, all of one size."""
    channels: Literal[1, 3] = 3
    """The number of channels: 3 for colours, 1 for shades of grey."""
    held_out: Fraction = 0.2
    """The share of images that is held out where there is no folder test or val."""
    seed: SeedInt = 0
    """The seed by which the images held out are drawn."""
    standardize: bool = False
    """Whether each channel is scaled to mean 0 and standard deviation 1 over training images."""

    quick: ClassVar[bool] = False

    def read(self) -> Dataset:
        """Returns pixels (sample, channel, height, width), scaled to [0, 1], and class numbers.

        Classes are numbered by the order of their names. Many pixels are mapped from a file. Raises
        InputError where the folders hold no images, or some that cannot be read.
        """
        from engine.data.decoded_images import dataset

        train, held_out = self.parts()
        return dataset(self, train, held_out)

    def files(self) -> list[Path]:
        """Returns all images. Raises InputError where there are none."""
        return [path for part in self.parts() if part for path, _ in in_order(part)]

    def stored_counts(self) -> tuple[int, int]:
        """Returns how many images are trained on and how many held out, without decoding them.

        Raises InputError where there are none.
        """
        train, held_out = (sum(map(len, part.values())) for part in self.parts())
        if held_out:
            return train, held_out
        share = self.held_out_of(train)
        return train - share, share

    def parts(self) -> tuple[Classes, Classes]:
        """Returns the images to train on and those held out, none where they are yet to be drawn.

        Raises InputError where folders are missing, empty, or of other classes.
        """
        place = locate(self.path, folders=True)
        if place is None or not place.is_dir():
            looked = looked_in(self.path)
            raise InputError(f"no such folder: {looked}; correct {KEY}", file=self.path)
        if not (place / TRAIN).is_dir():
            return images_in(place), {}
        train = images_in(place / TRAIN)
        for name in HELD_OUT:
            if (place / name).is_dir():
                held_out = images_in(place / name)
                if unknown := sorted(held_out.keys() - train.keys()):
                    raise InputError(
                        f"holds {listed(unknown)}, which {place / TRAIN} does not; give both the "
                        "same classes",
                        file=place / name,
                    )
                return train, {each: held_out.get(each, []) for each in train}
        return train, {}

    def held_out_of(self, images: int) -> int:
        """Returns how many of some images are held out. Raises InputError where none are left."""
        count = round(images * self.held_out)
        if not 0 < count < images:
            raise InputError(
                f"is {self.held_out:g}, which leaves none of {images} images to hold out or none "
                "to train on; choose another share, or add a folder test",
                key="problem.data.held_out",
            )
        return count


def images_in(folder: Path) -> Classes:
    """Returns the images of each class, in folders of its name, at any depth.

    Raises InputError where there are no classes, or one without images.
    """
    named = sorted(each for each in folder.iterdir() if each.is_dir())
    classes = {each.name: sorted(filter(_is_image, each.rglob("*"))) for each in named}
    empty = [name for name, images in classes.items() if not images]
    if not classes or empty:
        what = f"{listed(empty)} in it without images" if empty else "no folders in it"
        raise InputError(
            f"has {what}; give each class a folder of images ({', '.join(ENDINGS)})", file=folder
        )
    return classes


def in_order(classes: Classes) -> list[tuple[Path, int]]:
    """Returns all images, those of one class after those of another, with the classes' numbers."""
    return [(path, number) for number, paths in enumerate(classes.values()) for path in paths]


def _is_image(path: Path) -> bool:
    """Returns whether a path is a file that is taken for an image."""
    return path.suffix.lower() in ENDINGS and path.is_file()
