"""Standard streams of all sorts: other encodings, full, closed, and without a reader."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from dss_tui.cli import main
from dss_tui.viewing.streams import guarded, unguarded
from engine.user_code import to_itself


@contextmanager
def streams(out: TextIO | None, errors: TextIO | None) -> Iterator[None]:
    """Puts other streams in place of the standard ones."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, errors
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def encoded(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")


def content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
@pytest.mark.parametrize(
    "command", [["presets", "digits"], ["presets"], ["data"], ["nothing.yaml"]]
)
def test_other_encodings(encoding: str, command: list[str]) -> None:
    """What cannot be written is replaced, and the exit status stays."""
    out, errors = encoded(encoding), encoded(encoding)
    with streams(out, errors):
        if command == ["nothing.yaml"]:
            assert main(["run", "näch…ts.yaml"]) == 2
        else:
            assert main(command) == 0
    assert content(out) or content(errors)


def test_closed_streams_take_nothing() -> None:
    with streams(None, None):
        assert main(["presets"]) == 0
        assert main(["presets", "nothing"]) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as full:
        with streams(full, sys.stderr):
            assert main(["presets", "digits"]) == 1
        assert "standard output: cannot be used: No space left" in capsys.readouterr().err
    with open("/dev/full", "w", buffering=1) as full, streams(sys.stdout, full):
        assert main(["presets", "nothing"]) == 2


def test_a_reader_that_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone, streams(gone, sys.stderr):
        assert main(["presets", "digits"]) == 141
    assert capsys.readouterr().err == ""


def test_only_what_is_ours_is_guarded(capsys: pytest.CaptureFixture[str]) -> None:
    """A user's function may draw, as progress bars do, and so may our own displays."""
    with guarded():
        print("a\x1b[31mb\rc")
        print("a\x1b[31mb", file=sys.stderr)
        with to_itself("mine"):
            print("\rhalf", end="")
        unguarded(sys.stderr).write("\x1b[K")
    out, errors = capsys.readouterr()
    assert out == "a\\x1b[31mb\\rc\n"
    assert errors == "a\\x1b[31mb\n\rhalf\x1b[K"
