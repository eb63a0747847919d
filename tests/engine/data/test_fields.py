"""Several inputs of a sample in one array."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data import fields
from engine.data.base import Dataset
from engine.data.custom import CustomData
from tests.support.kinds_parts import by_name

PARTS = {
    "ids": np.arange(6, dtype=np.int32).reshape(3, 2),
    "mask": np.array([True, False, True]),
    "picture": np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2),
    "values": np.linspace(-1, 1, 3, dtype=np.float32)[:, None],
}


def test_inputs_are_joined_and_come_apart_again() -> None:
    whole = fields.joined(PARTS)
    assert whole.shape == (3,)
    for which in (slice(None), slice(1, 3), np.array([2, 0])):
        found = fields.parts(whole[which])
        assert list(found) == list(PARTS)
        for name, part in PARTS.items():
            np.testing.assert_array_equal(found[name], part[which])
            assert found[name].dtype == part.dtype
    assert fields.parts(PARTS["ids"])["x"] is PARTS["ids"]


def test_a_function_is_applied_to_each_input() -> None:
    doubled = fields.each(lambda part: part.astype(np.float64) * 2, fields.joined(PARTS))
    np.testing.assert_array_equal(doubled["ids"], 2.0 * PARTS["ids"])
    np.testing.assert_array_equal(fields.each(np.negative, PARTS["ids"]), -PARTS["ids"])


def test_inputs_of_different_numbers_of_samples_are_none() -> None:
    with pytest.raises(ValueError, match="there are 3 of ids and 2 of values"):
        fields.joined({"ids": PARTS["ids"], "values": PARTS["values"][:2]})


def test_inputs_by_place_are_named_by_it() -> None:
    assert fields.named((4, 5)) == {"0": 4, "1": 5}
    assert fields.named({"a": 4}) == {"a": 4}


def data(name: str) -> Dataset:
    return CustomData(kind="custom", factory=f"tests.support.kinds_parts:{name}").read()


def test_a_factory_s_inputs_keep_their_types_and_shapes() -> None:
    inputs, _ = by_name()
    for found in (data("by_name"), data("Items")):
        parts = fields.parts(found.x)
        for name, expected in inputs.items():
            np.testing.assert_array_equal(parts[name], expected.numpy())
        assert parts["mask"].dtype == np.bool_ and parts["ids"].dtype == np.int32
    assert data("by_name").checksum() == data("Items").checksum() != data("by_place").checksum()
