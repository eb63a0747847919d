"""The processors of this machine: the CPU, the driver of GPUs, and each GPU that torch sees."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch

from engine.devices import nvml, visible
from engine.devices.driver import Driver, driver
from engine.devices.memory import GIB, host_memory
from engine.doctor.findings import Finding, Measured, State
from engine.run.facts import build, for_gpus, gpu, unseen_gpus
from engine.workers.pool import cores

#: The free bytes of a memory below which there is something to know about it.
SMALL = GIB
LOST = "restart the machine; if it is lost again, its cooling, power or slot fails"


def devices() -> list[str]:
    """Returns the names of all devices that a run may use here, the CPU first."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ["cpu", *(f"cuda:{number}" for number in range(count))]


def cpu() -> Iterator[Finding]:
    """Yields the cores and the memory that processes may use."""
    memory, count = host_memory(), cores()
    words = "1 core" if count == 1 else f"{count} cores"
    if memory is None:
        yield Finding("cpu", State.OK, words, brief=f"cpu {words}", measured={"cores": count})
        return
    told = f"{words}, {memory.words}"
    measured = {"cores": count, "free": memory.free, "total": memory.total}
    if memory.free >= SMALL:
        yield Finding("cpu", State.OK, told, brief=f"cpu {told}", measured=measured)
        return
    remedy = "end other programs, or lower limits.memory of a preset"
    yield Finding("cpu", State.NOTE, told, remedy, f"cpu {told}", measured)


def gpus_found() -> Iterator[Finding]:
    """Yields whether there is a driver of GPUs, and whether torch sees what it sees."""
    there, unseen = driver(), unseen_gpus()
    variable = os.environ.get(visible.VARIABLE)
    measured = {
        "driver": None if there is None else there.version,
        "torch": torch.__version__,
        "built for": for_gpus(build()) or None,
        visible.VARIABLE: variable,
        "uuids": _uuids(),
    }
    if unseen is not None:
        words = "" if there is None else there.words
        yield Finding(
            "GPUs", State.WRONG, unseen.why, unseen.remedy, f"{words}, unseen by torch", measured
        )
        return
    seen = len(devices()) - 1
    if seen:
        yield _seen(there, seen, variable, measured)
    elif torch.backends.mps.is_available():
        words = "the GPU of this Mac is not used, because it has no float64"
        yield Finding("GPUs", State.NOTE, words, brief="MPS", measured=measured)
    else:
        words = "no driver of NVIDIA's here" if there is None else "the driver sees none"
        told = f"{words}: the CPU computes"
        yield Finding("GPUs", State.OK, told, brief="no GPU", measured=measured)


def _seen(there: Driver | None, seen: int, variable: str | None, measured: Measured) -> Finding:
    """Returns the finding where torch sees GPUs."""
    told = build()
    count = "1 GPU" if seen == 1 else f"{seen} GPUs"
    words = f"torch sees {count} by {for_gpus(told)}"
    if told.hip:
        note = f"{words}; dss-tui has not been tried on AMD's GPUs"
        return Finding("GPUs", State.NOTE, note, brief=words, measured=measured)
    if there is not None:
        words += f", {there.words}"
    brief = words
    if variable is not None:
        words += f"; {visible.VARIABLE} is {variable!r}"
    if there is None or there.why_silent:
        why = nvml.opened().why
        words += f"; its management library does not answer ({why}), so no screen shows its load"
        return Finding("GPUs", State.NOTE, words, "pip install nvidia-ml-py", brief, measured)
    return Finding("GPUs", State.OK, words, brief=brief, measured=measured)


def _uuids() -> tuple[str, ...]:
    """Returns the identifiers of all GPUs and of their parts, whether or not torch sees them."""
    library = nvml.library()
    every = () if library is None else nvml.cards(library)
    return tuple(uuid for card in every for uuid in (card.uuid, *(card.parts or ())))


def gpu_memory(device: str) -> Iterator[Finding]:
    """Yields what a GPU is, how much memory is free, and what its driver tells of it."""
    found = gpu(device)
    told = torch.cuda.get_device_properties(device)
    words = f"{found.words}, capability {told.major}.{told.minor}"
    measured: dict[str, object] = {
        "name": found.name,
        "uuid": found.uuid,
        "free": found.free,
        "total": found.total,
    }
    words = words.removeprefix(f"{device} ")
    brief = found.words
    library = nvml.library()
    reading = None if library is None or not found.uuid else nvml.read(library, found.uuid)
    refused = () if reading is None else reading.refused
    measured["refused"] = tuple(f"{each.what}: {each.why}" for each in refused)
    lost = [each.why for each in refused if "lost" in each.why.lower()]
    if lost:
        words = f"{words}; its driver says: {lost[0]}"
        yield Finding(device, State.WRONG, words, LOST, brief, measured)
    elif found.total and found.free < SMALL:
        remedy = "`nvidia-smi` lists who uses it; end them, or choose another device"
        yield Finding(device, State.NOTE, words, remedy, brief, measured)
    elif refused:
        lacks = "; ".join(f"its {each.what} is not told ({each.why})" for each in refused)
        words = f"{words}; {lacks}, so no screen shows it"
        yield Finding(device, State.NOTE, words, brief=brief, measured=measured)
    else:
        yield Finding(device, State.OK, words, brief=brief, measured=measured)
