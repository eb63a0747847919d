"""Draws the pictures of this folder. Run it as `python docs/screenshots.py`.

It makes a run in a temporary folder and takes the screens from it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from dss_tui.cli import main as dss
from dss_tui.tui.app import DssApp, Opening
from engine.record.rundir import RunDir

HERE = Path(__file__).parent


async def take(opening: Opening, keys: list[str], size: tuple[int, int], name: str) -> None:
    """Opens the application, presses keys, and writes a picture of its screen.

    `size` is (columns, rows), and `name` is the picture's file in this folder.
    """
    app = DssApp(opening)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(1.0)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.5)
        (HERE / name).write_text(app.export_screenshot(title="dss-tui"), encoding="utf-8")


def main() -> None:
    """Draws both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DSS_TUI_RUNS"] = folder
        run = RunDir(Path(folder) / "quadratic-demo")
        dss(["run", "quadratic", "--headless", "--out", str(run.path), "--seed", "9"])
        asyncio.run(take(Opening(), [], (110, 30), "menu.svg"))
        asyncio.run(take(Opening(run), ["j", "s"], (130, 36), "run.svg"))


if __name__ == "__main__":
    main()
