"""Files that a user names: what is opened, and what is said of the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import own_file
from engine.data import archives
from engine.errors import InputError
from engine.record import string_file


def why(path: Path, largest: int = 100) -> str:
    with pytest.raises(OSError) as caught:
        own_file.read_text(path, largest)
    return str(caught.value.strerror)


def test_text_is_read_through_links(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("ä: 1", encoding="utf-8")
    (tmp_path / "link").symlink_to(path)
    assert own_file.read_text(tmp_path / "link", 5) == "ä: 1"
    assert why(path, 4) == "it holds more than 4 bytes"


def test_what_is_no_regular_file_is_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert why(pipe) == "it is no regular file"
    assert why(Path("/dev/zero")) == "it is no regular file"
    assert why(tmp_path) == "Is a directory"
    assert why(tmp_path / "none") == "No such file or directory"


def test_other_bytes_than_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes("ä".encode("latin-1"))
    assert why(path) == "it is not UTF-8 text"


def test_a_file_that_is_mostly_a_hole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hole"
    path.write_bytes(b"x" * 100)
    os.truncate(path, own_file.LARGE)
    own_file.opened(path).close()
    os.truncate(path, own_file.LARGE + 1)
    assert why(path) == own_file.HOLLOW


@pytest.mark.parametrize("reader", [string_file.read, archives.read])
def test_a_pointer_in_place_of_a_file_is_named(
    reader: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / "file.npz"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 12\n")
    with pytest.raises(InputError, match="git lfs pull"):
        reader(path)


def test_what_cannot_be_opened_is_left_to_its_reader(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, tmp_path / "gone", pipe):
        own_file.check_itself(path)
