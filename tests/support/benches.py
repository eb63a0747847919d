"""Benchmarks in tests: clocks that say what a timing takes, and a report made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import presets
from engine.backends.backend import Backend
from engine.bench.measures import (
    Costs,
    Effort,
    Limits,
    Memory,
    PresetReport,
    Profiles,
    Spread,
    Step,
    TooLong,
    TrainingRow,
    Versus,
)
from engine.run.prepare import prepare
from engine.spec.keys import Spec

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
    found = prepare(presets.load_preset(preset, [*usual, *overrides]))
    return found.spec, found.backend


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
        step=Step(samples=100, flop=4_000, evaluation_flop=1_000, bytes=300),
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
