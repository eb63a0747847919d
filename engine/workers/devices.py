"""The devices of a run: those that its spec names, what is free on them, and what float64 costs."""

from __future__ import annotations

import torch

from engine.errors import InputError
from engine.spec.keys import Spec
from engine.workers.pool import cores

#: How many times as long as in float32 a product takes in float64 on the CPU, and on GPUs that are
#: made for it.
TWICE = 2.0
#: The same on NVIDIA's other GPUs, by compute capability (CUDA C++ Programming Guide, throughput of
#: arithmetic instructions). Capabilities that are not named are those of consumer cards.
OF_CAPABILITY = {(6, 0): TWICE, (7, 0): TWICE, (8, 0): TWICE, (9, 0): TWICE, (10, 0): TWICE}
OF_TURING, OF_CONSUMERS = 32.0, 64.0
#: AMD's architectures that are made for float64, by the first letters of their names.
OF_AMD = "gfx9"


def resolve_devices(spec: Spec) -> Spec:
    """Returns the spec with its devices and its number of workers decided, as in `resolved`."""
    return on(spec, resolved(spec.device))


def resolved(device: str) -> str:
    """Returns the devices that the key `device` stands for, such as cuda:0,cuda:1 for cuda.

    Auto stays where torch sees a GPU, for what is fastest depends on the problem
    (`engine.run.choose_device`). Raises InputError for a CUDA device that torch does not see.
    """
    seen = torch.cuda.device_count()
    found = device
    if device == "auto" and not torch.cuda.is_available():
        found = "cpu"
    if device == "cuda":
        found = ",".join(f"cuda:{n}" for n in range(max(1, seen)))
    named = found.split(",") if found not in ("auto", "cpu") else []
    if any(int(name.removeprefix("cuda:")) >= seen for name in named):
        raise InputError(
            f"is {device}, but torch sees {seen} CUDA devices here; choose cpu or auto",
            key="device",
        )
    return found


def on(spec: Spec, device: str) -> Spec:
    """Returns the spec on a device, with one worker for each GPU, or one for each core."""
    workers = 1 if device.startswith("cuda") else spec.workers or cores()
    return spec.model_copy(update={"device": device, "workers": workers})


def roomiest() -> str:
    """Returns the name of the GPU with the most free memory, such as cuda:1."""
    names = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return max(names, key=free_bytes)


def free_bytes(device: str) -> int:
    """Returns the bytes of a GPU's memory that nobody uses; all of it where it does not tell."""
    try:
        return torch.cuda.mem_get_info(device)[0]
    except RuntimeError:  # some drivers of virtual GPUs do not tell
        return torch.cuda.get_device_properties(device).total_memory


def float64_cost(device: torch.device) -> float:
    """Returns how many times as long as in float32 a product takes in float64 on a device."""
    if device.type != "cuda":
        return TWICE
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        architecture = str(getattr(properties, "gcnArchName", ""))
        return TWICE if architecture.startswith(OF_AMD) else OF_TURING
    capability = properties.major, properties.minor
    other = OF_TURING if capability <= (7, 5) else OF_CONSUMERS
    return OF_CAPABILITY.get(capability, other)
