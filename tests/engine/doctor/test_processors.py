"""The CPU and the GPUs, by acted answers of the driver and of torch."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from engine.devices import nvml
from engine.devices.memory import GIB, Memory
from engine.doctor import processors
from engine.doctor.findings import Finding, State
from tests.support.acted_nvml import ActedGpu, ActedNvml, part, silent


@dataclass(frozen=True)
class Properties:
    """What torch tells of a GPU."""

    name: str = "NVIDIA H200"
    total_memory: int = 140 * GIB
    major: int = 9
    minor: int = 0
    uuid: str = "1-aa"


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without GPUs, and a torch for them."""
    monkeypatch.setattr(nvml, "opened", silent)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def see(
    monkeypatch: pytest.MonkeyPatch, *gpus: ActedGpu, free: float = 138.0, seen: int | None = None
) -> None:
    """Lets the driver, and torch, see these GPUs; torch tells the first one's identifier."""
    monkeypatch.setattr(nvml, "opened", ActedNvml(list(gpus)).opened)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus) if seen is None else seen)
    sizes = (int(free * GIB), 140 * GIB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: sizes)
    told = Properties(uuid=gpus[0].uuid.removeprefix("GPU-"))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: told)


def gpus_found() -> Finding:
    (found,) = processors.gpus_found()
    return found


def memory_of(device: str = "cuda:0") -> Finding:
    (found,) = processors.gpu_memory(device)
    return found


def test_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "cores", lambda: 6)
    (found,) = processors.cpu()
    assert found.state is State.OK and found.brief.startswith("cpu 6 cores, ")
    monkeypatch.setattr(processors, "host_memory", lambda: Memory(GIB // 4, 2 * GIB))
    (found,) = processors.cpu()
    assert found.state is State.NOTE and "0.2 of 2.0 GiB free" in found.found
    monkeypatch.setattr(processors, "host_memory", lambda: None)
    (found,) = processors.cpu()
    assert (found.state, found.found) == (State.OK, "6 cores")


def test_no_gpu() -> None:
    assert processors.devices() == ["cpu"]
    found = gpus_found()
    assert found.state is State.OK
    assert found.found == "no driver of NVIDIA's here: the CPU computes"


def test_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = gpus_found()
    assert found.state is State.NOTE and "it has no float64" in found.found


def test_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, ActedGpu("GPU-1-aa", total=140.0), ActedGpu("GPU-2-aa", total=140.0))
    assert processors.devices() == ["cpu", "cuda:0", "cuda:1"]
    found = gpus_found()
    assert found.state is State.OK
    assert found.found == "torch sees 2 GPUs by CUDA 13.0, driver 580.65.06 for CUDA up to 13.0"
    assert found.measured["uuids"] == ("GPU-1-aa", "GPU-2-aa")
    found = memory_of()
    assert found.state is State.OK
    assert found.found == "NVIDIA H200 (138.0 of 140.0 GiB free), capability 9.0"
    assert found.brief == "cuda:0 NVIDIA H200 (138.0 of 140.0 GiB free)"
    assert found.measured["uuid"] == "GPU-1-aa"


def test_an_old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver sees a GPU, and torch does not."""
    old = ActedNvml([ActedGpu("GPU-1-aa")], driver="470.57.02", cuda=11040)
    monkeypatch.setattr(nvml, "opened", old.opened)
    found = gpus_found()
    assert found.state is State.WRONG
    assert "the driver 470.57.02 runs CUDA up to 11.4" in found.found
    assert found.remedy.startswith("install a driver from 580 on, or a torch built for CUDA 11.4")
    assert found.brief == "driver 470.57.02 for CUDA up to 11.4, unseen by torch"


def test_a_part_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ActedGpu("GPU-1-aa", parts=[part(0), part(1)])
    see(monkeypatch, whole, seen=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1-aa")
    found = gpus_found()
    assert found.state is State.OK and "CUDA_VISIBLE_DEVICES is 'MIG-1-aa'" in found.found
    assert found.measured["uuids"] == ("GPU-1-aa", "MIG-0-aa", "MIG-1-aa")
    found = memory_of()
    assert found.state is State.NOTE and found.measured["uuid"] == "MIG-1-aa"
    assert found.found.endswith("its load is not told (Not Supported), so no screen shows it")


def test_a_lost_gpu_and_missing_permissions(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, ActedGpu("GPU-1-aa", refuses={"anything": "GPU is lost"}))
    found = memory_of()
    assert found.state is State.WRONG and found.found.endswith("its driver says: GPU is lost")
    refuses = dict.fromkeys(("load", "memory"), "Insufficient Permissions")
    see(monkeypatch, ActedGpu("GPU-1-aa", refuses=refuses))
    found = memory_of()
    assert found.state is State.NOTE and found.found.count("Insufficient Permissions") == 2


def test_a_gpu_that_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, ActedGpu("GPU-1-aa"), free=0.3)
    found = memory_of()
    assert found.state is State.NOTE and "0.3 of 140.0 GiB free" in found.found
    assert "nvidia-smi" in found.remedy


def test_a_driver_whose_library_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, ActedGpu("GPU-1-aa"))
    monkeypatch.setattr(nvml, "opened", silent)
    found = gpus_found()
    assert found.state is State.NOTE and "so no screen shows its load" in found.found
    assert memory_of().state is State.OK


def test_gpus_of_amd(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, ActedGpu("GPU-1-aa"))
    monkeypatch.setattr(nvml, "opened", silent)
    monkeypatch.setattr(torch.version, "hip", "6.4")
    found = gpus_found()
    assert found.state is State.NOTE and "torch sees 1 GPU by ROCm 6.4" in found.found
