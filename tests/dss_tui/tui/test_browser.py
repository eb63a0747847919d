"""The application of a visitor: it ends where its server has gone away."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "dss_tui.tui.browser"]


def packet(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("way", ["quit", "gone", "key"])
def test_it_draws_the_menu_and_ends(way: str) -> None:
    process = subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"__GANGLION__\n"
        drawn = b""
        while b"digits" not in drawn:
            head = process.stdout.read(5)
            drawn += process.stdout.read(int.from_bytes(head[1:], "big"))
        if way == "quit":
            process.stdin.write(packet(b"M", b'{"type": "quit"}'))
        elif way == "key":
            process.stdin.write(packet(b"D", b"\x11"))  # ctrl+q
        process.stdin.flush()
        if way == "gone":
            process.stdin.close()
            process.stdin = None
        left, errors = process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0 and errors == b""
    assert left.endswith(packet(b"M", b'{"type": "exit"}'))
