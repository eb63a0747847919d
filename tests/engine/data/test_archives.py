"""Archives whose arrays are mapped: what is written is read, by numpy as well, wherever it lies."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.data import archives, room
from engine.data.room import is_mapped
from engine.errors import InputError

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


def test_the_archives_of_others_are_not_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs.npz"
    archives.write(path, ARRAYS)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    found = archives.read(path)
    os.truncate(path, 10)
    assert_same(found)


def test_an_archive_that_takes_its_place_meanwhile_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened once, so that what is mapped is what was checked."""
    path, other = tmp_path / "own.npz", tmp_path / "other.npz"
    archives.write(path, ARRAYS)
    archives.write(other, {name: np.zeros_like(array) for name, array in ARRAYS.items()})
    check = archives._check_sizes

    def checked(archive: zipfile.ZipFile, size: int) -> None:
        check(archive, size)
        os.replace(other, path)

    monkeypatch.setattr(archives, "_check_sizes", checked)
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


# ---------------------------------------------------------------- traps


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        archives.read(path)
    return caught.value.what


def promising(path: Path, shape: tuple[int, ...], held: bytes = b"") -> Path:
    """An archive whose one array has another size than its header says."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w") as member:
        head = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, head)
        member.write(held)
    return path


@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**9,), (3,), (5,), (-1, 4), (-1, -4)])
def test_an_array_is_as_large_as_its_header_says(shape: tuple[int, ...], tmp_path: Path) -> None:
    assert "its array 'x.npy' is not whole" in refusal(
        promising(tmp_path / "x.npz", shape, b"x" * 16)
    )


def test_an_archive_that_unpacks_to_a_lot_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((1000, 1000)))
    assert archives.read(path)["x"].shape == (1000, 1000)
    monkeypatch.setattr(archives, "LARGE_UNPACKED", 10**6)
    assert "its arrays unpack to more than 50 times its size" in refusal(path)


def test_what_python_2_has_written_is_read_without_a_warning(tmp_path: Path) -> None:
    """Its headers have long integers, of which numpy warns. Warnings are errors in tests."""
    path, array = tmp_path / "old.npz", np.arange(6.0).reshape(2, 3)
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L), }".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content + array.tobytes())
    np.testing.assert_array_equal(archives.read(path)["x"], array)


def test_arrays_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    archives.write(path, ARRAYS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist += archive.filelist
        archive._didModify = True  # type: ignore[attr-defined]
    assert "its arrays share bytes" in refusal(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_is_seen_where_arrays_are_read(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    save(path, x=ARRAYS["x"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"Bad CRC-32|Error -3|not whole"):
        archives.arrays_in(path, mapping=False)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.npz")
    assert refusal(tmp_path / "own.npz") == "cannot be read: it is no regular file"
