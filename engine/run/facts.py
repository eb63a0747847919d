"""The facts of a session that begins: the machine, the devices, the versions and the backend."""

from __future__ import annotations

import os
import platform
import socket
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import torch

from engine.devices import visible
from engine.devices.driver import Build, Unseen, driver, why_unseen
from engine.devices.memory import Memory, host_memory
from engine.record.meta import Gpu, Meta, read_meta
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from engine.version import __version__


def facts(directory: RunDir, spec: Spec, why: str, graphs: str = "") -> Meta:
    """Returns the facts of a session on a run directory that begins now.

    Args:
        directory: The run directory, whose first session is told too.
        spec: The resolved spec.
        why: The reason, in words, for which its backend was chosen.
        graphs: Whether its rounds are recorded as CUDA graphs, in words; empty on the CPU.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    gpus = tuple(gpu(name) for name in spec.device.split(",") if name != "cpu")
    memory = host_memory() or Memory(0, 0)
    known = driver() if gpus else None
    return Meta(
        version=__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
        devices=tuple(each.name for each in gpus) or (f"cpu, {spec.workers} threads",),
        gpus=gpus,
        driver="" if known is None else known.version,
        free=memory.free,
        total=memory.total,
        backend=spec.search.batching,
        backend_why=why,
        graphs=graphs,
        precision=spec.precision,
        torch=torch.__version__,
        cuda=for_gpus(build()),
        numpy=np.__version__,
        python=platform.python_version(),
        started=_started_before(directory) or now,
        session_started=now,
    )


def gpu(device: str) -> Gpu:
    """Returns what torch tells of a GPU by its name, such as cuda:0."""
    told = torch.cuda.get_device_properties(device)
    uuid = getattr(told, "uuid", None)  # older versions of torch do not tell it
    number = torch.device(device).index or 0
    free = total = 0
    with suppress(RuntimeError):  # some drivers do not tell what others use
        free, total = torch.cuda.mem_get_info(device)
    return Gpu(
        device=device,
        name=told.name,
        uuid=visible.uuid_of(
            number, None if uuid is None else str(uuid), os.environ.get(visible.VARIABLE)
        ),
        free=free,
        total=total,
    )


def build() -> Build:
    """Returns what torch was built for."""
    return Build(torch.__version__, torch.version.cuda, torch.version.hip)


def for_gpus(build: Build) -> str:
    """Returns the version of CUDA or ROCm that torch was built for; empty where for none."""
    if build.hip:
        return f"ROCm {build.hip}"
    return f"CUDA {build.cuda}" if build.cuda else ""


def unseen_gpus() -> Unseen | None:
    """Returns why torch sees no GPU although the driver does; None where they agree."""
    if torch.cuda.is_available():
        return None
    there, error = driver(), ""
    if there is not None and build().cuda is not None:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError) as raised:
            error = str(raised).splitlines()[0]
    return why_unseen(there, build(), os.environ.get(visible.VARIABLE), error)


def _started_before(directory: RunDir) -> str | None:
    """Returns the time when the run's first session began, or None where it is not known."""
    with suppress(Damaged):
        before = read_meta(directory)
        return before.started if before is not None else None
    return None
