"""Draws the pictures of this folder. Run it as `python docs/screenshots.py`.

It makes runs in a temporary folder and takes the screens from them. With `--all FOLDER` it draws
every screen at five sizes and in four colourings instead, as SVG, and as PNG too where
`rsvg-convert` is installed: for whoever changes a screen and wants to look at it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from dss_tui.cli import main as dss
from dss_tui.tui.app import DssApp, Opening
from dss_tui.viewing import session
from engine.record.commands import send
from engine.record.lock import is_live
from engine.record.progress import read_progress
from engine.record.rundir import RunDir
from presets import load_preset

HERE = Path(__file__).parent

Size = tuple[int, int]
SIZES: tuple[Size, ...] = ((60, 16), (80, 24), (100, 30), (140, 40), (200, 60))


@dataclass(frozen=True)
class Colouring:
    """The colours of a terminal: what it says of itself, and the theme that is chosen."""

    term: str = "xterm-256color"
    depth: str = "truecolor"
    plain: bool = False
    theme: str = "textual-dark"


COLOURINGS = {
    "dark": Colouring(),
    "light": Colouring(theme="textual-light"),
    "no-color": Colouring(plain=True),
    "16": Colouring(term="xterm", depth="", theme="ansi-dark"),
}


@dataclass(frozen=True)
class Visit:
    """An opening of the application, and what is drawn in it after which keys."""

    opening: Opening
    stops: tuple[tuple[str, str], ...]
    """Names of pictures, each with the keys that lead to it from the one before."""
    live: bool = False
    """Whether the screen goes on changing, so that it is drawn as it is after a second."""


@contextmanager
def terminal(colours: Colouring) -> Iterator[None]:
    """Makes the environment that of a terminal with these colours."""
    told = {"TERM": colours.term, "COLORTERM": colours.depth}
    told |= {"NO_COLOR": "1"} if colours.plain else {}
    before = dict(os.environ)
    os.environ.pop("NO_COLOR", None)
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def settled(pilot: Pilot[None]) -> None:
    """Waits until the screen shows the same twice, and nothing that is still being made."""
    before, now = "", "."
    for _ in range(100):
        await pilot.pause(0.3)
        before, now = now, pilot.app.export_screenshot()
        if before == now and not any(word in now for word in ("measuring", "reading")):
            return


async def take(visit: Visit, size: Size, theme: str, folder: Path) -> list[Path]:
    """Opens the application, goes from stop to stop, and returns the pictures that it wrote.

    `size` is (columns, rows). A picture lies in `folder`, under its stop's name.
    """
    app, written = DssApp(visit.opening), []
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.5)
        app.theme = theme
        for name, keys in visit.stops:
            await pilot.press(*keys.split())
            await (pilot.pause(1.0) if visit.live else settled(pilot))
            written.append(folder / f"{name}.svg")
            drawn = app.export_screenshot(title="dss-tui")
            # rsvg-convert takes leading blanks away where they are not said to count.
            kept = drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)
            written[-1].write_text(kept, encoding="utf-8")
    return written


def made(folder: Path) -> tuple[RunDir, RunDir, RunDir]:
    """Makes a run that connects, one that does not, and a sweep in a folder."""
    runs = [folder / name for name in ("quadratic-demo", "quadratic-stuck", "sweep")]
    options = ["--headless", "--seed", "9"]
    dss(["run", "quadratic", "--out", str(runs[0]), *options])
    stuck = ["--set", "search.method=greedy", "--set", "search.greedy.max_depth=2"]
    dss(["run", "quadratic", "--out", str(runs[1]), *options, *stuck])
    levels = ["--levels", "1e-2,3e-3,1e-3", "--pairs", "5", "--out", str(runs[2])]
    dss(["sweep", "quadratic", *levels, *options])
    connected, failed, sweep = map(RunDir, runs)
    return connected, failed, sweep


def visits(connected: RunDir, failed: RunDir, sweep: RunDir) -> tuple[Visit, ...]:
    """Returns the way through all screens."""
    menu = (
        ("menu", ""),
        ("menu-filter", "slash l i n"),
        ("help-menu", "escape question_mark"),
        ("runs", "escape 2"),
        ("compare", "down space space c"),
        ("compare-plane", "2"),
        ("compare-differences", "3"),
    )
    run = (
        ("run", "right right right"),
        *((f"view-{number}", str(number)) for number in range(2, 8)),
        ("zoom", "1 enter"),
        ("plane", "escape P"),
        ("export", "escape e"),
        ("help-run", "escape question_mark"),
        ("again", "escape n"),
        ("replay", " ".join(("escape space p", *["greater_than_sign"] * 14))),
    )
    stuck = (("failed", "right"), ("diagnosis", "d"))
    return (
        Visit(Opening(), menu),
        Visit(Opening(connected), run),
        Visit(Opening(failed), stuck),
        Visit(Opening(sweep), (("sweep", ""), ("sweep-help", "question_mark"))),
    )


@contextmanager
def at_work(folder: Path) -> Iterator[RunDir]:
    """Runs an engine on a string that it lowers for half a minute, from some beads on."""
    options = ["search.level=0.02", "search.method=constrained", "seed=1"]
    run = session.start(load_preset("cubic-paper", options), "cubic-paper", folder / "live")
    try:
        while (now := read_progress(run)) is None or len(now.order) < 5:
            time.sleep(0.1)
        yield run
    finally:
        send(run, "stop")
        while is_live(run):
            time.sleep(0.1)
        shutil.rmtree(run.path)


def draw_all(folder: Path, runs: tuple[RunDir, RunDir, RunDir]) -> None:
    """Draws every screen at every size in every colouring."""
    for name, colours in COLOURINGS.items():
        for size in SIZES:
            there = folder / name / f"{size[0]}x{size[1]}"
            there.mkdir(parents=True, exist_ok=True)
            for visit in visits(*runs):
                draw(visit, size, colours, there)
            with tempfile.TemporaryDirectory() as elsewhere, at_work(Path(elsewhere)) as run:
                stops = (("live", ""), ("live-segments", "2"), ("live-history", "5"))
                draw(Visit(Opening(run), stops, live=True), size, colours, there)
            print(there, flush=True)


def draw(visit: Visit, size: Size, colours: Colouring, there: Path) -> None:
    """Draws the pictures of a visit in a folder."""
    with terminal(colours):
        written = asyncio.run(take(visit, size, colours.theme, there))
    for picture in written:
        to_png(picture)


def to_png(picture: Path) -> None:
    """Draws a picture as PNG beside itself, where there is a program for it."""
    convert = shutil.which("rsvg-convert")
    if convert is not None:
        subprocess.run([convert, picture, "-o", picture.with_suffix(".png")], check=True)


def draw_docs(connected: RunDir) -> None:
    """Draws the pictures of this folder."""
    menu, run = Visit(Opening(), (("menu", ""),)), (("run", "right right right right"),)
    with terminal(Colouring()):
        asyncio.run(take(menu, (110, 30), "textual-dark", HERE))
        asyncio.run(take(Visit(Opening(connected), run), (130, 36), "textual-dark", HERE))


def main() -> None:
    """Draws this folder's pictures, or with `--all` those of every screen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    everything = parser.parse_args().all
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DSS_TUI_RUNS": folder, "XDG_CONFIG_HOME": f"{folder}/config"}
        runs = made(Path(folder))
        if everything is None:
            draw_docs(runs[0])
        else:
            draw_all(everything, runs)


if __name__ == "__main__":
    main()
