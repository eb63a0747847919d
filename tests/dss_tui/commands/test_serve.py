"""`dss-tui serve`: what it prints, refuses, and leaves."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.support.commands import refused


def test_without_the_extra_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "dss_tui.commands.web_server", None)
    told = refused(capsys, ["serve"], "needs the package", "`pip install textual-serve`")
    assert told.startswith("dss-tui: serve: ")


@pytest.fixture
def web() -> None:
    pytest.importorskip("textual_serve", reason="the extra web is not installed")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.3", "example.org"])
def test_only_loopback_is_served(host: str, web: None, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["serve", "--host", host], f"--host: is {host}", "ssh -L 8000:localhost:8000")


@pytest.mark.parametrize(
    ("option", "value"), [("--port", "-1"), ("--port", "65536"), ("--sessions", "0")]
)
def test_numbers_that_cannot_be_are_refused(
    option: str, value: str, web: None, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["serve", f"{option}={value}"], f"{option}: is {value}, but must be")


def test_a_port_that_is_taken_is_named(web: None, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        where = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        refused(capsys, where, "--port", f"port {port} cannot be served", "choose another")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_shows_the_menu_to_a_visitor_and_ends_with_a_signal(
    number: signal.Signals, web: None
) -> None:
    from aiohttp import ClientSession

    server = subprocess.Popen(
        [sys.executable, "-m", "dss_tui", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    first = server.stdout.readline()

    async def look() -> bytes:
        """The first frames that a visitor sees, and the server's end while the visitor is there."""
        place = re.fullmatch(r"open (http://localhost:\d+)/\?token=([\w-]{43})\n", first)
        assert place is not None, first
        origin, token = place.groups()
        async with ClientSession() as client:
            headers = {"Origin": origin}
            async with client.ws_connect(f"{origin}/ws/{token}", headers=headers) as visit:
                drawn = b""
                async for message in visit:
                    drawn += message.data if isinstance(message.data, bytes) else b""
                    if b"digits" in drawn and server.poll() is None:
                        server.send_signal(number)
                return drawn

    try:
        drawn = asyncio.run(look())
        rest, errors = server.communicate()
    finally:
        server.kill()
        server.communicate()
    assert b"digits" in drawn
    assert server.returncode == 128 + number
    assert "token" not in rest + errors and "Traceback" not in errors
