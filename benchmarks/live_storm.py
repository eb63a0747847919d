"""What becomes of a search under way and of its viewer, whatever happens to them.

The search is paused, stopped and resumed by keys among others and changes of size. Then the
terminal goes away, a signal comes, or a key leaves. The viewer has to end and to leave the terminal
at rest, and the engine has to be there and to answer, or to have ended as it was told to.

`python -m benchmarks.live_storm [--each 10]`
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.hangups import ALLOWED_S, SLACK_S, Trial, ended, row, until_end
from engine.record.commands import send
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from tests.support.pseudo_terminal import Viewer, viewer

#: A search that is not over before its trial is.
SEARCH = ("run", "quadratic-paper", "--set", "search.level=2e-4", "--set", "limits.seconds=600")

#: What steers the engine: pause or go on, stop after a question, resume.
STEERING = ("p", "pp", "xy", "xyr", "r", "pxy", "pxyr")
#: What else is typed in between: views, scales, the cursor, and the help opened and closed, but
#: nothing that leaves the screen.
OTHERS = (*"1234567sLfagG", "\x1b[C", "\x1b[D", "?\x1b")

ENDINGS = ("terminal closed", "SIGHUP", "SIGTERM", "SIGINT", "ctrl+q")

ENGINE_S = 120.0
"""Seconds after which an engine that was told to stop and is still there is lost."""


def storm(shown: Viewer, draw: random.Random) -> None:
    """Steers the engine by keys, among other keys and changes of size."""
    for _ in range(8):
        for keys in draw.sample(OTHERS, 3):
            shown.press(keys)
        for key in draw.choice(STEERING):
            shown.press(key)
            shown.read(draw.uniform(0.0, 0.4))
        if draw.random() < 0.3:
            shown.resize(draw.randint(12, 60), draw.randint(40, 200))
    shown.resize(24, 80)


def finish(shown: Viewer, ending: str) -> Trial:
    """Ends the viewer in one of the ways and judges how it left."""
    if ending == "terminal closed":
        shown.hang_up()
        status, seconds = until_end(shown, reading=False)
        late = status is None or seconds > ALLOWED_S + SLACK_S
        return Trial(not late, seconds, "the viewer stays" if late else "")
    if ending == "ctrl+q":
        shown.press("\x11")
        return ended(shown, *until_end(shown, reading=True))
    number = signal.Signals[ending]
    shown.process.send_signal(number)
    return ended(shown, *until_end(shown, reading=True), due=128 + number)


def trial(folder: Path, ending: str, seed: int) -> Trial:
    """One search with its viewer, from the start to the end of both."""
    run = RunDir(folder / f"{ending.replace(' ', '-')}-{seed}")
    draw = random.Random(f"{ending} {seed}")
    with viewer(*SEARCH, "--seed", str(seed), "--out", str(run.path)) as shown:
        shown.wait_for("running")
        shown.read(draw.uniform(0.0, 2.0))
        storm(shown, draw)
        if shown.process.poll() is not None:
            left = Trial(False, 0.0, f"the viewer ended by itself: {shown.text()[-200:]!r}")
        else:
            left = finish(shown, ending)
        if not left.right:
            print(f"{run.name}: {left.note}: {shown.text()[-1500:]}", file=sys.stderr, flush=True)
    lost = fate(run)
    return left if not lost else Trial(False, left.seconds, f"{left.note} {lost}".strip())


def fate(run: RunDir) -> str:
    """Stops the engine, if it is at work, and returns what is wrong with how it ended."""
    began = time.monotonic()
    while is_live(run) or summarize(run).state == "starting":
        if time.monotonic() - began > ENGINE_S:
            return "the engine does not answer"
        if is_live(run):
            send(run, "stop")
        time.sleep(0.5)
    state = summarize(run).state
    if state != "stopped":
        return f"the run is {state}"
    return "" if run.checkpoint.exists() else "there is no checkpoint"


def main() -> None:
    """Runs all trials and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=10, help="trials of each ending")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--endings", nargs="*", default=ENDINGS, choices=ENDINGS)
    asked = parser.parse_args()
    print("| a search under way, then | as it should be | slowest end, s | otherwise |")
    print("|---|---|---|---|")
    tried = lost = 0
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(asked.at_once) as threads:
        os.environ |= {"DSS_TUI_RUNS": f"{name}/runs", "OMP_NUM_THREADS": "1"}
        for ending in asked.endings:
            one: Callable[[int], Trial] = partial(trial, Path(name), ending)
            found = list(threads.map(one, range(asked.each)))
            tried, lost = tried + len(found), lost + sum(not each.right for each in found)
            print(row(ending, found), flush=True)
    print(f"{tried} tried, {lost} lost")


if __name__ == "__main__":
    main()
