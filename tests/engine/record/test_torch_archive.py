"""Archives of torch.save that are looked at before torch reads them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from engine.record.torch_archive import LARGEST_PICKLE, check_archive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "s.pt"
    torch.save({"a": torch.arange(1000.0), "b": "text"}, made)
    return made


def test_what_torch_saves_is_one(path: Path) -> None:
    assert check_archive(path)
    assert check_archive(path, checksums=True)


def test_other_files_are_none(tmp_path: Path) -> None:
    other = tmp_path / "old.pt"
    torch.save([1, 2], other, _use_new_zipfile_serialization=False)
    assert not check_archive(other)
    with pytest.raises(FileNotFoundError):
        check_archive(tmp_path / "none.pt")
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(OSError, match="no regular file"):
        check_archive(tmp_path / "pipe.pt")


def test_a_flipped_bit_is_seen(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert check_archive(path)
    with pytest.raises(ValueError, match="is not what was written"):
        check_archive(path, checksums=True)


def test_parts_that_unpack_to_more_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(10**6))
    with pytest.raises(ValueError, match="its parts are larger than it is"):
        check_archive(path)


def test_a_giant_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "giant.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("giant/data.pkl", bytes(LARGEST_PICKLE + 1))
    with pytest.raises(ValueError, match=r"its part 'giant/data\.pkl' is too large"):
        check_archive(path)


def test_parts_that_share_bytes_are_refused(path: Path) -> None:
    """Each of many parts is the whole of one piece of the file."""
    with zipfile.ZipFile(path, "a") as archive:
        entry = archive.infolist()[0]
        archive.filelist += [entry] * 50
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="its parts are larger than it is"):
        check_archive(path)
