"""The command `dss-tui serve`: the screens in a browser, for whoever has the token."""

from __future__ import annotations

import asyncio
import secrets
import signal
from typing import TYPE_CHECKING

from engine.errors import InputError

if TYPE_CHECKING:
    from dss_tui.commands.web_server import WebServer


def serve(*, host: str, port: int, sessions: int) -> int:
    """Serves the screens until a signal ends it, and returns 128 + the signal's number.

    Raises InputError without textual-serve, for a host that is not loopback, and for a port or a
    number of sessions that cannot be.
    """
    try:
        from dss_tui.commands.web_server import WebServer, is_loopback
    except ModuleNotFoundError:
        raise InputError(
            "needs the package textual-serve; install it with `pip install textual-serve`, or "
            "dss-tui with its extra `web`",
            key="serve",
        ) from None
    if not is_loopback(host):
        raise InputError(
            f"is {host}, but there is no encryption, so only loopback is served; from another "
            f"machine, forward the port: ssh -L {port}:localhost:{port} THIS_MACHINE",
            key="--host",
        )
    if not 0 <= port < 2**16:
        raise InputError(f"is {port}, but must be from 0 to {2**16 - 1}", key="--port")
    if sessions < 1:
        raise InputError(f"is {sessions}, but must be at least 1", key="--sessions")
    token = secrets.token_urlsafe()
    return asyncio.run(_serve(WebServer(token, sessions), token, host, port))


async def _serve(server: WebServer, token: str, host: str, port: int) -> int:
    """Serves until a signal comes, and returns 128 + its number. Raises InputError."""
    from aiohttp import web

    from dss_tui.commands.web_server import GRACE_S

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, _end, ended, number)
    # Nothing is logged of requests: their addresses hold the token.
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise InputError(
                f"{host} port {port} cannot be served ({error.strerror}); choose another",
                key="--port",
            ) from None
        bound = runner.addresses[0][1]
        name = f"[{host}]" if ":" in host else host
        print(f"open http://{name}:{bound}/?token={token}", flush=True)
        print("ctrl+c ends it; searches go on. Whoever has this address can do what you can.")
        return 128 + await ended
    finally:
        await runner.cleanup()


def _end(ended: asyncio.Future[int], number: int) -> None:
    """Notes the first signal that asks the server to end."""
    if not ended.done():
        ended.set_result(number)
