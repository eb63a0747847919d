"""What becomes of viewers and their terminals, on every screen and whatever happens to them.

Terminals go away; signals, odd bytes, keys and changes of size come; the run's folder is removed.

`python -m benchmarks.hangups [--gone 100] [--each 10] [--checkout FOLDER --python INTERPRETER]`
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.support.pseudo_terminal import Viewer, viewer

PATIENCE_S = 15.0
"""Seconds after which a viewer that is still there counts as one that stays."""

ALLOWED_S = 2.0
"""Seconds in which a viewer shall be gone."""

SLACK_S = 1.0
"""Seconds more that a process may wait for its turn where both cores are busy."""


@dataclass(frozen=True)
class Trial:
    """What one viewer did."""

    right: bool
    """Whether it ended, or went on, as it should, and left its terminal at rest."""
    seconds: float
    """Time from the signal or the hang-up to its end."""
    note: str = ""
    """What was not right."""


@dataclass(frozen=True)
class Place:
    """A screen on which something happens: how to come there, and words that tell it is shown."""

    name: str
    arguments: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    """Keys to press, and the words to wait for before each."""
    words: str


@dataclass(frozen=True)
class Program:
    """The `dss-tui` that is looked at."""

    python: str
    checkout: Path

    def on(self, place: Place) -> contextlib.AbstractContextManager[Viewer]:
        """Starts a viewer."""
        return viewer(*place.arguments, python=self.python, checkout=self.checkout)


def reach(shown: Viewer, place: Place) -> None:
    """Brings a viewer to a screen."""
    for words, keys in place.steps:
        shown.wait_for(words)
        shown.press(keys)
    shown.wait_for(place.words)


def until_end(shown: Viewer, *, reading: bool) -> tuple[int | None, float]:
    """Waits for the end of a viewer and returns its status, None if it stays, and the seconds."""
    began = time.monotonic()
    while (seconds := time.monotonic() - began) < PATIENCE_S:
        if shown.process.poll() is not None:
            return shown.process.returncode, seconds
        if reading:
            shown.read(0.02)
        else:
            time.sleep(0.02)
    return None, seconds


def gone(program: Program, place: Place, delay_s: float) -> Trial:
    """The terminal goes away some time after the first frame of a screen."""
    with program.on(place) as shown:
        reach(shown, place)
        shown.read(delay_s)
        shown.hang_up()
        status, seconds = until_end(shown, reading=False)
        return Trial(
            status is not None and seconds <= ALLOWED_S + SLACK_S,
            seconds,
            "stays" if status is None else f"{seconds:.1f} s" if seconds > ALLOWED_S else "",
        )


def ends(program: Program, place: Place, number: signal.Signals) -> Trial:
    """A signal that ends the viewer, while its output is read."""
    with program.on(place) as shown:
        reach(shown, place)
        shown.process.send_signal(number)
        return ended(shown, *until_end(shown, reading=True), due=128 + number)


def unread(program: Program, place: Place, number: signal.Signals) -> Trial:
    """A signal that ends the viewer, while nobody reads its output and the terminal is full."""
    with program.on(place) as shown:
        reach(shown, place)
        for _ in range(200):
            shown.press("jk" * 20)
            time.sleep(0.01)
        shown.process.send_signal(number)
        return ended(shown, *until_end(shown, reading=False))


def goes_on(program: Program, place: Place, signals: tuple[signal.Signals, ...]) -> Trial:
    """Signals after which a viewer is to go on, until a key ends it."""
    with program.on(place) as shown:
        reach(shown, place)
        shown.send(*signals)
        return left_by_key(shown)


def odd_byte(program: Program, place: Place) -> Trial:
    """A byte that is not UTF-8, after which a viewer is to go on until a key ends it."""
    with program.on(place) as shown:
        reach(shown, place)
        shown.press(b"\xe9")
        return left_by_key(shown)


def resizes(program: Program, place: Place, seed: int) -> Trial:
    """Two hundred changes of size in a few seconds, after which a viewer is to go on."""
    draw = random.Random(seed)
    with program.on(place) as shown:
        reach(shown, place)
        for _ in range(200):
            shown.resize(draw.randint(2, 70), draw.randint(5, 250))
            shown.read(draw.random() / 50)
        shown.resize(24, 80)
        return left_by_key(shown)


def keys(program: Program, place: Place, seed: int) -> Trial:
    """Two hundred random keys as fast as they can be written, after which a viewer is to go on.

    Keys that leave the program or change what is on the disk are not among them.
    """
    draw = random.Random(seed)
    known = [*"123456pfsaLhjkgGtocv?/", "\t", "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[6~", "\x1b[I"]
    with program.on(place) as shown:
        reach(shown, place)
        for _ in range(200):
            shown.press(draw.choice(known))
        return left_by_key(shown)


def folder_gone(program: Program, place: Place, _seed: int) -> Trial:
    """The folder of the run is removed while it is shown, and a viewer is to go on."""
    with tempfile.TemporaryDirectory() as name:
        copies = [Path(name) / Path(part).name for part in place.arguments if "/" in part]
        for copied in copies:
            shutil.copytree(next(part for part in place.arguments if "/" in part), copied)
        arguments = [str(copies[0]) if "/" in part else part for part in place.arguments]
        with program.on(replace(place, arguments=tuple(arguments))) as shown:
            reach(shown, place)
            for copied in copies:
                shutil.rmtree(copied)
            return left_by_key(shown)


def left_by_key(shown: Viewer) -> Trial:
    """Leaves a viewer by ctrl+q, which every screen takes, and judges its end."""
    shown.read(1)
    if shown.process.poll() is None:
        shown.press("\x11")
    trial = ended(shown, *until_end(shown, reading=True), due=0)
    return Trial(False, trial.seconds, "traceback") if "Traceback" in shown.text() else trial


def keys_gone(program: Program, place: Place) -> Trial:
    """The keys come from another terminal, which goes away; the viewer is to end."""
    master, slave = pty.openpty()
    with viewer(
        *place.arguments, python=program.python, checkout=program.checkout, stdin=slave
    ) as shown:
        os.close(slave)
        for words, pressed in place.steps:
            shown.wait_for(words)
            os.write(master, pressed.encode())
        shown.wait_for(place.words)
        os.close(master)
        return ended(shown, *until_end(shown, reading=True), modes=False)


def ended(
    shown: Viewer,
    status: int | None,
    seconds: float,
    *,
    due: int | None = None,
    modes: bool = True,
) -> Trial:
    """Judges an end by its status, if one is due, and by what is left on the terminal."""
    left = [what for what in shown.unrest() if modes or what != "line modes"]
    if status is None:
        return Trial(False, seconds, "stays")
    if due is not None and status != due:
        left.append(f"status {status}")
    return Trial(not left, seconds, ", ".join(left))


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keeps that many cores busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def row(name: str, trials: list[Trial]) -> str:
    """A line of the table."""
    right = sum(trial.right for trial in trials)
    notes = [trial.note for trial in trials if trial.note]
    counted = "; ".join(f"{notes.count(note)} × {note}" for note in dict.fromkeys(notes))
    slowest = max((trial.seconds for trial in trials), default=0.0)
    return f"| {name} | {right} of {len(trials)} | {slowest:.2f} | {counted or '–'} |"


def places(run: Path) -> list[Place]:
    """The screens on which the terminal goes away."""
    menu = (("digits", ""),)
    return [
        Place("menu", (), (), "digits"),
        Place("run", ("attach", str(run)), (), "connected"),
        Place("zoom", ("attach", str(run)), (("connected", "\r"),), "previous segment"),
        Place("dialog", ("attach", str(run)), (("connected", "e"),), "Export the string"),
        Place("help", (), (*menu, ("help", "?")), "Keys of this screen"),
    ]


def kinds(program: Program) -> dict[str, Callable[[Place, int], Trial]]:
    """What can happen besides a terminal that goes away, each a trial of a place and a seed."""

    def signals(*numbers: signal.Signals) -> Callable[[Place, int], Trial]:
        return lambda place, _: goes_on(program, place, numbers)

    def ending(number: signal.Signals) -> Callable[[Place, int], Trial]:
        return lambda place, _: ends(program, place, number)

    stop, cont = signal.SIGSTOP, signal.SIGCONT
    return {
        "SIGSTOP and SIGCONT: goes on": signals(stop, cont),
        "SIGCONT alone: goes on": signals(cont),
        "SIGTSTP and SIGCONT: goes on": signals(signal.SIGTSTP, cont),
        "SIGTERM, nobody reading: ends": lambda place, _: unread(program, place, signal.SIGTERM),
        **{
            f"{number.name}: ends": ending(number)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
        },
        "a byte that is not UTF-8: goes on": lambda place, _: odd_byte(program, place),
        "keys from a terminal that goes away: ends": lambda place, _: keys_gone(program, place),
        "200 changes of size: goes on": partial(resizes, program),
        "200 random keys: goes on": partial(keys, program),
        "the run's folder is removed: goes on": partial(folder_gone, program),
    }


def main() -> None:
    """Runs all trials and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gone", type=int, default=100, help="terminals that go away")
    parser.add_argument("--each", type=int, default=2, help="trials of each other kind a screen")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the viewers")
    parser.add_argument("--checkout", type=Path, default=Path(__file__).parents[1])
    asked = parser.parse_args()
    program = Program(asked.python, asked.checkout.resolve())
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(asked.at_once) as threads:
        os.environ["DSS_TUI_RUNS"] = f"{name}/runs"
        run = Path(name) / "run"
        command = [asked.python, "-m", "dss_tui", "run", "quadratic", "--headless", "--out", run]
        environment = os.environ | {"PYTHONPATH": str(program.checkout)}
        subprocess.run(
            [*command, "--seed", "3", "--set", "search.level=5e-3"],
            check=True,
            capture_output=True,
            cwd=program.checkout,
            env=environment,
        )
        shown = places(run)
        drawn = [(shown[at % len(shown)], draw.random()) for at in range(asked.gone)]
        with busy_cores(2 if drawn else 0):
            trials = list(threads.map(lambda pair: gone(program, *pair), drawn))
        print("| what | as it should be | slowest end, s | otherwise |\n|---|---|---|---|")
        print(row("terminal gone, both cores busy: ends", trials))
        for place in shown:
            own = [trial for trial, pair in zip(trials, drawn, strict=True) if pair[0] is place]
            print(row(f"… on the {place.name}", own), flush=True)
        cases = [(place, seed) for place in shown for seed in range(asked.each)]
        lost = 0
        for what, kind in kinds(program).items():
            found = list(threads.map(lambda case, kind=kind: kind(*case), cases))
            lost += sum(not trial.right for trial in found)
            print(row(what, found), flush=True)
        lost += sum(not trial.right for trial in trials)
        print(f"{len(trials) + len(cases) * len(kinds(program))} tried, {lost} lost")


if __name__ == "__main__":
    main()
