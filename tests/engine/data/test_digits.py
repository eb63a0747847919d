"""The digits that are shipped."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data import Dataset, load_data
from engine.data.digits import DigitsData


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data(DigitsData(kind="digits"))


def test_digits_have_their_promised_sizes(digits: Dataset) -> None:
    assert (digits.x.shape, digits.x_held_out.shape) == ((1437, 64), (360, 64))
    assert (digits.y.shape, digits.y_held_out.shape) == ((1437,), (360,))
    assert (digits.features, digits.outputs, digits.classes) == (64, 10, 10)
    assert digits.x.dtype == np.float32
    assert digits.y.dtype == digits.y_held_out.dtype == np.int64


def test_digits_are_sixteenths_of_full_ink(digits: Dataset) -> None:
    pixels = np.concatenate([digits.x, digits.x_held_out])
    np.testing.assert_array_equal(np.unique(pixels * 16), np.arange(17))


def test_digits_hold_the_published_number_of_each_class(digits: Dataset) -> None:
    counts = [np.bincount(y, minlength=10) for y in (digits.y, digits.y_held_out)]
    assert min(map(min, counts)) > 0
    assert (counts[0] + counts[1]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_no_digit_is_both_trained_on_and_held_out(digits: Dataset) -> None:
    train, held_out = ({row.tobytes() for row in x} for x in (digits.x, digits.x_held_out))
    assert not train & held_out
