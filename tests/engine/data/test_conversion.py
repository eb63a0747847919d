"""Data that are written into an archive are the same data when they are read from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data import DataKeys, load_data, room
from engine.data.arrays import ArraysData
from engine.data.cifar import Cifar10Data
from engine.data.conversion import convert, sizes
from engine.data.digits import DigitsData
from engine.data.polynomial import PolynomialData
from engine.data.room import is_mapped
from engine.data.text import TextData
from tests.support.image_files import write_cifar10


@pytest.fixture(params=["digits", "pixels", "text", "values"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> DataKeys:
    match request.param:
        case "digits":
            return DigitsData(kind="digits")
        case "pixels":
            folder = str(write_cifar10(tmp_path / "cifar"))
            return Cifar10Data(kind="cifar10", path=folder, standardize=True, limit=9)
        case "text":
            path = tmp_path / "text.txt"
            path.write_text("to be or not to be " * 40)
            return TextData(kind="text", path=str(path), length=5)
        case _:
            return PolynomialData(
                kind="polynomial", coefficients=(0.5, 2.0), points=30, sampling="grid"
            )


def test_converted_data_are_the_same(
    keys: DataKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_data(keys)
    monkeypatch.setattr(room, "IN_MEMORY", 64)
    read = ArraysData.model_validate(convert(keys, tmp_path / "own.npz"))
    found = read.read()
    assert found.checksum() == data.checksum()
    assert (found.classes, found.scaling, found.reads) == (data.classes, data.scaling, data.reads)
    for one, other in (
        (found.x, data.x), (found.y, data.y),
        (found.x_held_out, data.x_held_out), (found.y_held_out, data.y_held_out),
    ):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    assert is_mapped(found.x)
    assert read.caveat() == keys.caveat()
    told = sizes(read)
    assert (told.train, told.held_out) == (len(data.x), len(data.x_held_out))
    assert told.mapped_bytes >= found.x.nbytes and told.disk_bytes > told.mapped_bytes
