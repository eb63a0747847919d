"""The server of the screens, asked by visitors with and without the token."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual_serve", reason="the extra web is not installed")

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import BaseTestServer, TestServer

from dss_tui.commands import web_server
from dss_tui.commands.web_server import COOKIE, WebServer, is_loopback

TOKEN = "a-token_of-43-letters"

#: A process that speaks textual-serve's protocol: it notes its number and draws one frame. It ends
#: when it is asked to, or draws once more for what is typed.
STUB = """
import os, sys
def packet(kind, data):
    os.write(1, kind + len(data).to_bytes(4, "big") + data)
open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
os.write(1, b"__GANGLION__\\n")
packet(b"D", f"{os.environ['COLUMNS']}x{os.environ['ROWS']}".encode())
while head := sys.stdin.buffer.read(5):
    body = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"M" and b"quit" in body and len(sys.argv) < 3:
        break
    if body == b"q":
        packet(b"M", b'{"type": "exit"}')
    elif body == b"crash":
        os._exit(7)
    elif head[:1] == b"D":
        packet(b"D", b"typed " + body)
"""


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    """The folder in which each visitor's process notes its number."""
    (tmp_path / "pids").mkdir()
    return tmp_path / "pids"


class Visit:
    """A server at work, and a client of it."""

    def __init__(self, server: BaseTestServer, client: ClientSession) -> None:
        self.server, self.client = server, client
        self.origin = f"http://{server.host}:{server.port}"

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.client.get(self.origin + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def open(
        self, token: str = TOKEN, origin: str | None = "", query: str = "?width=91&height=33"
    ) -> ClientWebSocketResponse:
        headers = {} if origin is None else {"Origin": origin or self.origin}
        return await self.client.ws_connect(f"{self.origin}/ws/{token}{query}", headers=headers)

    async def refused(self, **more: Any) -> int:
        with pytest.raises(WSServerHandshakeError) as error:
            await self.open(**more)
        return error.value.status


def visit(
    steps: Callable[[Visit], Awaitable[None]], pids: Path, most: int = 4, *options: str
) -> None:
    """Does the steps with a server of stubs."""

    async def body() -> None:
        command = [sys.executable, "-c", STUB, str(pids), *options]
        served = WebServer(TOKEN, most, command)
        async with TestServer(served.application()) as server, ClientSession() as client:
            await steps(Visit(server, client))

    asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")


def alive(pids: Path) -> list[int]:
    """The processes of visitors that have not been reaped."""
    found = []
    for name in os.listdir(pids):
        try:
            os.kill(int(name), 0)
        except ProcessLookupError:
            continue
        found.append(int(name))
    return found


@pytest.mark.parametrize("token", ["", "?token=", "?token=another", f"?token={TOKEN}x", "?token=é"])
def test_no_page_without_the_token(token: str, pids: Path) -> None:
    async def steps(here: Visit) -> None:
        status, words = await here.get(f"/{token}")
        assert status == 403 and "has printed" in words and TOKEN not in words

    visit(steps, pids)


def test_the_page_with_the_token(pids: Path) -> None:
    async def steps(here: Visit) -> None:
        async with here.client.get(f"{here.origin}/?token={TOKEN}") as answer:
            page, headers = await answer.text(), answer.headers
            assert answer.status == 200
        host = here.origin.removeprefix("http://")
        assert f'data-session-websocket-url="ws://{host}/ws/{TOKEN}"' in page
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert f"connect-src 'self' ws://{host};" in headers["Content-Security-Policy"]
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
        assert (await here.get("/static/js/textual.js"))[0] == 200
        assert (await here.get("/static/"))[0] in (403, 404)  # no list of files

    visit(steps, pids)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://{host}"]
)
def test_no_other_sites_page_comes_in(origin: str, pids: Path) -> None:
    async def steps(here: Visit) -> None:
        other = origin.format(host=here.origin.removeprefix("http://"))
        assert (await here.get(f"/?token={TOKEN}", Origin=other))[0] == 403
        assert await here.refused(origin=other) == 403
        assert (await here.get("/static/js/textual.js", Origin=other))[0] == 403
        assert (await here.get(f"/?token={TOKEN}", Origin=here.origin))[0] == 200

    visit(steps, pids)
    assert os.listdir(pids) == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "10.0.0.7", "localhost.evil", ""]
)
def test_only_a_loopback_name_reaches_it(host: str, pids: Path) -> None:
    """Otherwise a site could name its own address as one of this machine's."""

    async def steps(here: Visit) -> None:
        assert (await here.get(f"/?token={TOKEN}", Host=host))[0] in (400, 403)
        origin = f"http://{host}"
        assert (await here.get(f"/?token={TOKEN}", Host=host, Origin=origin))[0] in (400, 403)

    visit(steps, pids)


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8000", "127.8.0.1:80"])
def test_a_forwarded_port_may_be_another(host: str, pids: Path) -> None:
    async def steps(here: Visit) -> None:
        status, page = await here.get(f"/?token={TOKEN}", Host=host)
        assert status == 200 and f"ws://{host}/ws/{TOKEN}" in page

    visit(steps, pids)


def test_the_websocket_needs_token_and_origin(pids: Path) -> None:
    async def steps(here: Visit) -> None:
        assert await here.refused(token="another") == 403
        assert await here.refused(token="") in (403, 404)
        assert await here.refused(origin=None) == 403
        assert await here.refused(token="another", origin=None) == 403
        assert os.listdir(pids) == []
        socket = await here.open()
        assert (await socket.receive()).data == b"91x33"
        await socket.send_json(["stdin", "héllo"])
        assert (await socket.receive()).data == "typed héllo".encode()
        await socket.send_json(["ping", "x"])
        assert (await socket.receive_json()) == ["pong", "x"]
        await socket.close()

    visit(steps, pids)


@pytest.mark.parametrize("way", ["close", "abort", "quit", "crash", "nonsense", "shutdown"])
def test_the_process_ends_with_the_visit(way: str, pids: Path) -> None:
    async def steps(here: Visit) -> None:
        socket = await here.open()
        await socket.receive()
        (pid,) = alive(pids)
        if way == "close":
            await socket.close()
        elif way == "abort":
            transport = socket._writer.transport
            assert transport is not None
            transport.abort()
        elif way == "shutdown":
            return
        else:
            sent = {"quit": ["stdin", "q"], "crash": ["stdin", "crash"], "nonsense": {"a": 3}}
            await socket.send_json(sent[way])
            closed = await socket.receive()
            assert closed.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        await until(lambda: pid not in alive(pids))

    visit(steps, pids)
    assert alive(pids) == []


def test_a_process_that_does_not_end_by_itself_is_killed(
    pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "GRACE_S", 0.2)

    async def steps(here: Visit) -> None:
        socket = await here.open()
        await socket.receive()
        await socket.close()
        await until(lambda: alive(pids) == [])

    visit(steps, pids, 4, "deaf")


def test_there_are_only_so_many_sessions(pids: Path) -> None:
    async def steps(here: Visit) -> None:
        sockets = [await here.open() for _ in range(2)]
        for socket in sockets:
            await socket.receive()
        assert await here.refused() == 503
        status, words = await here.get(f"/?token={TOKEN}")
        assert status == 503 and "All 2 sessions are taken" in words
        assert (await here.get("/?token=another"))[0] == 403  # told only to those who may come in
        assert len(alive(pids)) == 2
        await sockets[0].close()
        await until(lambda: len(alive(pids)) == 1)
        while (await here.get(f"/?token={TOKEN}"))[0] == 503:
            await asyncio.sleep(0.01)  # the place is free a moment after the process has ended
        again = await here.open()
        assert (await again.receive()).data == b"91x33"
        await again.close()

    visit(steps, pids, most=2)


def test_downloads_need_the_cookie_of_the_page(pids: Path) -> None:
    async def steps(here: Visit) -> None:
        assert (await here.get("/download/key"))[0] == 403
        assert (await here.get("/download/key", Cookie=f"{COOKIE}={TOKEN}"))[0] == 403
        assert (await here.get(f"/download/key?token={TOKEN}"))[0] == 403
        async with here.client.get(f"{here.origin}/?token={TOKEN}") as answer:
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        assert (await here.get("/download/key", Cookie=cookie))[0] == 404  # there is no such file
        other = {"Cookie": cookie, "Origin": "http://evil.example"}
        assert (await here.get("/download/key", **other))[0] == 403

    visit(steps, pids)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("?width=-5&height=9999999", b"1x1000"), ("", b"80x24"), ("?width=x&height=3", None)],
)
def test_a_size_is_within_reason_or_refused(query: str, expected: bytes | None, pids: Path) -> None:
    async def steps(here: Visit) -> None:
        socket = await here.open(query=query)
        message = await socket.receive()
        if expected is None:
            assert message.type is WSMsgType.CLOSE
        else:
            assert message.data == expected
        await socket.close()

    visit(steps, pids)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.3", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_what_counts_as_loopback(name: str, expected: bool) -> None:
    assert is_loopback(name) is expected
