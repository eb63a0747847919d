"""Files of tensors as they are written, and what others read of them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from engine.record import tensor_file
from engine.record.tensor_file import Pieced, Stacked, bytes_of, write
from tests.support.arrays import OF_EACH_KIND

RANDOM = np.random.default_rng(0)
ARRAYS: dict[str, Any] = OF_EACH_KIND | {
    "apart": Stacked(list(RANDOM.standard_normal((3, 7)).astype(np.float32))),
    "turned": np.arange(6.0).reshape(2, 3).T,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "some.safetensors"
    made.write_bytes(written(ARRAYS, {"dss": "ü"}))
    return made


def written(arrays: dict[str, Any], metadata: dict[str, str]) -> bytes:
    held = BytesIO()
    write(held, arrays, metadata)
    return held.getvalue()


def test_every_reader_of_the_format_reads_it(path: Path) -> None:
    found = safetensors.numpy.load_file(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        expected = np.asarray(array)
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        assert found[name].tobytes() == expected.tobytes()
    with safe_open(path, framework="numpy") as file:
        assert file.metadata().keys() == {"checksums", "dss"}
        assert file.metadata()["dss"] == "ü"


def test_it_is_written_where_the_file_stands() -> None:
    held = BytesIO()
    held.write(b"before")
    write(held, {"a": np.arange(3)}, {})
    held.write(b"behind")
    assert held.getvalue() == b"before" + written({"a": np.arange(3)}, {}) + b"behind"


def test_large_arrays_are_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    array = RANDOM.standard_normal(100)
    whole = written({"a": array}, {})
    monkeypatch.setattr(tensor_file, "PIECE", 24)
    assert {len(part) for part in bytes_of(array)} == {24, 800 % 24}
    assert written({"a": array}, {}) == whole


def test_vectors_that_lie_apart_are_as_good_as_an_array() -> None:
    rows = [np.arange(3.0) + 10 * row for row in range(4)]
    apart, whole = Stacked(rows), np.stack(rows)
    assert (apart.shape, len(apart), apart.nbytes) == (whole.shape, len(whole), whole.nbytes)
    assert apart[2] is rows[2]
    assert np.array_equal(np.asarray(apart), whole)
    assert np.array_equal(np.asarray(apart, np.float32), whole.astype(np.float32))
    assert np.array_equal(apart[1:], whole[1:])
    assert np.array_equal(apart[[0, -1]], whole[[0, -1]])
    assert [row.tolist() for row in apart] == whole.tolist()


@pytest.mark.parametrize("piece", [1, 50, 10**6])
def test_rows_that_are_made_in_pieces_are_as_good_as_an_array(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_file, "PIECE", piece)
    whole = np.arange(42, dtype=np.int16).reshape(7, 3, 2)
    asked: list[int] = []

    def make(some: slice) -> Any:
        asked.append(some.stop - some.start)
        return whole[some]

    made = Pieced(7, (3, 2), whole.dtype, make)
    assert (made.shape, made.nbytes, len(made)) == (whole.shape, 84, 7)
    assert made.dtype == whole.dtype
    assert np.array_equal(np.asarray(made), whole)
    assert max(asked) == {1: 1, 50: 4, 10**6: 7}[piece] and sum(asked) == 7
    assert written({"a": made}, {}) == written({"a": whole}, {})


def test_structured_rows_have_fields_that_are_made_in_pieces() -> None:
    whole = np.zeros(5, [("ids", "<i8", (2,)), ("mask", "?")])
    whole["ids"], whole["mask"] = np.arange(10).reshape(5, 2), [True, False, True, True, False]
    made = Pieced(5, (), whole.dtype, lambda some: whole[some])
    for name in ("ids", "mask"):
        field = made[name]
        assert (field.shape, field.dtype) == (whole[name].shape, whole[name].dtype)
        assert np.array_equal(np.asarray(field), whole[name])


def test_no_file_holds_what_the_format_has_no_name_for() -> None:
    with pytest.raises(TypeError, match="z: no file can hold numbers of type complex128"):
        write(BytesIO(), {"z": np.array([1j])}, {})
