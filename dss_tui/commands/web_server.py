"""The server of `dss-tui serve`: textual-serve behind a token, for a few visitors on loopback.

Textual-serve by itself lets anybody in, and any web page that the user has open at the time. Here
the page and the websocket need the token, and downloads a cookie that comes with the page. Requests
must name this machine by a loopback name, and those of a web page must come from our own page.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from dss_tui.viewing import session

#: The command of a visitor's process.
COMMAND = (sys.executable, "-P", "-m", "dss_tui.tui.browser")

#: The seconds that a visitor's process has to end by itself before it is killed.
GRACE_S = 5.0

#: The name of the cookie that downloads need.
COOKIE = "dss-tui-download"

#: What the page may load: our own files and our own websocket, and nothing from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws://{host}; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Visitor(AppService):
    """The process of one visitor, which never outlives the visit."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        """Makes the visitor of a command; `options` are those of textual-serve's service."""
        super().__init__("", **options)
        self._words = tuple(command)

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Starts the process, without a shell between."""
        known = self._build_environment(width=width, height=height) | session.environment()
        size = {"COLUMNS": str(width), "ROWS": str(height)}  # not those of the server's terminal
        process = await asyncio.create_subprocess_exec(
            *self._words,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=known | size | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )
        self._process, self._stdin = process, process.stdin
        return process

    async def run(self) -> None:
        """Passes on what the process draws until it ends, and then ends the visit."""
        await super().run()
        await self.remote_close()

    async def end(self) -> None:
        """Ends the process: by a message, and by force where it takes longer than `GRACE_S`."""
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop(), GRACE_S)
        finally:
            if self._process is not None and self._process.returncode is None:
                with suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()


class WebServer(Server):
    """A server that shows the application to those who have the token."""

    def __init__(self, token: str, most: int, command: Sequence[str] = COMMAND) -> None:
        """Makes a server for at most so many visitors at a time, each with a `command`."""
        super().__init__("dss-tui", title="dss-tui")
        self._token, self._most, self._words = token, most, tuple(command)
        self._cookie = secrets.token_urlsafe()
        self._here: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """Returns the application with its routes, all of them guarded."""
        app = web.Application(middlewares=[_guard])
        aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(self.templates_path))
        app.router.add_get("/", self.handle_index)
        app.router.add_get("/ws/{token}", self.handle_websocket)
        app.router.add_get("/download/{key}", self.handle_download)
        app.router.add_static("/static", self.statics_path)
        app.on_shutdown.append(self.on_shutdown)
        return app

    async def on_shutdown(self, app: web.Application) -> None:
        """Ends all visits."""
        for socket in list(self._here):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")

    async def handle_index(self, request: web.Request) -> web.Response:
        """Serves the page to those who have the token."""
        _check(request.query.get("token", ""), self._token)
        self._check_room()
        context = {
            "font_size": 16,
            "app_websocket_url": f"ws://{request.host}/ws/{self._token}",
            "config": {"static": {"url": "/static/"}},
            "application": {"name": "dss-tui"},
        }
        page = aiohttp_jinja2.render_template("app_index.html", request, context)
        page.headers["Content-Security-Policy"] = POLICY.format(host=request.host)
        page.headers["Cache-Control"] = "no-store"
        page.headers["Referrer-Policy"] = "no-referrer"
        page.set_cookie(COOKIE, self._cookie, path="/download", httponly=True, samesite="Strict")
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Serves one visit, from its first frame until the visitor or the application leaves."""
        _check(request.match_info["token"], self._token)
        if "Origin" not in request.headers:
            raise web.HTTPForbidden(text="The websocket is for the page of this server only.\n")
        self._check_room()
        socket = web.WebSocketResponse(heartbeat=15)
        self._here.add(socket)
        try:
            await socket.prepare(request)
            await self._visit(socket, request)
        finally:
            self._here.discard(socket)
        return socket

    async def _visit(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        """Runs a visitor's process as long as the visit lasts."""

        async def close() -> None:
            await socket.close()

        visitor = Visitor(
            self._words,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        try:
            width, height = _cells(request, "width", 80), _cells(request, "height", 24)
            await visitor.start(width, height)
            await self._process_messages(socket, visitor)
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError):
            await socket.close(code=WSCloseCode.PROTOCOL_ERROR, message=b"not a message of ours")
        finally:
            await visitor.end()

    async def handle_download(self, request: web.Request) -> web.StreamResponse:
        """Serves a file that the application gives to its visitor."""
        _check(request.cookies.get(COOKIE, ""), self._cookie)
        return await super().handle_download(request)

    def _check_room(self) -> None:
        """Raises 503 where there are as many visitors as are allowed."""
        if len(self._here) >= self._most:
            raise web.HTTPServiceUnavailable(
                text=f"All {self._most} sessions are taken. Close one, or start `dss-tui serve` "
                "with more --sessions.\n"
            )


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets only requests through that name this machine and come from no other site's page."""
    if not is_loopback(_name(request.host)):
        raise web.HTTPForbidden(text="This server is reached by a loopback name only.\n")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        raise web.HTTPForbidden(text="This request comes from another site's page.\n")
    return await handler(request)


def is_loopback(name: str) -> bool:
    """Returns whether a host's name is localhost or an address of this machine alone."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Returns the name in a Host header, such as ::1 in [::1]:8000."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _check(given: str, wanted: str) -> None:
    """Raises 403 unless a secret is the wanted one. The time that it takes tells nothing of it."""
    if not secrets.compare_digest(given.encode(), wanted.encode()):
        raise web.HTTPForbidden(text="Open the address that `dss-tui serve` has printed.\n")


def _cells(request: web.Request, name: str, default: int) -> int:
    """Returns a width or height that a request names, within reason. Raises ValueError."""
    return min(max(int(request.query.get(name, default)), 1), 1000)
