"""The checks of the devices of this machine and of what they compute, the quick ones first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from engine.backends.precision import measuring
from engine.doctor import processors, software
from engine.doctor.arithmetic import products
from engine.doctor.findings import Check, Finding
from engine.doctor.networks import network
from engine.doctor.searches import PROBLEMS

#: The kinds of networks that are tried on all GPUs together.
TOGETHER = ("mlp", "resnet")


def checks() -> list[Check]:
    """Returns the checks of this machine and its devices, in the same order in each process."""
    torch.set_num_threads(1)
    devices = processors.devices()
    gpus = devices[1:]
    found = [
        Check("cpu", "devices", processors.cpu),
        Check("GPUs", "devices", processors.gpus_found),
        *(Check(each, "devices", partial(processors.gpu_memory, each)) for each in gpus),
        Check("compiled code", "computing", software.compiled_code),
        *(Check(f"{each} float32", "computing", partial(_products, each)) for each in devices),
    ]
    every = [(device, kind) for device in devices for kind in PROBLEMS]
    if len(gpus) > 1:
        every += [(",".join(gpus), kind) for kind in TOGETHER]
    return found + [
        Check(f"{device} {kind}", "computing", partial(network, kind, device))
        for device, kind in every
    ]


def _products(device: str) -> Iterator[Finding]:
    """Yields whether a device computes in float32 with the switches that a run sets."""
    with measuring(torch.device(device)):
        yield from products(device)
