"""What string files hold besides their string, in each format and by the names for readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.data import fields
from engine.errors import InputError
from engine.record import string_file, string_parts
from engine.record.geometry import BeadString
from engine.record.string_file import Header, StringFile
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated

PROBLEM = {
    "data": {"kind": "polynomial", "coefficients": [0.3, -0.8, 1.4], "points": 9},
    "network": {"kind": "mlp", "sizes": [1, 1]},
    "loss": "mse",
}
HEADER = Header(
    outcome="connected",
    level=0.3,
    alpha=0.7,
    method="greedy",
    seed=5,
    problem=validated(ProblemSpec, PROBLEM),
    parameters=(("0.weight", (1, 1)), ("0.bias", (1,))),
    data_sha256="",
    bead_ids=(1, 2),
    elapsed_s=3.25,
)
STRING = BeadString(
    beads=np.array([[1.0, 2.0], [3.0, 5.0]], np.float32),
    losses=np.array([0.1, 0.2]),
    t=np.linspace(0, 1, 3),
    profiles=np.array([[0.1, 0.3, 0.2]]),
)

PARTS = {
    "ids": np.arange(6, dtype=np.int32).reshape(3, 2),
    "mask": np.array([[True], [False], [True]]),
}
Y = np.array([0.5, -1.0, 2.0], np.float32)[:, None]
FIXED = {"body.weight": np.eye(2, dtype=np.float32), "count": np.array(7)}
CARRIED = {"norm.mean": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pt"])
def test_inputs_and_what_is_no_weight_come_back(ending: str, tmp_path: Path) -> None:
    plain = StringFile(HEADER, STRING)
    file = replace(plain, data=(fields.joined(PARTS), Y), fixed=FIXED, carried=CARRIED)
    path = tmp_path / f"string{ending}"
    string_file.write(file, path)
    back = string_file.read(path)
    assert back.data is not None
    inputs = fields.parts(back.data[0])
    assert isinstance(inputs, dict)
    for found, expected in (
        (inputs, PARTS),
        (back.fixed, FIXED),
        (back.carried, CARRIED),
        ({"y": back.data[1]}, {"y": Y}),
    ):
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
    string_file.write(plain, path)
    assert string_file.read(path).fixed == string_file.read(path).carried == {}


def test_names_in_a_file_say_what_they_are() -> None:
    named = string_parts.of_data(fields.joined(PARTS), Y)
    assert set(named) == {"data.x.ids", "data.x.mask", "data.y"}
    assert set(string_parts.of_data(Y, Y)) == {"data.x", "data.y"}
    assert string_parts.under("data.x.", named).keys() == PARTS.keys()


def test_inputs_that_do_not_fit_are_no_samples(tmp_path: Path) -> None:
    held = string_parts.of_data(fields.joined(PARTS), Y)
    assert string_parts.data_in(held, tmp_path) is not None
    for wrong in ({"data.x.ids": PARTS["ids"][:2]}, {"data.x.mask": np.array(["a", "b", "c"])}):
        with pytest.raises(InputError, match="are not samples"):
            string_parts.data_in(held | wrong, tmp_path)
    assert string_parts.data_in({"data.y": Y}, tmp_path) is None
