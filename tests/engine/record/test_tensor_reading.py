"""Files of tensors of which nothing is trusted: what is read of them, and which are refused."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from engine.record import tensor_reading
from engine.record.reading import Damaged
from engine.record.tensor_file import write
from engine.record.tensor_reading import mapped, opened, read
from tests.support.arrays import OF_EACH_KIND

RANDOM = np.random.default_rng(0)
ARRAYS = OF_EACH_KIND


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "some.safetensors"
    held = BytesIO()
    write(held, ARRAYS, {"dss": "ü"})
    made.write_bytes(held.getvalue())
    return made


def fault(path: Path) -> str:
    """Why a file is not read."""
    with pytest.raises(Damaged) as caught:
        read(path)
    return caught.value.why


def listing(head: Any, body: bytes = b"", length: int | None = None) -> bytes:
    """A file with that list of tensors."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize("piece", [3, 2**24])
def test_all_that_was_written_is_read(
    piece: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_reading, "PIECE", piece)
    found, texts = read(path)
    assert texts == {"dss": "ü"}
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_what_others_write_is_read_without_checksums(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    safetensors.numpy.save_file(ARRAYS, path)
    found, texts = read(path)
    assert texts == {}
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_columns_are_read_alone(path: Path) -> None:
    with opened(path) as file:
        assert np.array_equal(file.columns("table", 1, 4), ARRAYS["table"][:, 1:4])


def test_every_flipped_bit_is_seen(path: Path) -> None:
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            found, texts = read(path)
        except Damaged:
            continue
        # The name of the checksums alone may be another: then nothing is checked, and all is there.
        assert texts.keys() - {"dss"} and texts["dss"] == "ü"
        assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_tensors_are_mapped_and_the_file_stays_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    for name, array in ARRAYS.items():
        found = mapped(path, name)
        assert np.array_equal(found, array)
        found[...] = 0
    assert path.read_bytes() == before


def test_the_files_of_others_are_not_mapped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    found = mapped(path, "table")
    os.truncate(path, 10)
    assert np.array_equal(found, ARRAYS["table"])


def test_what_is_mapped_is_checked(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last tensor, in the order of the file
    path.write_bytes(content)
    with pytest.raises(Damaged, match="'odd' is not what was written"):
        mapped(path, "odd")
    mapped(path, "odd", check=False)
    mapped(path, "table")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "its list of tensors is not whole"),
        (b"\xff" * 64, "its list of tensors is not whole"),
        (listing({}, length=2**63), "its list of tensors is not whole"),
        (listing(b"[]"), "its list of tensors is not one"),
        (listing(b"{x"), "it is not whole JSON"),
        (listing(b"[" * 10**5), "it is not whole JSON"),
        (listing({"a": 3}), "a is 3, but must be an object"),
        (listing({"__metadata__": {"dss": 3}}), "__metadata__.dss is 3, but must be a text"),
        (listing({"__metadata__": {"n" * 50: 3}}), "__metadata__." + 37 * "n" + "… is 3"),
        (listing({"__metadata__": None}), "__metadata__ is null, but must be an object"),
        (listing({"a": entry([2], 0, 8)}, bytes(7)), "do not lie one behind the other"),
        (listing({"a": entry([2], 0, 8)}, bytes(9)), "do not lie one behind the other"),
        (listing({"a": entry([1], 8, 4)}, bytes(8)), "do not lie one behind the other"),
        (
            listing({"a": entry([4], 0, 16), "b": entry([4], 8, 24)}, bytes(24)),
            "do not lie one behind the other",
        ),
        (listing({"a": entry([10**6, 10**6], 0, 8)}, bytes(8)), "its tensor 'a' is not whole"),
        (listing({"a": entry([2**32, 2**32], 0, 0)}), "its tensor 'a' is not whole"),
        (listing({"a": entry([True], 0, 4)}, bytes(4)), "a.shape.0 is true"),
        (listing({"a": entry([1], 0, 4, "F4")}, bytes(4)), "the unknown type F4"),
        (listing({"a": entry([0] * 40, 0, 0)}), "its tensor 'a' is not whole"),
        (listing({"a": entry([0, 2**52, 2**52], 0, 0)}), "its tensor 'a' is too large"),
        (listing({f"t{n}": entry([0], 0, 0) for n in range(100_001)}), "names 100001 tensors"),
        (listing({"__metadata__": {"checksums": "x"}}), "is not what was written"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "some.safetensors"
    path.write_bytes(content)
    assert why in fault(path)


def test_a_file_that_is_mostly_a_hole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    size = 2**32
    path.write_bytes(listing({"a": entry([size // 4], 0, size)}))
    os.truncate(path, path.stat().st_size + size)
    assert fault(path) == "most of it is a hole that nothing was written to"


def test_neither_links_nor_pipes_are_followed(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    for other, why in ((link, "a link"), (pipe, "a pipe"), (path.with_name("gone"), "missing")):
        with pytest.raises(Damaged, match=why):
            mapped(other, "table")
    assert read(link, follow=True)[1] == {"dss": "ü"}


def test_a_list_longer_than_is_read_is_refused(path: Path) -> None:
    with pytest.raises(Damaged, match="its list of tensors is not whole"):
        mapped(path, "table", largest_list=16)
