"""NVIDIA's management library, acted: GPUs, parts of them, refusals and drivers of any age."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from engine.devices.memory import GIB
from engine.devices.nvml import Opened


class NVMLError(Exception):
    """The library's own error."""


@dataclass
class ActedGpu:
    """A GPU or a part of one, and what it refuses to tell."""

    uuid: str
    name: str = "NVIDIA H200"
    busy: float = 87.0
    used: float = 3.5
    """GiB."""
    total: float = 16.0
    """GiB."""
    refuses: dict[str, str] = field(default_factory=dict)
    """The library's sentences by what is asked for: load, memory, name, anything."""
    parts: list[ActedGpu] = field(default_factory=list)


def part(number: int) -> ActedGpu:
    """A part of a GPU, which has memory but no load."""
    refuses = {"load": "Not Supported"}
    return ActedGpu(f"MIG-{number}-aa", "NVIDIA H200 MIG 1g.18gb", total=18.0, refuses=refuses)


@dataclass
class ActedNvml:
    """The module `pynvml` of a machine with some GPUs. It counts how often it is asked for one."""

    gpus: list[ActedGpu] = field(default_factory=list)
    driver: str = "580.65.06"
    cuda: int = 13000
    asked: list[str] = field(default_factory=list)
    """The identifiers of the GPUs that were asked for."""
    NVMLError: type[Exception] = NVMLError

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return self.driver.encode()

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return self.cuda

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> ActedGpu:
        return _unless(self.gpus[number], "anything")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> ActedGpu:
        self.asked.append(uuid)
        for gpu in [*self.gpus, *(part for whole in self.gpus for part in whole.parts)]:
            if gpu.uuid == uuid:
                return _unless(gpu, "anything")
        raise NVMLError("Not Found")

    def nvmlDeviceGetName(self, gpu: ActedGpu) -> str:
        return _unless(gpu, "name").name

    def nvmlDeviceGetUUID(self, gpu: ActedGpu) -> str:
        return gpu.uuid

    def nvmlDeviceGetMemoryInfo(self, gpu: ActedGpu) -> SimpleNamespace:
        _unless(gpu, "memory")
        return SimpleNamespace(used=int(gpu.used * GIB), total=int(gpu.total * GIB))

    def nvmlDeviceGetUtilizationRates(self, gpu: ActedGpu) -> SimpleNamespace:
        return SimpleNamespace(gpu=_unless(gpu, "load").busy)

    def nvmlDeviceGetMigMode(self, gpu: ActedGpu) -> tuple[int, int]:
        is_divided = int(bool(_unless(gpu, "parts").parts))
        return is_divided, is_divided

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: ActedGpu) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: ActedGpu, number: int) -> ActedGpu:
        if number >= len(gpu.parts):
            raise NVMLError("Not Found")
        return gpu.parts[number]

    def opened(self) -> Opened:
        """What `nvml.opened` returns where this is the library."""
        return Opened(self)


def _unless(gpu: ActedGpu, what: str) -> ActedGpu:
    """The GPU itself, unless it refuses what is asked for."""
    if what in gpu.refuses:
        raise NVMLError(gpu.refuses[what])
    return gpu


def silent(why: str = "NVML Shared Library Not Found") -> Opened:
    """What `nvml.opened` returns where no driver answers."""
    return Opened(why=why)
