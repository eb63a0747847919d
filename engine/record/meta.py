"""The machine and the versions that computed a run, as `meta.json` holds them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from engine.devices.memory import Memory
from engine.record.events import dump_json
from engine.record.marks import Count
from engine.record.reading import read_json
from engine.record.rundir import RunDir


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a part of one, that computes a run."""

    device: str
    """The name that torch gives it in the engine's process, such as cuda:0."""
    name: str = ""
    """The name of the product."""
    uuid: str = ""
    """The identifier by which the driver knows it on every machine; empty where it is not known."""
    free: Count = 0
    """The bytes of its memory that nobody used when the session began; 0 where it did not tell."""
    total: Count = 0
    """The bytes of its memory; 0 where it did not tell."""

    @property
    def words(self) -> str:
        """The device and its memory, such as "cuda:0 NVIDIA H200 (138.2 of 139.8 GiB free)"."""
        memory = f" ({Memory(self.free, self.total).words})" if self.total else ""
        return f"{self.device} {self.name}".rstrip() + memory


@dataclass(frozen=True)
class Meta:
    """The machine and the versions of a run's newest session."""

    version: str = ""
    """The version of dss-tui."""
    host: str = ""
    """The name of the machine."""
    pid: Count = 0
    """The process number of the engine on that machine."""
    devices: tuple[str, ...] = ()
    """The names of the GPUs, or the CPU with its number of threads."""
    gpus: tuple[Gpu, ...] = ()
    """The GPUs, in the order in which the run names them; none on the CPU."""
    driver: str = ""
    """The version of NVIDIA's driver; empty where there is none."""
    free: Count = 0
    """The bytes of the machine's memory that were free when the session began; 0: not told."""
    total: Count = 0
    """The bytes of the machine's memory; 0 where it did not tell."""
    backend: str = ""
    """The name of the backend in `search.batching`."""
    backend_why: str = ""
    """The reason for which it was chosen."""
    graphs: str = ""
    """Whether rounds are recorded as CUDA graphs, in words; empty on the CPU."""
    precision: str = ""
    """The precision of products on GPUs."""
    torch: str = ""
    """The version of torch."""
    cuda: str = ""
    """The version of CUDA, or of ROCm, that torch was built for; empty where for none."""
    numpy: str = ""
    """The version of numpy."""
    python: str = ""
    """The version of Python."""
    started: str = ""
    """The time when the run's first session began, in ISO 8601 with its offset from UTC."""
    session_started: str = ""
    """The time when the newest session began, in the same format."""

    @property
    def words(self) -> str:
        """The line that tells a person what the session computes with."""
        if self.gpus:
            devices = ", ".join(gpu.words for gpu in self.gpus)
        else:
            memory = f" ({Memory(self.free, self.total).words})" if self.total else ""
            devices = f"{', '.join(self.devices)}{memory}"
        versions = [f"driver {self.driver}"] if self.driver else []
        versions.append(f"torch {self.torch}{f' ({self.cuda})' if self.cuda else ''}")
        why = f" ({self.backend_why})" if self.backend_why else ""
        graphs = f"CUDA graphs {self.graphs}; " if self.graphs else ""
        return (
            f"computing on {devices}; {', '.join(versions)}; backend {self.backend}{why}; "
            f"{graphs}precision {self.precision}"
        )

    def to_json(self) -> bytes:
        """Returns the content of `meta.json`."""
        return dump_json(self).encode()


def read_meta(run: RunDir) -> Meta | None:
    """Returns the facts of a run's newest session, or None before the first. Raises Damaged."""
    return read_json(Meta, run.meta)
