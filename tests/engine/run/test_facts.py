"""The facts of a session: devices, versions, and GPUs that torch does not see."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.devices import nvml
from engine.devices.memory import GIB
from engine.record.events import Outcome
from engine.record.finding import create
from engine.record.meta import Gpu, read_meta
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run.facts import build, facts, for_gpus, gpu, unseen_gpus
from engine.run.prepare import prepare
from engine.run.session import run as run_directory
from tests.support.acted_nvml import ActedGpu, ActedNvml, silent
from tests.support.gpus import Gpus
from tests.support.preset import spec_of
from tests.support.told_runs import greedy_run


@dataclass(frozen=True)
class Properties:
    """What torch tells of a GPU."""

    name: str = "NVIDIA H200"
    total_memory: int = 140 * GIB
    major: int = 9
    minor: int = 0
    uuid: Any = "1-aa"


@pytest.fixture
def torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs that torch sees, 138 of 140 GiB of which are free."""
    sizes = (138 * GIB, 140 * GIB)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: sizes)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


def test_a_session_on_the_cpu(tmp_path: Path) -> None:
    run = greedy_run(tmp_path)
    first = facts(run, spec_of("device=cpu", "workers=3"), "for a reason")
    assert (first.host, first.devices, first.gpus) == (
        socket.gethostname(),
        ("cpu, 3 threads",),
        (),
    )
    assert (first.torch, first.numpy) == (torch.__version__, np.__version__)
    assert (first.backend_why, first.precision) == ("for a reason", "float32")
    assert 0 < first.free <= first.total
    run.meta.write_bytes(first.to_json())
    again = facts(run, spec_of("device=cpu", "workers=3"), "")
    assert again.started == first.started
    run.meta.write_bytes(b"noise")
    assert facts(run, spec_of("device=cpu"), "").started


@pytest.mark.usefixtures("torch_sees")
def test_a_session_on_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "opened", ActedNvml([ActedGpu("GPU-1-aa")]).opened)
    found = facts(greedy_run(tmp_path), spec_of("device=cuda:0,cuda:1"), "")
    assert found.gpus == tuple(
        Gpu(name, "NVIDIA H200", "GPU-1-aa", 138 * GIB, 140 * GIB) for name in ("cuda:0", "cuda:1")
    )
    assert (found.driver, found.cuda) == ("580.65.06", "CUDA 13.0")
    assert found.devices == ("NVIDIA H200", "NVIDIA H200")


@pytest.mark.usefixtures("torch_sees")
def test_a_part_of_a_gpu_is_named_by_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-7-aa")
    assert gpu("cuda:0").uuid == "MIG-7-aa"


@pytest.mark.usefixtures("torch_sees")
def test_a_torch_that_tells_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: str) -> None:
        raise RuntimeError("not supported")

    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties(uuid=None))
    assert gpu("cuda:0") == Gpu("cuda:0", "NVIDIA H200")


def test_gpus_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(nvml, "opened", silent)
    assert unseen_gpus() is None
    old = ActedNvml([ActedGpu("GPU-a")], driver="470.57.02", cuda=11040)
    monkeypatch.setattr(nvml, "opened", old.opened)
    found = unseen_gpus()
    assert found is not None and "470.57.02 runs CUDA up to 11.4" in found.why
    new = ActedNvml([ActedGpu("GPU-a")])
    monkeypatch.setattr(nvml, "opened", new.opened)

    def fail() -> None:
        raise RuntimeError("CUDA unknown error\nmore of it")

    monkeypatch.setattr(torch.cuda, "init", fail)
    found = unseen_gpus()
    assert found is not None and found.why.endswith("torch cannot start CUDA: CUDA unknown error")


@pytest.mark.usefixtures("torch_sees")
def test_gpus_that_torch_sees_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "opened", ActedNvml([ActedGpu("GPU-a")]).opened)
    assert unseen_gpus() is None


def session(tmp_path: Path, *overrides: str) -> RunDir:
    """A run of one session, which ends soon."""
    usual = ("device=cpu", "workers=1", "limits.steps=1")
    run = create(spec_of(*usual, *overrides), "new", tmp_path / "new")
    with Signals() as signals:
        assert run_directory(run, signals).outcome is Outcome.LIMIT_REACHED
    return run


def test_a_session_says_what_it_computes_with_and_why(tmp_path: Path) -> None:
    run = session(tmp_path, "search.batching=vmap")
    meta, log = read_meta(run), run.log.read_text()
    assert meta is not None and (meta.backend, meta.backend_why) == ("vmap", "as the preset says")
    assert log.count(f" INFO {meta.words}\n") == 1
    assert "no GPU is used" not in log


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_session_without_the_gpus_that_the_driver_sees_says_so_unless_that_was_asked_for(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(nvml, "opened", ActedNvml([ActedGpu("GPU-a")]).opened)
    log = session(tmp_path, "search.batching=loop", f"device={device}").log.read_text()
    told = (
        " WARNING no GPU is used: the driver sees 1 GPU, but torch ",
        "install a torch that is built for CUDA 13",
    )
    assert [words in log for words in told] == [device == "auto"] * 2


def test_why_a_backend_was_chosen() -> None:
    """Compiled code for the smallest; what was measured for others."""
    small = prepare(spec_of("device=cpu", "workers=1"))
    assert (small.backend.name, small.why) == (
        "fused",
        "compiled code is the fastest for small fully connected networks",
    )
    dropping = ("device=cpu", "workers=1", "problem.network.dropout=0.25")
    other = prepare(spec_of(*dropping))
    assert other.backend.name != "fused"
    assert other.why == "the fastest here of vmap, loop"
    assert small.graphs == other.graphs == ""


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_a_session_on_a_gpu_says_whether_its_rounds_are_recorded(
    gpus: Gpus, tmp_path: Path
) -> None:
    run = session(tmp_path, f"device={gpus.words}", "search.batching=graph")
    meta = read_meta(run)
    assert meta is not None and meta.graphs == "recorded"
    assert "backend graph (as the preset says); CUDA graphs recorded; precision float32" in (
        run.log.read_text()
    )


def test_what_torch_is_built_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert for_gpus(build()) == ""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert for_gpus(build()) == "CUDA 13.0"
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert for_gpus(build()) == "ROCm 6.4"
