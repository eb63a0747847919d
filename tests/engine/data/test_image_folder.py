"""A user's own images: which files are read, what pixels they hold, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from engine.data import Dataset, counts, load_data
from engine.data.base import Scaling
from engine.data.image_folder import ImageFolderData
from engine.errors import InputError
from tests.support.image_files import pixels


def spec(folder: Path, **keys: Any) -> ImageFolderData:
    return ImageFolderData(kind="imagefolder", path=str(folder), **keys)


def load(folder: Path, **keys: Any) -> Dataset:
    return load_data(spec(folder, **keys))


def draw(path: Path, seed: int, height: int = 5, width: int = 7) -> NDArray[np.uint8]:
    """Writes an image of random colours without loss; returns its pixels by channel."""
    image = pixels(height, width, 3, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return image.transpose(2, 0, 1)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Three to train on and two held out, in two classes, and files that are no images."""
    draw(tmp_path / "train" / "dog" / "1.png", 1)
    draw(tmp_path / "train" / "cat" / "2.PNG", 2)
    draw(tmp_path / "train" / "cat" / "kittens" / "1.bmp", 3)
    draw(tmp_path / "val" / "dog" / "9.png", 4)
    draw(tmp_path / "val" / "dog" / "8.png", 5)
    (tmp_path / "train" / "dog" / "list.txt").write_text("1.png")
    return tmp_path


def test_classes_are_numbered_by_their_names(split: Path) -> None:
    data = load(split)
    expected = [pixels(5, 7, 3, seed=seed).transpose(2, 0, 1) for seed in (2, 3, 1)]
    np.testing.assert_array_equal(data.x, np.stack(expected))
    assert data.y.tolist() == [0, 0, 1]
    held = [pixels(5, 7, 3, seed=seed).transpose(2, 0, 1) for seed in (5, 4)]
    np.testing.assert_array_equal(data.x_held_out, np.stack(held))
    assert data.y_held_out.tolist() == [1, 1]
    assert (data.classes, data.reads, counts(spec(split))) == (2, "pixels", (3, 2))
    assert len(spec(split).files()) == 5


def test_without_a_test_folder_some_are_drawn(tmp_path: Path) -> None:
    for number in range(10):
        draw(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    data, other = load(tmp_path, held_out=0.3), load(tmp_path, held_out=0.3, seed=5)
    assert counts(spec(tmp_path, held_out=0.3)) == (len(data.x), len(data.x_held_out)) == (7, 3)
    together = np.concatenate([data.x, data.x_held_out]).reshape(10, -1)
    drawn = np.stack([pixels(5, 7, 3, seed=n).transpose(2, 0, 1).ravel() for n in range(10)])
    np.testing.assert_array_equal(np.sort(together, 0), np.sort(drawn, 0))
    for image, label in zip(together, np.concatenate([data.y, data.y_held_out]), strict=True):
        (number,) = (drawn == image).all(1).nonzero()[0]
        assert number % 2 == label
    assert data.checksum() == load(tmp_path, held_out=0.3).checksum() != other.checksum()


def test_sizes_and_channels(split: Path) -> None:
    draw(split / "train" / "dog" / "tall.png", 7, 9, 4)
    data = load(split, size=(4, 4), channels=1, standardize=True)
    assert data.x.shape == (4, 1, 4, 4)
    with Image.open(split / "train" / "dog" / "tall.png") as image:
        grey = ImageOps.fit(image.convert("L"), (4, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.x[3, 0], np.asarray(grey))
    assert isinstance(data.scaling, Scaling)
    assert data.scaling.mean[0] == pytest.approx(data.x.mean() / 255)


def refusal(folder: Path, **keys: Any) -> str:
    with pytest.raises(InputError) as refused:
        load(folder, **keys)
    return str(refused.value)


def test_images_of_another_size_are_refused(split: Path) -> None:
    path = split / "train" / "dog" / "tall.png"
    draw(path, 7, 9, 4)
    assert refusal(split) == (
        f"{path}: has 9 × 4 pixels, but {split}/train/cat/2.PNG has 5 × 7; set problem.data.size "
        "to [height, width]"
    )


def test_damaged_and_deep_images_are_refused(split: Path) -> None:
    path = split / "train" / "dog" / "z.png"
    path.write_bytes((split / "train" / "dog" / "1.png").read_bytes()[:-40])
    assert refusal(split).startswith(f"{path}: cannot be read as an image (")
    Image.fromarray(np.full((5, 7), 40000, np.uint16)).save(path)
    assert refusal(split).startswith(
        f"{path}: cannot be read as an image (ValueError: its pixels have more than 8 bits); repl"
    )


def test_folders_without_images_are_refused(split: Path) -> None:
    missing = split / "nowhere"
    assert refusal(missing) == f"{missing}: no such folder: {missing}; correct problem.data.path"
    (split / "train" / "cow").mkdir()
    assert refusal(split).startswith(f"{split / 'train'}: has cow in it without images; give each ")
    (split / "train" / "cow").rmdir()
    draw(split / "val" / "cow" / "1.png", 3)
    assert refusal(split).startswith(f"{split / 'val'}: holds cow, which {split / 'train'} does no")
    assert refusal(split / "val" / "cow").startswith(f"{split / 'val' / 'cow'}: has no folders in")


def test_a_share_must_leave_images(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png", 1)
    assert refusal(tmp_path).startswith(
        "problem.data.held_out: is 0.2, which leaves none of 1 images to hold out or none to train"
    )


def test_without_pillow_it_says_what_to_install(
    split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert refusal(split) == (
        "problem.data.kind: is imagefolder, which needs pillow to decode images; install "
        "dss-tui[images]"
    )
