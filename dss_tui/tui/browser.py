"""The application of one visitor in a browser: `python -m dss_tui.tui.browser`.

The server of `dss-tui serve` starts such a process for each visitor, and talks to it by packets on
its standard input and output.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.drivers.web_driver import WebDriver

from dss_tui.tui.app import DssApp, Opening


class BrowserDriver(WebDriver):
    """A driver that ends the application where its server has gone away."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        """Makes the driver; `options` are those of Textual's: `debug`, `mouse` and `size`."""
        super().__init__(app, **options)
        self._loop = asyncio.get_running_loop()

    def run_input_thread(self) -> None:
        """Hands keys and sizes to the application until there are no more, and then ends it."""
        super().run_input_thread()
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._app.exit)


def main() -> None:
    """Runs the application, which begins with the menu."""
    DssApp(Opening(), driver=BrowserDriver).run()


if __name__ == "__main__":
    main()
