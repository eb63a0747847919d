"""`dss-tui bench`: its tables, its JSON, and what it refuses."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import presets
from dss_tui.arguments import build_parser
from dss_tui.cli import main
from dss_tui.commands.bench import chosen, show
from engine.bench.measures import (
    LeftOut,
    Start,
)
from tests.support.benches import LIMITS, MILLI, report
from tests.support.commands import refused


def test_all_of_it_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--repeats", "2", "--seconds", "0.01", "--workers", "1", "--device", "cpu"]
    assert main(["bench", "quadratic", "--beads", "3,1", "--json", *options]) == 0
    captured = capsys.readouterr()
    assert [line.split(" ", 1)[1] for line in captured.err.splitlines()] == [
        "the machine's limits …",
        "quadratic …",
        "the start of dss-tui …",
    ]
    found = json.loads(captured.out)
    assert (found["beads"], found["repeats"], found["seconds"]) == ([1, 3], 2, 0.01)
    (limits,), (preset,) = found["limits"], found["presets"]
    assert limits["workers"] == preset["workers"] == 1
    assert (preset["preset"], preset["network"], preset["parameters"]) == (
        "quadratic",
        "1-4-4-1",
        33,
    )
    assert preset["step"]["flop"] == 6 * 256 * 33
    for row, beads in zip(preset["training"], (1, 3), strict=True):
        speed = row["bead_steps"]
        assert row["beads"] == beads
        assert speed["units"] // (2 * row["rounds"] * beads) == row["steps"]
        done = speed["ours"]["median"] * preset["step"]["flop"]
        assert row["arithmetic"] == pytest.approx(done / limits["flop_per_s"]["high"])
        for of in (speed["ours"], speed["plain"], speed["ratio"]):
            assert 0 < of["low"] <= of["median"] <= of["high"]
    memory = preset["memory"]
    parts = [memory[part] for part in ("imports", "problem", "training", "profiles", "costs")]
    assert parts == sorted(parts) and parts[0] > 2**26
    assert found["start"]["no_frame"] is None
    assert 0 < found["start"]["help_s"]["low"] < found["start"]["first_frame_s"]["high"]
    assert found["left_out"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quadratix"], ["quadratix", "did you mean 'quadratic'?"]),
        (["mnist-small"], ["mnist-small: problem.data", "$DSS_TUI_DATA"]),
        (["quadratic", "--beads", "1,x"], ["--beads", "'1,x'", "1,8,32,128"]),
        (["quadratic", "--beads", "0"], ["--beads", "'0'"]),
        (["quadratic", "--repeats", "0"], ["--repeats", "is 0"]),
        (["quadratic", "--seconds", "0"], ["--seconds", "is 0"]),
        (["quadratic", "--workers", "0"], ["workers", "0"]),
        (["quadratic", "--device", "tpu"], ["device", "tpu"]),
    ],
)
def test_what_cannot_be_measured_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    refused(capsys, ["bench", *arguments], *words)


def asked(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["bench", *arguments])


def test_presets_whose_data_are_not_here_are_left_out() -> None:
    specs, absent = chosen(asked())
    assert {name for name, _ in specs} | {left.preset for left in absent} == set(presets.names())
    assert {"quadratic", "digits", "digits-cnn", "custom-example"} <= {name for name, _ in specs}
    why = {left.preset: left.why for left in absent}
    assert "$DSS_TUI_DATA" in why["mnist-cnn"] and "input.txt" in why["text-lstm"]
    assert not any(left.failed for left in absent)


def test_a_signal_ends_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dss_tui", "bench", "quadratic"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "measuring the machine's limits …\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "stopped before all was measured\n"


def test_a_report_is_read_in_100_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show(LIMITS)
    show(report().against(LIMITS))
    show(LeftOut("text-lstm", "is 'tinyshakespeare/input.txt', but there is no such file"))
    show(Start(MILLI, None, "no pseudo-terminal: out of pty devices"))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    for words in (
        "A processor: 2 cores, load 1.2 before",
        "arithmetic  90 (80 … 94) GFLOP/s",
        "mnist-cnn: 1×28×28, conv 32, pool, conv 64, pool, dense 1024, 10, 3 274 634 parameters",
        "adam on 100 samples a step; loop, 16 threads",
        "1 012 345  101 234 500       5 812    174 (170 … 193)",
        "evaluations of the objective are up to 25 % more products",
        "steps of a round: 6 (128 beads) in place of 100",
        "256 beads left out: a step would take about 17 s",
        "profiles left out: it would take long",
        "1 segment of 33 points, ends shared, on 52 of 10 000 samples",
        "checkpoint  12.3 ms (10.1 … 45.6) for 100 beads, 2.5 MiB",
        "event       12 µs (10 … 20)",
        "2.5 GiB at most; 1.5 GiB after training, 512.0 MiB after imports; on the GPU 1.0 GiB",
        "text-lstm: left out: is 'tinyshakespeare/input.txt'",
        "first frame     not measured: no pseudo-terminal",
    ):
        assert words in text, words
