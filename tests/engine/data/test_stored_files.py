"""Files of published data sets that hold more than any of them: none is read as a whole."""

from __future__ import annotations

import gzip
import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from engine.data import stored_files
from engine.data.stored_files import contents, members, uncompressed_size
from engine.data.survey import Source
from engine.errors import InputError

SOURCE = Source("MNIST", ("a",), "http://example.org/")
MOST = 3 * stored_files.PIECE


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_files, "LARGEST", MOST)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        contents(path, SOURCE)
    return caught.value.what


@pytest.mark.parametrize("packed", [False, True])
def test_as_much_as_the_bound_is_read(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(bytes(MOST)) if packed else bytes(MOST))
    assert contents(path, SOURCE) == bytes(MOST)
    path.write_bytes(gzip.compress(bytes(MOST + 1)) if packed else bytes(MOST + 1))
    assert refusal(path).startswith("holds more than 3 MiB, and so is none of the published files")


def test_a_tar_is_not_unpacked_without_end(tmp_path: Path) -> None:
    held = BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, size in (("first", 10), ("long", 2 * MOST), ("last", 10)):
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, BytesIO(bytes(size)))
    tar = tmp_path / "some.tar.gz"
    tar.write_bytes(gzip.compress(held.getvalue()))
    with pytest.raises(OSError):
        members(tar)
    assert "holds more than 3 MiB" in refusal(tar / "first")


def test_pipes_and_holes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "cannot be read: it is no regular file"
    hole = tmp_path / "hole"
    hole.write_bytes(gzip.compress(b"x"))
    os.truncate(hole, 2**30)
    assert "most of it is a hole" in refusal(hole)
    with pytest.raises(InputError, match="most of it is a hole"):
        uncompressed_size(hole, 1, SOURCE)
