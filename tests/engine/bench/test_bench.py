"""`dss-tui bench`: its plain loops do the same work, its counts and ratios are what they say."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

import presets
from dss_tui.cli import build_parser, main
from dss_tui.commands.bench import chosen, show
from dss_tui.viewing.session import environment
from engine.backends.backend import Backend
from engine.backends.vmapped import VmappedBackend
from engine.bench.answer import peak_bytes
from engine.bench.costs import measure_costs, string_of
from engine.bench.measures import (
    Action,
    Costs,
    Effort,
    LeftOut,
    Limits,
    Memory,
    PresetReport,
    Profiles,
    Spread,
    Start,
    Step,
    TooLong,
    TrainingRow,
    Versus,
    by_turns,
    count_for,
    spread,
)
from engine.bench.plain import PlainProfiles, PlainTraining
from engine.bench.roofline import CPU_SIDE, measure_limits
from engine.bench.start import measure_start
from engine.bench.suite import Failed, Request, Stopped, answered
from engine.bench.throughput import (
    GRID,
    Throughput,
    endless,
    our_profiles,
    our_training,
    pairs_of,
    shortened,
    step_of,
)
from engine.errors import InputError
from engine.path.segments import along, search_grid
from engine.run.session import prepare
from engine.spec.keys import Spec
from engine.spec.validation import validated
from engine.steps.recipe import Recipe
from engine.training.trainer import Job, Trainer
from engine.workers.pool import open_pool
from tests.support.commands import refused
from tests.support.imports import SCREENS, imported_by
from tests.support.workers import Here

EFFORT = Effort(repeats=3, seconds=0.3)


class Ticks:
    """A clock by which timings take given times, and one second where none is given."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.looks, self.seconds = 0.0, 0, list(seconds)

    def __call__(self) -> float:
        self.looks += 1
        if self.looks % 2 == 0:
            self.now += self.seconds.pop(0) if self.seconds else 1.0
        return self.now


def prepared(preset: str, *overrides: str) -> tuple[Spec, Backend]:
    usual = ["search.batching=vmap", "device=cpu", "workers=1"]
    return prepare(presets.load_preset(preset, [*usual, *overrides]))


def does(units: int) -> Callable[[], Action]:
    return lambda: lambda: units


# ---------------------------------------------------------------- timings


def test_ratios_are_of_the_times_of_each_turn() -> None:
    """30 of ours in 2, 3 and 5 s against 8 of the plain loop in 4, 1 and 2 s."""
    found = by_turns(does(30), does(8), 3, Ticks(2, 4, 3, 1, 5, 2))
    assert found == Versus(
        ours=Spread(10, 6, 15),
        plain=Spread(4, 2, 8),
        ratio=Spread(1.5, 1.25, 7.5),
        units=90,
        plain_units=24,
    )


def test_spread_of_an_even_number_of_repeats() -> None:
    assert spread([4.0, 1.0, 9.0, 2.0]) == Spread(3.0, 1.0, 9.0)


@pytest.mark.parametrize(("unit_s", "count"), [(0.001, 300), (0.04, 8), (0.29, 1), (7.0, 1)])
def test_a_timing_takes_about_as_long_as_asked(unit_s: float, count: int) -> None:
    now = 0.0

    def prepare(rounds: int) -> Action:
        def action() -> int:
            nonlocal now
            now += rounds * unit_s
            return rounds

        return action

    assert count_for(0.3, prepare, lambda: now) == count


# ---------------------------------------------------------------- the plain loops


@pytest.mark.parametrize(
    ("preset", "optimizer"),
    [
        ("quadratic", "{kind: rmsprop, lr: 1e-3, momentum: 0.3}"),
        ("quadratic-paper", "{kind: adam, lr: 2e-3, betas: [0.8, 0.99]}"),
        ("linear", "{kind: sgd, lr: 0.02, momentum: 0.7}"),
        ("digits", "{kind: adam, lr: 3e-3}"),
    ],
)
def test_the_plain_loop_takes_the_same_steps(preset: str, optimizer: str) -> None:
    """mse of one output and of three, l1, cross-entropy; each optimizer."""
    spec, backend = prepared(
        preset, f"endpoints.optimizer={optimizer}", "endpoints.batch_size=full"
    )
    problem = backend.problem
    training = spec.endpoints.model_copy(update={"check_every": 12})
    plain = PlainTraining(problem, training, spec.problem.loss, seed=3)
    assert plain(11)() == 11  # after the one that makes the state
    with open_pool(backend, spec) as pool:
        trainer = Trainer(Recipe(training), pool)
        trainer.admit(Job(3, -1.0, 3), problem.initial(3))
        trainer.advance()
    moved = trainer.rows[0].theta - problem.initial(3)
    torch.testing.assert_close(
        parameters_to_vector(plain.module.parameters()) - problem.initial(3),
        moved,
        rtol=1e-3,
        atol=1e-4 * float(moved.abs().max()),
    )


def test_each_call_begins_anew() -> None:
    spec, backend = prepared("quadratic")
    problem = backend.problem
    plain = PlainTraining(problem, spec.endpoints, spec.problem.loss)
    plain(4)()
    first = parameters_to_vector(plain.module.parameters())
    plain(9)()
    plain(4)()
    assert torch.equal(parameters_to_vector(plain.module.parameters()), first)


def test_plain_steps_see_as_many_samples_as_ours() -> None:
    spec, backend = prepared("digits", "endpoints.batch_size=70")
    problem = backend.problem
    plain = PlainTraining(problem, spec.endpoints, spec.problem.loss)
    steps = plain(25)
    seen: list[torch.Tensor] = []
    plain.module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    steps()
    assert [len(x) for x in seen] == [70] * 25
    assert len({x.numpy().tobytes() for x in seen}) == 25


@pytest.mark.parametrize(
    "judge",
    [
        "{metric: loss, split: train}",
        "{metric: error_rate, split: held_out}",
        "{metric: perplexity, split: held_out}",
    ],
)
def test_the_plain_profile_is_ours(judge: str) -> None:
    """Along more than one segment, in pieces of the samples."""
    spec, backend = prepared("digits", f"search.level_on={judge}", "search.level=0.9")
    problem = backend.problem
    problem = replace(problem, cost=replace(problem.cost, values=2**15))  # pieces of 256
    pairs, t = pairs_of(problem, 2), search_grid(5)
    plain = PlainProfiles(problem, spec.problem.loss, pairs, t)
    assert plain(10)() == 10
    ours = along(Here(backend), pairs, t, problem.judged_samples)
    np.testing.assert_allclose(plain.values, np.concatenate(ours), rtol=1e-5)
    assert plain(3)() == 3 and len(plain.values) == 3


# ---------------------------------------------------------------- ours


@pytest.mark.parametrize("batching", ["vmap", "fused"])
def test_bead_steps_are_those_of_the_beads(batching: str) -> None:
    """Every bead takes its ten steps in each round of every repeat."""
    spec, backend = prepared("digits", f"search.batching={batching}")
    clock = Ticks(*100 * [0.25])  # by which nothing takes too long
    bench = Throughput(spec, backend, Effort(repeats=2, seconds=1.0), clock)
    rows = list(bench.training_rows([5, 2]))
    assert [row.beads for row in rows] == [2, 5]
    for row in rows:
        assert isinstance(row, TrainingRow)
        assert row.steps == spec.endpoints.check_every == 10
        assert row.rounds == 4
        assert row.bead_steps.units == 2 * 4 * 10 * row.beads
        assert row.samples_per_s == pytest.approx(100 * row.bead_steps.ours.median)
        ratio = row.bead_steps.ratio
        assert 0 < ratio.low <= ratio.median <= ratio.high


def test_beads_that_diverge_begin_anew() -> None:
    spec, backend = prepared("quadratic", "endpoints.optimizer={kind: sgd, lr: 1e+20}")
    with open_pool(backend, spec) as pool:
        ours = our_training(endless(spec.endpoints), pool, 3, -1.0)
        steps = ours(4)()
    assert 4 * 3 <= steps < 4 * 3 * 20


def test_large_networks_are_measured_in_short_rounds_or_not_at_all() -> None:
    """By a clock by which all takes a second: with 3 s at most, a step of 32 beads is too much."""
    spec, backend = prepared("digits")
    one, eight, many = Throughput(spec, backend, EFFORT, Ticks()).training_rows([1, 8, 32])
    assert isinstance(one, TrainingRow) and isinstance(eight, TrainingRow)
    assert (one.steps, one.rounds) == (3, 1)  # a step takes 1 s
    assert one.bead_steps.ours == Spread(3, 3, 3)  # 3 bead-steps in a second
    assert one.bead_steps.plain == Spread(1, 1, 1)
    assert one.bead_steps.ratio == Spread(3, 3, 3)
    assert (eight.steps, eight.rounds) == (1, 1)  # 8/3 s
    assert eight.bead_steps.units == 3 * 8
    assert many == TooLong(32, "a step would take about 4 s")


@pytest.mark.parametrize(
    ("judge", "train", "held_out"),
    [("{split: held_out}", 1437, 72), ("{split: train}", 288, 360)],
)
def test_short_rounds_look_at_as_many_fewer_samples(judge: str, train: int, held_out: int) -> None:
    """2 of 10 steps: a fifth of the samples, so that a step costs the same."""
    spec, backend = prepared("digits", f"search.level_on={judge}")
    training, fewer = shortened(spec.endpoints, backend, 2)
    short = fewer.problem
    assert training == spec.endpoints.model_copy(update={"check_every": 2})
    assert (len(short.train), len(short.held_out)) == (train, held_out)
    assert shortened(spec.endpoints, backend, 10) == (spec.endpoints, backend)


def test_short_rounds_keep_the_samples_of_a_step() -> None:
    for size, kept in ((700, 700), ("full", 1437)):
        spec, backend = prepared("digits", f"endpoints.batch_size={size}")
        assert len(shortened(spec.endpoints, backend, 1)[1].problem.train) == kept


def test_points_of_a_profile_are_those_that_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, backend = prepared("digits", "problem.network.sizes=[64, 3, 10]")
    problem = backend.problem
    computed: list[int] = []
    objective = VmappedBackend.objective

    def counting(self: VmappedBackend, theta: torch.Tensor) -> torch.Tensor:
        computed.append(len(theta))
        return objective(self, theta)

    monkeypatch.setattr(VmappedBackend, "objective", counting)
    our_profiles(problem, Here(backend), pairs_of(problem, 3))(1)()
    assert sum(computed) == 3 * (GRID - 1) + 1
    found = Throughput(spec, backend, Effort(2, 0.5), Ticks(1, 1 / 32, 7)).profiles()
    assert isinstance(found, Profiles)
    # 256 samples of a point took 1/32 s, so that a segment fits into 5 s on 1 241 of them.
    assert (found.samples, found.of_samples) == (1241, 1437)
    assert found.segments == 5  # a second each
    assert found.points.units == 2 * (5 * (GRID - 1) + 1)
    assert found.points.ours.median == 5 * (GRID - 1) + 1


def test_profiles_are_not_of_so_few_samples_that_calls_count() -> None:
    """A point on 256 samples takes a second, a segment 33; at most 3 are given."""
    spec, backend = prepared("digits")
    assert Throughput(spec, backend, EFFORT, Ticks()).profiles() == TooLong(
        None, "a segment on 256 samples would take about 33 s"
    )


def test_profiles_of_small_networks_are_of_64_segments() -> None:
    spec, backend = prepared("permutation-control")
    ticks = Ticks(1, 2**-20, 1, 2**-20)
    found = Throughput(spec, backend, Effort(2, 1.0), ticks).profiles()
    assert isinstance(found, Profiles)
    assert (found.segments, found.samples, found.of_samples) == (64, 3, 3)


def test_compiled_beads_end_within_a_round_as_in_a_search() -> None:
    """Rounds would be of 155 344 steps, were there so many."""
    never = "search.level=1e-30"
    spec, backend = prepared("permutation-control", "search.batching=fused", never)
    (row,) = Throughput(spec, backend, Effort(2, 0.25), Ticks()).training_rows([3])
    assert isinstance(row, TrainingRow)
    assert (row.steps, row.rounds) == (spec.endpoints.max_steps, 1)
    assert row.bead_steps.units == 2 * 3 * row.steps


def test_what_a_step_cannot_do_without() -> None:
    """64-32-10 with biases, 100 of 1 437 samples of 64 floats and a class; Adam has two slots."""
    spec, backend = prepared("digits")
    problem = backend.problem
    weights = 64 * 32 + 32 + 32 * 10 + 10
    assert step_of(spec.endpoints, problem) == Step(
        samples=100,
        flop=6 * 100 * weights,
        look_flop=2 * 1437 * weights // 10,
        bytes=100 * (64 * 4 + 8) + 3 * 2 * 4 * weights,
    )
    spec, backend = prepared("quadratic")
    problem = backend.problem
    assert step_of(spec.endpoints, problem).look_flop == 0  # each step sees the loss
    spec, backend = prepared("quadratic", "search.level_on.split=held_out")
    problem = backend.problem
    assert step_of(spec.endpoints, problem).look_flop > 0


# ---------------------------------------------------------------- the machine, the disk, the start


def test_limits_are_those_of_all_workers() -> None:
    """By a clock by which a timing takes a second: one product and one copy of each worker."""
    one, three = (measure_limits("cpu", workers, EFFORT, Ticks()) for workers in (1, 3))
    assert one.flop_per_s == Spread(*3 * [2.0 * CPU_SIDE**3])
    assert three.flop_per_s == Spread(*3 * [6.0 * CPU_SIDE**3])
    assert one.bytes_per_s.median == 2 * 256 * 2**20
    assert three.bytes_per_s.median == pytest.approx(one.bytes_per_s.median, rel=1e-6)
    assert three.versions["torch"] == torch.__version__ and three.names and three.workers == 3


def test_shares_follow_from_limits_and_steps() -> None:
    """500 bead-steps a second of 4 000 operations, of 8 million a second at best."""
    limits = LIMITS.__class__(
        "cpu", 2, ("x",), 2, None, {}, Spread(6e6, 5e6, 8e6), Spread(9e5, 8e5, 1e6)
    )
    row = replace(ROW, bead_steps=replace(ROW.bead_steps, ours=Spread(500, 1, 900)))
    (found,) = report(training=(row,)).against(limits).training
    assert found.arithmetic == pytest.approx(0.25)
    assert found.memory == pytest.approx(0.15)  # of 300 bytes each, of 1 MB/s


def test_costs_are_of_a_whole_string() -> None:
    spec, backend = prepared("quadratic")
    with open_pool(backend, spec) as pool:
        method = string_of(spec, pool, beads=7)
        board, string = method.board(), method.string()
        found = measure_costs(spec, pool, EFFORT, Ticks())
    assert board.beads == 7 and len(board.segments) == 6 and method.verdict is None
    assert string.beads.shape == (7, 33) and string.profiles.shape == (6, 33)
    assert found.beads == 100
    assert found.checkpoint_bytes > 2 * 100 * 33 * 4  # in the checkpoint and in the string
    assert found.progress_bytes > 99 * 33 * 8
    assert found.checkpoint_s == Spread(1, 1, 1)
    assert found.event_s == Spread(*3 * [1 / 200])
    assert found.progress_s == Spread(*3 * [1 / 5])


def test_strings_of_large_networks_are_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, backend = prepared("quadratic")
    monkeypatch.setattr("engine.bench.costs.WEIGHTS", 33 * 9)
    with open_pool(backend, spec) as pool:
        assert measure_costs(spec, pool, EFFORT, Ticks()).beads == 9


def test_peak_memory_is_that_of_this_process() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    before = pages * os.sysconf("SC_PAGE_SIZE")
    held = np.ones(2**24)  # 128 MiB
    assert peak_bytes() > before + 0.9 * held.nbytes


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('a first frame'); time.sleep(1000)", None),
        ("print('something else')", "the command ended without drawing 'first frame'"),
    ],
)
def test_the_start_is_that_of_a_command(code: str, reason: str | None) -> None:
    """It is asked for help, and shown on a terminal until its words are there."""
    program = (
        f"import sys, time\nif '--help' not in sys.argv:\n    assert sys.stdout.isatty(); {code}"
    )
    found = measure_start(
        [sys.executable, "-c", program], "first frame", os.environ, Effort(repeats=2), Ticks(4, 2)
    )
    assert found.help_s == Spread(3, 2, 4)
    assert found.no_frame == reason
    assert found.first_frame_s == (Spread(1, 1, 1) if reason is None else None)


# ---------------------------------------------------------------- processes


def mine(**problem: Any) -> Spec:
    tree = {
        "problem": {
            "data": {"kind": "digits"},
            "network": {"kind": "mlp", "sizes": [64, 10]},
            "loss": "cross_entropy",
        }
        | problem,
        "search": {"level": 0.5},
        "device": "cpu",
        "workers": 1,
    }
    return validated(Spec, tree)


def factory(tmp_path: Path, body: str) -> dict[str, Any]:
    (tmp_path / "own.py").write_text(
        f"import os\n\n\ndef make():\n    print('noise')\n    {body}\n"
    )
    return {"kind": "custom", "factory": f"{tmp_path / 'own.py'}:make"}


def test_a_process_that_dies_is_our_failure(tmp_path: Path) -> None:
    request = Request(mine(data=factory(tmp_path, "os._exit(7)")), "own", (1,), EFFORT)
    with pytest.raises(Failed, match="its process ended with status 7"):
        answered(request, environment(), lambda: False)


def test_what_cannot_run_is_refused(tmp_path: Path) -> None:
    request = Request(mine(data=factory(tmp_path, "return 1, 2")), "own", (1,), EFFORT)
    with pytest.raises(InputError, match=r"problem\.data\.factory"):
        answered(request, environment(), lambda: False)


def test_who_stops_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr("engine.bench.suite.subprocess.Popen", Noted)
    with pytest.raises(Stopped):
        answered(Request(mine(), "own", (1,), EFFORT), environment(), lambda: True)
    assert [process.returncode for process in started] == [-signal.SIGKILL]


# ---------------------------------------------------------------- the command


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


@pytest.mark.parametrize("module", ["engine.bench.suite", "dss_tui.commands.bench"])
def test_who_starts_the_processes_needs_no_torch(module: str) -> None:
    assert "torch" not in imported_by(f"import {module}")


def test_the_engine_s_part_knows_no_screen() -> None:
    assert not imported_by("import engine.bench.answer") & (SCREENS | {"dss_tui"})


# ---------------------------------------------------------------- tables


MILLI = Spread(0.0123, 0.0101, 0.0456)
ROW = TrainingRow(
    beads=128,
    steps=6,
    rounds=1,
    bead_steps=Versus(
        ours=Spread(1_012_345.0, 1e6, 1.1e6),
        plain=Spread(5_812.0, 5_700, 5_900),
        ratio=Spread(174.2, 169.5, 193.0),
        units=2_000_000,
        plain_units=10_000,
    ),
    samples_per_s=101_234_500.0,
)
LIMITS = Limits(
    device="cpu",
    workers=2,
    names=("A processor",),
    cores=2,
    load=1.234,
    versions={"python": "3.11", "torch": "2.13.0"},
    flop_per_s=Spread(9e10, 8e10, 9.4e10),
    bytes_per_s=Spread(2.1e10, 2e10, 2.2e10),
)


def report(**changed: Any) -> PresetReport:
    made = PresetReport(
        preset="mnist-cnn",
        network="1×28×28, conv 32, pool, conv 64, pool, dense 1024, 10",
        parameters=3_274_634,
        optimizer="adam",
        batching="loop",
        device="cpu",
        workers=16,
        check_every=100,
        step=Step(samples=100, flop=4_000, look_flop=1_000, bytes=300),
        training=(ROW,),
        too_long=(
            TooLong(256, "a step would take about 17 s"),
            TooLong(None, "it would take long"),
        ),
        profiles=Profiles(1, 33, 52, 10_000, ROW.bead_steps),
        costs=Costs(100, MILLI, 2_621_440, Spread(1.2e-5, 1e-5, 2e-5), MILLI, 1024),
        memory=Memory(2**29, 2**30, 3 * 2**29, 2**31, 5 * 2**29, gpu=2**30),
    )
    return replace(made, **changed)


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
