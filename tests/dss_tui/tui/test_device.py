"""The GPUs of a run, with acted answers of NVIDIA's library in place of those of a driver."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from dss_tui.tui import device
from dss_tui.tui.app import DssApp
from dss_tui.tui.device import GIB, KEPT, Gauge, Gpus, gauge_words
from dss_tui.tui.palette import Palette
from dss_tui.tui.screens.run import RunScreen
from engine.record.events import RunStarted
from engine.record.meta import Meta
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.pilots import drive, said, until, watching
from tests.support.run_folders import progress
from tests.support.told_runs import greedy_run

STARTED = RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cuda:0", "cuda:1"))


class NVMLError(Exception):
    """The library's own error."""


@dataclass
class Library:
    """A library that answers for two GPUs, and counts how often it is asked."""

    busy: Iterator[int]
    gone: set[int] = field(default_factory=set)
    asked: int = 0
    NVMLError: type[Exception] = NVMLError

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        self.asked += 1
        if number in self.gone or number > 1:
            raise NVMLError("lost")
        return number

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=(3.5 + handle) * GIB, total=16 * GIB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=next(self.busy))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library(iter(range(0, 100_000)))
    monkeypatch.setattr(device, "_library", lambda: found)
    return found


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose session is on this machine."""
    found = greedy_run(tmp_path)
    found.meta.write_bytes(Meta(host=socket.gethostname()).to_json())
    return found


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_gpu_is_sampled_once_a_second_and_the_oldest_samples_go(
    run: RunDir, library: Library
) -> None:
    clock = Clock()
    gpus = Gpus(run, clock)
    for _ in range(5):
        (gauge,) = gpus.look(("cuda:0",))
        assert gauge == Gauge("cuda:0", (0.0,), (3.5,), 16.0)
    clock.now = 0.9
    assert len(gpus.look(("cuda:0",))[0].busy) == 1
    for second in range(1, KEPT + 10):
        clock.now = float(second)
        (gauge,) = gpus.look(("cuda:0",))
    assert gauge.busy == tuple(float(at) for at in range(10, KEPT + 10))
    assert library.asked == KEPT + 10


def test_nothing_is_sampled_for_a_run_on_the_cpu_or_elsewhere(
    run: RunDir, library: Library
) -> None:
    assert Gpus(run).look(("cpu",)) == ()
    assert library.asked == 0
    run.meta.write_bytes(Meta(host="elsewhere").to_json())
    assert Gpus(run).look(("cuda:0",)) == ()
    run.meta.write_bytes(b"noise")
    assert Gpus(run).look(("cuda:0",)) == ()
    run.meta.unlink()
    assert Gpus(run).look(("cuda:0",)) == ()
    assert library.asked == 0


def test_without_a_driver_nothing_is_told(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_library", lambda: None)
    assert Gpus(run).look(("cuda:0",)) == ()


def test_a_gpu_that_falls_silent_is_told(run: RunDir, library: Library) -> None:
    clock = Clock()
    gpus = Gpus(run, clock)
    gpus.look(("cuda:0", "cuda:1"))
    library.gone.add(1)
    clock.now = 2.0
    first, second = gpus.look(("cuda:0", "cuda:1"))
    assert (first.busy, second.busy[0]) == ((0.0, 2.0), 1.0) and math.isnan(second.busy[1])
    palette = Palette.plain()
    assert gauge_words(second, palette, graphs=True).plain == "cuda:1 does not answer"
    (never,) = Gpus(run).look(("cuda:7",))
    assert gauge_words(never, palette, graphs=True).plain == "cuda:7 does not answer"


def test_graphs_stand_on_the_scale_of_the_whole() -> None:
    gauge = Gauge("cuda:0", (0.0, 50.0, 100.0, 87.0), (0.0, 4.0, 8.0, 12.25), 16.0)
    palette = Palette.plain()
    words = gauge_words(gauge, palette, graphs=True).plain
    assert words == "cuda:0 ▁▅█▇ 87 % busy ▁▃▅▇ 12.2 of 16 GiB"
    assert gauge_words(gauge, palette, graphs=False).plain == "cuda:0 87 % busy 12.2 of 16 GiB"
    long = replace(gauge, busy=(*(0.0 for _ in range(110)), 100.0), used=(1.0,) * 111)
    assert "▁▁▁▁▁▁▁▁▁▁▁█ 100 % busy" in gauge_words(long, palette, graphs=True).plain


def test_the_head_of_a_run_at_work_tells_its_gpus(run: RunDir, library: Library) -> None:
    """While the engine is at work; nothing is sampled and told once it has ended."""
    run.events.unlink()

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, RunScreen)
        with RunWriter(run) as writer:
            writer.record(STARTED, 0.1)
            writer.progress(progress(1.0))
            await until(pilot, lambda: "% busy" in said(screen, "#head"))
            await until(pilot, lambda: "cuda:1 ▁▁ " in said(screen, "#head"))  # two samples of each
            assert "3.5 of 16 GiB" in said(screen, "#head")
            assert "4.5 of 16 GiB" in said(screen, "#head")
        await until(pilot, lambda: "% busy" not in said(screen, "#head"))
        asked = library.asked
        await pilot.pause(1.2)
        assert library.asked == asked

    drive(steps, watching(run))
