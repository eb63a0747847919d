"""The command `dss-tui bench`: measures presets on this machine, against plain loops."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

import presets
from dss_tui.commands.trusted import preset_of
from dss_tui.viewing.console import Console
from dss_tui.viewing.session import check, environment
from dss_tui.viewing.words import bytes_of, thousands
from engine import __version__
from engine.bench.measures import (
    Effort,
    LeftOut,
    Limits,
    PresetReport,
    Profiles,
    Spread,
    Start,
    TrainingRow,
    Versus,
)
from engine.bench.start import measure_start
from engine.bench.suite import suite
from engine.errors import InputError
from engine.record.events import dump_json
from engine.record.signals import Signals
from engine.spec.keys import Spec

SIZES, QUICK_SIZES = (1, 8, 32, 128), (1, 32)
QUICK = Effort(repeats=3, seconds=0.05)
#: The command whose start is timed, and a word on its first screen.
COMMAND, ON_SCREEN = (sys.executable, "-P", "-m", "dss_tui"), "quadratic"
#: The width in columns where the output is no terminal.
WIDTH = 100

Found = Limits | PresetReport | LeftOut | Start

EXPLAINED = """\
plain loop: one nn.Module after another with torch.optim, one thread, by turns with ours in the
same run. arithmetic, memory: shares of this machine's limits that the products and the bytes of
a bead-step come to, which no step can do without. Medians of repeats, in brackets the lowest and
the highest."""


def bench(asked: argparse.Namespace) -> int:
    """Measures, prints the results, and returns the exit status.

    The status is 0, 1 where a measurement failed, or 128 + N where signal N ended it. Raises
    InputError for options that make no sense, and for a named preset that cannot run.
    """
    sizes, effort = _sizes(asked), _effort(asked)
    specs, absent = chosen(asked)
    found: list[Found] = []
    with Signals() as signals:
        for each in _measured(specs, sizes, effort, signals):
            if isinstance(each, LeftOut) and asked.presets and not each.failed:
                raise InputError(each.why, file=each.preset)
            found.append(each)
            if not asked.json:
                show(each)
        found += absent
        if asked.json:
            print(dump_json(_tree(found, sizes, effort)))
        else:
            for each in absent:
                show(each)
            print(EXPLAINED)
        if signals.received is not None:
            print("stopped before all was measured", file=sys.stderr)
            return 128 + signals.received
    return 1 if any(isinstance(each, LeftOut) and each.failed for each in found) else 0


def _measured(
    specs: Sequence[tuple[str, Spec]], sizes: Sequence[int], effort: Effort, signals: Signals
) -> Iterator[Found]:
    """Yields all measurements one after another, and says on stderr which comes next."""

    def begin(what: str) -> None:
        print(f"measuring {what} …", file=sys.stderr, flush=True)

    def stopped() -> bool:
        return signals.received is not None

    yield from suite(specs, sizes, effort, environment(), stopped, begin)
    if not stopped():
        begin("the start of dss-tui")
        yield measure_start(COMMAND, ON_SCREEN, environment(), effort)


# ---------------------------------------------------------------- options


def _sizes(asked: argparse.Namespace) -> tuple[int, ...]:
    """Returns the numbers of beads that train at a time. Raises InputError for no such list."""
    if asked.beads is None:
        return QUICK_SIZES if asked.quick else SIZES
    try:
        sizes = tuple(int(part) for part in asked.beads.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise InputError(f"is {asked.beads!r}; give numbers such as 1,8,32,128", key="--beads")
    return tuple(sorted(set(sizes)))


def _effort(asked: argparse.Namespace) -> Effort:
    """Returns the number and the length of timings. Raises InputError for none."""
    usual = QUICK if asked.quick else Effort()
    repeats = usual.repeats if asked.repeats is None else asked.repeats
    seconds = usual.seconds if asked.seconds is None else asked.seconds
    if repeats < 1:
        raise InputError(f"is {repeats}; give a number from 1", key="--repeats")
    if not 0 < seconds <= 60:
        raise InputError(f"is {seconds:g}; give more than 0 and at most 60", key="--seconds")
    return Effort(repeats, seconds)


def chosen(asked: argparse.Namespace) -> tuple[list[tuple[str, Spec]], list[LeftOut]]:
    """Returns the presets to measure, and the shipped ones that are left out.

    Shipped presets are left out where they cannot run, such as without their data. Raises
    InputError for a preset that was named and cannot run.
    """
    overrides = [] if asked.workers is None else [f"workers={asked.workers}"]
    if asked.device is not None:
        overrides.append(f"device={asked.device}")
    specs, absent = [], []
    for name in asked.presets or presets.names():
        spec = preset_of(name, overrides, run_factories=asked.run_factories)
        try:
            check(spec)
        except InputError as error:
            if asked.presets:
                raise InputError(str(error), file=name) from None
            absent.append(LeftOut(name, str(error)))
        else:
            specs.append((name, spec))
    return specs, absent


# ---------------------------------------------------------------- JSON


def _tree(found: Sequence[Found], sizes: Sequence[int], effort: Effort) -> dict[str, Any]:
    """Returns all results as plain values for JSON."""

    def all_of(kind: type[Found]) -> list[dict[str, Any]]:
        return [asdict(each) for each in found if isinstance(each, kind)]

    start = all_of(Start)
    return {
        "version": __version__,
        "beads": list(sizes),
        **asdict(effort),
        "limits": all_of(Limits),
        "presets": all_of(PresetReport),
        "left_out": all_of(LeftOut),
        "start": start[0] if start else None,
    }


# ---------------------------------------------------------------- tables and lines


def show(found: Found) -> None:
    """Prints one result in tables and lines."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    match found:
        case Limits():
            _lines(console, _machine(found))
        case PresetReport():
            _show_preset(console, found)
        case LeftOut():
            console.print(f"{found.preset}: left out: {found.why}")
        case Start():
            _lines(console, _start(found))
    console.print()


def _lines(console: Console, lines: Iterator[str]) -> None:
    """Prints lines, which the terminal may wrap."""
    for line in lines:
        console.print(line, soft_wrap=True)


def _machine(found: Limits) -> Iterator[str]:
    """Yields the lines about the machine and its limits."""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    load = "" if found.load is None else f", load {found.load:.2g} before"
    yield f"{', '.join(found.names)}: {found.cores} cores{load}"
    yield versions
    arithmetic, memory = (_spread(each, 1e-9) for each in (found.flop_per_s, found.bytes_per_s))
    yield f"limits of {_workers(found.device, found.workers)}, measured now:"
    yield f"  arithmetic  {arithmetic} GFLOP/s, products of float32 matrices that fit the cache"
    yield f"  memory      {memory} GB/s, read and written by copies"


def _show_preset(console: Console, found: PresetReport) -> None:
    """Prints the report of a preset."""
    step = found.step
    console.print(
        f"{found.preset}: {found.network}, {thousands(found.parameters)} parameters\n"
        f"{found.optimizer} on {thousands(step.samples)} samples a step; {found.batching}, "
        f"{_workers(found.device, found.workers)}"
    )
    if found.training:
        console.print(_table(found.training))
    _lines(console, _notes(found))


def _table(rows: Sequence[TrainingRow]) -> Table:
    """Returns the table of training rates."""
    table = Table(box=None, pad_edge=False)
    titles = ("beads", "bead-steps/s", "samples/s", "plain loop", "ratio (min … max)")
    for title in (*titles, "arithmetic", "memory"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            thousands(row.beads),
            _number(row.bead_steps.ours.median),
            _number(row.samples_per_s),
            _number(row.bead_steps.plain.median),
            _spread(row.bead_steps.ratio),
            _percent(row.arithmetic),
            _percent(row.memory),
        )
    return table


def _notes(found: PresetReport) -> Iterator[str]:
    """Yields the lines below a preset's table."""
    step = found.step
    if step.evaluation_flop > step.flop / 20:
        yield (
            "  evaluations of the objective are up to "
            f"{_percent(step.evaluation_flop / step.flop)} more products than the plain loop's"
        )
    short = [row for row in found.training if row.steps < found.check_every]
    if short:
        steps = ", ".join(f"{row.steps} ({_count(row.beads, 'bead')})" for row in short)
        yield (
            f"  steps of a round: {steps} in place of {found.check_every}, and evaluations of as "
            "many fewer samples"
        )
    for left in found.too_long:
        what = "profiles" if left.beads is None else _count(left.beads, "bead")
        yield f"  {what} left out: {left.why}"
    if found.profiles is not None:
        yield from _profiles(found.profiles)
    costs, memory = found.costs, found.memory
    yield (
        f"  checkpoint  {_time(costs.checkpoint_s)} for {costs.beads} beads, "
        f"{bytes_of(costs.checkpoint_bytes)}"
    )
    yield (
        f"  event       {_time(costs.event_s)}; progress {_time(costs.progress_s)}, "
        f"{bytes_of(costs.progress_bytes)}"
    )
    gpu = "" if memory.gpu is None else f"; on the GPU {bytes_of(memory.gpu)}"
    yield (
        f"  memory      {bytes_of(memory.costs)} at most; {bytes_of(memory.training)} after "
        f"training, {bytes_of(memory.imports)} after imports{gpu}"
    )


def _profiles(found: Profiles) -> Iterator[str]:
    """Yields the lines about measuring segments."""
    some = found.samples < found.of_samples
    of = f" of {thousands(found.of_samples)}" if some else ""
    yield f"  profiles    {_versus(found.points, 'points/s')}"
    yield (
        f"              {_count(found.segments, 'segment')} of {found.grid} points, ends shared, "
        f"on {thousands(found.samples)}{of} samples"
    )


def _start(found: Start) -> Iterator[str]:
    """Yields the lines about start-up times."""
    yield f"dss-tui --help  {_time(found.help_s)}"
    frame = f"not measured: {found.no_frame}"
    if found.first_frame_s is not None:
        frame = _time(found.first_frame_s)
    yield f"first frame     {frame}"


def _workers(device: str, workers: int) -> str:
    """Returns the threads on the CPU, or the GPUs, in words."""
    return _count(workers, "thread") if device == "cpu" else device


def _count(count: int, what: str) -> str:
    """Returns a number of things, such as "1 bead" or "32 beads"."""
    return f"1 {what}" if count == 1 else f"{thousands(count)} {what}s"


def _versus(found: Versus, unit: str) -> str:
    """Returns both rates and their ratio in words."""
    return (
        f"{_number(found.ours.median)} {unit}, plain loop {_number(found.plain.median)}, ratio "
        f"{_spread(found.ratio)}"
    )


def _spread(found: Spread, scale: float = 1.0) -> str:
    """Returns the median, and in brackets the lowest and the highest value."""
    middle, low, high = (_number(value * scale) for value in (found.median, found.low, found.high))
    return f"{middle} ({low} … {high})"


def _time(found: Spread) -> str:
    """Returns a timing in seconds, milliseconds or microseconds, as its median asks for."""
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
    unit, scale = next((each for each in units if found.median * each[1] >= 1), units[-1])
    middle, low, high = (_number(value * scale) for value in (found.median, found.low, found.high))
    return f"{middle} {unit} ({low} … {high})"


def _number(value: float) -> str:
    """Returns a number with three digits, or with all digits before the point if these are more."""
    return thousands(round(value)) if abs(value) >= 100 else f"{value:.3g}"


def _percent(share: float | None) -> str:
    """Returns a share in per cent, or a dash for None."""
    return "–" if share is None else f"{100 * share:.2g} %"
