"""The checksum by which runs and string files know their data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.arrays import classes_of, held, polynomial, x_of


def test_a_checksum_knows_the_training_samples_alone() -> None:
    x, y = x_of().astype(np.float32), classes_of(x_of())
    assert held().checksum() == held(x=x.copy(), y=y.copy()).checksum()
    assert held().checksum() == held(x=np.asfortranarray(x)).checksum()
    assert held().checksum() == held(x_held_out=x[5:9] + 3).checksum()


def nudged() -> NDArray[np.float32]:
    x = x_of().astype(np.float32)
    x[17, 2] = np.nextafter(x[17, 2], np.float32(np.inf))
    return x


@pytest.mark.parametrize(
    "changes",
    [
        {"x": nudged()},
        {"y": (classes_of(x_of()) + 1) % 5},
        {"x": x_of().astype(np.float32)[::-1]},
        {"x": x_of().astype(np.float32).reshape(3, -1)},
        {"x": x_of().astype(np.float32).view(np.int32)},
    ],
    ids=["value", "class", "order", "shape", "type"],
)
def test_a_checksum_tells_data_apart(changes: dict[str, Any]) -> None:
    assert held(**changes).checksum() != held().checksum()


def test_the_data_of_different_specs_have_different_checksums() -> None:
    made = [
        polynomial(points=29),
        polynomial(points=30),
        polynomial(points=29, sampling="random", seed=5),
        polynomial(points=29, sampling="random", seed=6),
    ]
    assert len({data.checksum() for data in made}) == len(made)
    assert made[0].checksum() == polynomial(points=29).checksum()
