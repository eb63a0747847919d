"""Archives whose arrays are mapped: what is written is read, by numpy as well, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.data import archives, room
from engine.data.room import is_mapped

ARRAYS: dict[str, NDArray[Any]] = {
    "x": np.random.default_rng(3).integers(0, 256, (41, 3, 7, 5)).astype(np.uint8),
    "y": np.random.default_rng(4).normal(size=(41, 2)),
    "longer_name": np.arange(410, dtype=np.int16),
    "none": np.zeros((0, 4), np.float32),
    "classes": np.array(7),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "IN_MEMORY", 300)
    monkeypatch.setattr(room, "PIECE", 100)
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "cache"))


def assert_same(found: dict[str, NDArray[Any]]) -> None:
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_what_is_written_is_mapped_and_numpy_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    archives.write(path, ARRAYS)
    assert [each.name for each in tmp_path.iterdir()] == ["own.npz"]
    with np.load(path) as held:
        assert_same(dict(held))
    found = archives.read(path)
    assert_same(found)
    assert [is_mapped(found[name]) for name in ARRAYS] == [True, True, True, False, False]
    assert all(array.flags.aligned for array in found.values())
    found["x"][0] = 0  # a private copy of these pages
    assert_same(archives.read(path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpy_s_archives_are_read_in_pieces(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    save(path, **ARRAYS)
    assert_same(archives.read(path))


def test_columns_first_are_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    array = np.asfortranarray(ARRAYS["x"])
    np.savez(path, x=array)
    np.testing.assert_array_equal(archives.read(path)["x"], array)
