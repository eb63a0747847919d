"""Files of a run's folder opened: regular ones only, bounded, without waiting or following."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.errors import SaveError
from engine.record.lines import LARGEST_FILE, LONGEST_LINE, LineTail, last_line
from engine.record.reading import MIB, Damaged, check_regular, read_bytes, read_text
from engine.record.writing import open_log, open_to_append


def made(kind: str, folder: Path) -> Path:
    """A file of that kind that holds, or leads to, the word outside."""
    path, outside = folder / "file", folder / "outside"
    outside.write_text("outside")
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
        case "link":
            path.symlink_to(outside)
        case "link to itself":
            path.symlink_to(path)
        case "link to a device":
            path.symlink_to("/dev/zero")
    return path


KINDS = {
    "directory": "it is a directory",
    "pipe": "it is a pipe",
    "socket": "it is a socket",
    "link": "it is a link, which is not followed",
    "link to itself": "it is a link, which is not followed",
    "link to a device": "it is a link, which is not followed",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_read(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path)
    for read in (
        lambda: read_bytes(path, MIB),
        lambda: check_regular(path),
        LineTail(path).new_lines,
    ):
        with pytest.raises(Damaged) as caught:
            read()
        assert str(caught.value) == f"damaged: {path}: {KINDS[kind]}"
        assert caught.value.short == f"damaged: file: {KINDS[kind]}"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_written(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path)
    for opened in (open_to_append, open_log):
        with pytest.raises(SaveError) as caught:
            opened(path)
        assert str(caught.value) == f"{path}: cannot be written: {KINDS[kind]}"
    assert (tmp_path / "outside").read_text() == "outside"


def test_a_device_is_not_read() -> None:
    with pytest.raises(Damaged, match="damaged: /dev/zero: it is a device"):
        read_bytes(Path("/dev/zero"), MIB)


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_bytes(tmp_path / "gone", MIB) is None
    assert read_bytes(tmp_path / "gone" / "deeper", MIB) is None
    assert not check_regular(tmp_path / "gone")
    with pytest.raises(Damaged, match="gone: it is missing"):
        read_text(tmp_path / "gone", MIB)


def test_content_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (2 * MIB))
    assert read_bytes(path, 2 * MIB) == b"x" * (2 * MIB)
    os.truncate(path, 2 * MIB + 1)
    with pytest.raises(Damaged, match="it holds more than 2 MiB"):
        read_bytes(path, 2 * MIB)


def test_text_is_utf_8(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("ρ".encode())
    assert read_text(tmp_path / "file", MIB) == "ρ"
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(Damaged, match="it is not UTF-8 text"):
        read_text(tmp_path / "file", MIB)


def test_lines_are_read_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    long = [bytes([65 + n]) * (LONGEST_LINE - 3) for n in range(3)]
    path.write_bytes(b"\n".join([b"a", *long, b"half"]))
    tail = LineTail(path)
    assert tail.new_lines() == [b"a", *long]
    assert tail.new_lines() == []
    with open(path, "ab") as file:
        file.write(b" and half\n")
    assert tail.new_lines() == [b"half and half"]


@pytest.mark.parametrize(
    ("size", "why"),
    [(LONGEST_LINE, "a line of more than 16 MiB"), (LARGEST_FILE + 1, "more than 1024 MiB")],
)
def test_lines_are_bounded(size: int, why: str, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    os.truncate(path, size)
    with pytest.raises(Damaged, match=why):
        LineTail(path).new_lines()


def test_two_faults_are_equal_where_they_say_the_same() -> None:
    fault = Damaged(Path("a/meta.json"), "it is a pipe")
    assert fault == Damaged(Path("a/meta.json"), "it is a pipe")
    assert len({fault, Damaged(Path("a/meta.json"), "it is a pipe")}) == 1
    assert fault != Damaged(Path("b/meta.json"), "it is a pipe")
    assert fault != Damaged(Path("a/meta.json"), "it is a socket")


@pytest.mark.parametrize(
    ("content", "last"),
    [
        (b"", None),
        (b"half", None),
        (b"\n", b""),
        (b"one\n", b"one"),
        (b"one\ntwo\nhalf", b"two"),
        (b"one\n" + b"x" * 2**15 + b"\n", b"x" * 2**15),
        (b"y" * 2**21 + b"\n" + b"z" * 2**14, b"y" * 2**21),
    ],
    ids=["empty", "half", "blank", "one", "two", "long", "long and a half"],
)
def test_the_last_whole_line(content: bytes, last: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert last_line(path) is None
    path.write_bytes(content)
    assert last_line(path) == last
    tail = LineTail(path).new_lines()
    assert (tail[-1] if tail else None) == last


def test_a_last_line_that_is_too_long_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with open(path, "wb") as file:
        file.write(b"one\n")
        file.truncate(2 * LONGEST_LINE + 5)
    with pytest.raises(Damaged, match="line of more than"):
        last_line(path)
