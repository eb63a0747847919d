"""The GPUs of a run, with acted answers of NVIDIA's library in place of those of a driver."""

from __future__ import annotations

import itertools
import math
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dss_tui.tui.app import DssApp
from dss_tui.tui.device import KEPT, Gauge, Gpus, gauge_words
from dss_tui.tui.palette import Palette
from dss_tui.tui.screens.run import RunScreen
from engine.devices import nvml
from engine.record.events import RunStarted
from engine.record.meta import Gpu, Meta
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.acted_nvml import ActedGpu, ActedNvml, part, silent
from tests.support.pilots import drive, said, until, watching
from tests.support.run_folders import progress
from tests.support.told_runs import greedy_run

STARTED = RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cuda:0", "cuda:1"))
#: The run uses the second and the third GPU of the machine, in the other order.
OWN = (Gpu("cuda:0", uuid="GPU-c"), Gpu("cuda:1", uuid="GPU-b"))
HERE = Meta(host=socket.gethostname(), gpus=OWN)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ActedNvml:
    """A machine with three GPUs, two of which are the run's."""
    gpus = [ActedGpu("GPU-a", busy=1.0), ActedGpu("GPU-b", used=4.5), ActedGpu("GPU-c")]
    found = ActedNvml(gpus)
    monkeypatch.setattr(nvml, "opened", found.opened)
    return found


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose session is on this machine."""
    found = greedy_run(tmp_path)
    found.meta.write_bytes(HERE.to_json())
    return found


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def looked(run: RunDir, *names: str) -> list[str]:
    """What the head tells of GPUs after one look, without graphs."""
    gauges = Gpus(run).look(names or ("cuda:0", "cuda:1"))
    return [gauge_words(each, Palette.plain(), graphs=False).plain for each in gauges]


def test_a_gpu_is_sampled_once_a_second_and_the_oldest_samples_go(
    run: RunDir, library: ActedNvml
) -> None:
    clock, loads = Clock(), itertools.count()
    gpus = Gpus(run, clock)
    for second in range(KEPT + 10):
        clock.now = float(second)
        library.gpus[2].busy = float(next(loads))
        for later in (0.0, 0.5, 0.9):
            clock.now = second + later
            (gauge,) = gpus.look(("cuda:0",))
    assert gauge == Gauge(
        "cuda:0", tuple(float(at) for at in range(10, KEPT + 10)), (3.5,) * KEPT, 16.0
    )
    assert len(library.asked) == KEPT + 10


def test_the_runs_own_gpus_are_told_and_no_others(
    run: RunDir, library: ActedNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the viewer's own environment lets CUDA see."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert looked(run) == ["cuda:0 87 % busy 3.5 of 16 GiB", "cuda:1 87 % busy 4.5 of 16 GiB"]
    assert set(library.asked) == {"GPU-b", "GPU-c"}


def test_nothing_is_sampled_for_a_run_on_the_cpu_or_elsewhere(
    run: RunDir, library: ActedNvml
) -> None:
    assert looked(run, "cpu") == []
    for meta in (replace(HERE, host="elsewhere"), replace(HERE, gpus=()), Meta()):
        run.meta.write_bytes(meta.to_json())
        assert looked(run) == []
    run.meta.write_bytes(replace(HERE, gpus=(Gpu("cuda:0"), Gpu("cuda:7", uuid="GPU-a"))).to_json())
    assert looked(run) == []  # a GPU that is not known, and one that is not asked for
    run.meta.write_bytes(b"noise")
    assert looked(run) == []
    run.meta.unlink()
    assert looked(run) == []
    assert library.asked == []


def test_without_a_driver_nothing_is_told(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "opened", silent)
    assert looked(run) == []


def test_a_part_of_a_gpu_tells_its_memory_alone(run: RunDir, library: ActedNvml) -> None:
    """Torch tells its identifier as if it were that of a whole GPU."""
    library.gpus[0].parts = [part(0), part(1)]
    gpus = (Gpu("cuda:0", uuid="MIG-0-aa"), Gpu("cuda:1", uuid="GPU-1-aa"))
    run.meta.write_bytes(replace(HERE, gpus=gpus).to_json())
    assert looked(run) == ["cuda:0 3.5 of 18 GiB", "cuda:1 3.5 of 18 GiB"]


def test_each_answer_stands_by_itself(run: RunDir, library: ActedNvml) -> None:
    library.gpus[2].refuses = {"memory": "Insufficient Permissions", "name": "Not Supported"}
    library.gpus[1].refuses = {"anything": "GPU is lost"}
    assert looked(run) == ["cuda:0 87 % busy", "cuda:1 does not answer"]


def test_a_gpu_that_falls_silent_is_told(run: RunDir, library: ActedNvml) -> None:
    clock = Clock()
    gpus = Gpus(run, clock)
    gpus.look(("cuda:0", "cuda:1"))
    library.gpus[1].refuses = {"anything": "GPU is lost"}
    clock.now = 2.0
    first, second = gpus.look(("cuda:0", "cuda:1"))
    assert (first.busy, second.busy[0]) == ((87.0, 87.0), 87.0) and math.isnan(second.busy[1])
    palette = Palette.plain()
    assert gauge_words(second, palette, graphs=True).plain == "cuda:1 does not answer"
    library.gpus[1].refuses = {}
    clock.now = 4.0
    second = gpus.look(("cuda:0", "cuda:1"))[1]
    assert "87 % busy" in gauge_words(second, palette, graphs=True).plain


def test_graphs_stand_on_the_scale_of_the_whole() -> None:
    gauge = Gauge("cuda:0", (0.0, 50.0, 100.0, 87.0), (0.0, 4.0, 8.0, 12.25), 16.0)
    palette = Palette.plain()
    words = gauge_words(gauge, palette, graphs=True).plain
    assert words == "cuda:0 ▁▅█▇ 87 % busy ▁▃▅▇ 12.2 of 16 GiB"
    assert gauge_words(gauge, palette, graphs=False).plain == "cuda:0 87 % busy 12.2 of 16 GiB"
    long = replace(gauge, busy=(*(0.0 for _ in range(110)), 100.0), used=(1.0,) * 111)
    assert "▁▁▁▁▁▁▁▁▁▁▁█ 100 % busy" in gauge_words(long, palette, graphs=True).plain


def test_the_head_of_a_run_at_work_tells_its_gpus(run: RunDir, library: ActedNvml) -> None:
    """While the engine is at work; nothing is sampled and told once it has ended."""
    run.events.unlink()

    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, RunScreen)
        with RunWriter(run) as writer:
            writer.record(STARTED, 0.1)
            writer.progress(progress(1.0))
            await until(pilot, lambda: "% busy" in said(screen, "#head"))
            await until(pilot, lambda: "cuda:1 ▇▇ " in said(screen, "#head"))  # two samples of each
            assert "3.5 of 16 GiB" in said(screen, "#head")
            assert "4.5 of 16 GiB" in said(screen, "#head")
        await until(pilot, lambda: "% busy" not in said(screen, "#head"))
        asked = list(library.asked)
        await pilot.pause(1.2)
        assert library.asked == asked

    drive(steps, watching(run))
