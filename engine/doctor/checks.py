"""The list of all checks of this machine, the quick ones first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from engine.cache import cache_folder
from engine.doctor import folders, processors, software
from engine.doctor.arithmetic import products
from engine.doctor.findings import Check, Finding
from engine.doctor.networks import network
from engine.doctor.searches import PROBLEMS, search_of
from engine.record.finding import runs_folder
from engine.workers.pool import set_precision

#: The kinds of networks that are tried on all GPUs together.
TOGETHER = ("mlp", "resnet")


def checks() -> list[Check]:
    """Returns the checks of this machine and its devices, in the same order in each process."""
    torch.set_num_threads(1)
    devices = processors.devices()
    gpus = devices[1:]
    found = [
        Check("versions", "software", software.versions),
        Check("data sets", "folders", folders.data_sets),
        *_writable(),
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


def _writable() -> Iterator[Check]:
    """Yields the checks of the folders that are written to."""
    for what, folder, variable in (
        ("runs folder", runs_folder(), "DSS_TUI_RUNS"),
        ("cache folder", cache_folder(), "DSS_TUI_CACHE"),
    ):
        yield Check(what, "folders", partial(folders.writable, what, folder, variable))


def _products(device: str) -> Iterator[Finding]:
    """Yields whether a device computes in float32 with the switches that a run sets."""
    set_precision(search_of("mlp", device, "auto"))
    yield from products(device)
