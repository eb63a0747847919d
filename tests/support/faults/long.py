"""Commands and screens on a run with very many events, and on a folder of very many runs.

`python -m tests.support.faults.long --events 100000 --runs 200` makes a run, repeats what happens
to its beads until it has so many events, and copies it so often. Each command and each screen is
tried in a process of its own, as in the campaign on damaged files. A line tells the seconds of the
processor and the memory that it took. The exit status is 1 where one took more than 10 s or 1 GiB,
or ended in a traceback.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from itertools import cycle
from pathlib import Path

from engine.record.events import BeadTrained, Record, RunFinished, SegmentMeasured
from engine.record.records import read_all_records
from engine.record.rundir import RunDir
from tests.support.faults import watching
from tests.support.faults.targets import command, run_folder
from tests.support.faults.trial import Do, attempt


def lengthen(run: RunDir, count: int) -> None:
    """Repeats the events of a run's beads and segments before its last one, up to a count."""
    records = read_all_records(run)
    end = records.pop()
    assert isinstance(end.event, RunFinished)
    often = [
        each.event for each in records if isinstance(each.event, BeadTrained | SegmentMeasured)
    ]
    for event in cycle(often):
        if len(records) == count - 1:
            break
        records.append(Record(len(records) + 1, end.time, event))
    records.append(replace(end, seq=len(records) + 1))
    run.events.write_text("".join(f"{record.to_line()}\n" for record in records))


def tried(place: Path, events: int, runs: int) -> dict[str, Do]:
    """What is tried, by name, on one run with many events and then on many runs."""
    long = run_folder(place / "long", "connected").folder
    lengthen(RunDir(long), events)
    many = run_folder(place / "many", "connected").folder
    for number in range(1, runs):
        shutil.copytree(many, many.with_name(f"run-{number}"))

    def listed(folder: Path, do: Do) -> int:
        os.environ["DSS_TUI_RUNS"] = str(folder.parent)
        return do()

    of_one: dict[str, Do] = {
        "ls": command("ls"),
        "diagnose": command("diagnose", long),
        "resume": command("resume", long, "--headless"),
        "export": command("export", long, "--out", place / "out.safetensors"),
        "its words and curves": partial(watching.words, long),
        "its screen": partial(watching.screen, long, watching.OF_A_RUN),
        "the menu": partial(watching.screen, None, watching.OF_THE_MENU),
    }
    of_many = {"ls": command("ls"), "the menu": of_one["the menu"]}
    return {
        **{f"{events} events: {name}": partial(listed, long, do) for name, do in of_one.items()},
        **{f"{runs} runs: {name}": partial(listed, many, do) for name, do in of_many.items()},
    }


def main() -> int:
    """Tries each, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults.long")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=200)
    asked = parser.parse_args()
    lost = 0
    with tempfile.TemporaryDirectory(prefix="dss-long-") as place:
        os.environ["XDG_CONFIG_HOME"] = f"{place}/config"
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            trials = tried(Path(place), asked.events, asked.runs)
        print("| what | seconds of the processor | memory, MB | |\n|---|---:|---:|---|")
        for name, do in trials.items():
            answer = attempt(do)
            lost += answer.fault is not None
            held = f"{answer.bytes_held / 1e6:.0f}"
            print(f"| {name} | {answer.busy_s:.1f} | {held} | {answer.fault or ''} |", flush=True)
    print(f"in all: {len(trials)} tried, {lost} lost")
    return int(lost > 0)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    sys.exit(main())
