"""NVIDIA's driver, and why torch may see no GPU although the driver does. No torch here."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.devices import nvml, visible

#: The file by which the kernel's module tells its version, also where nothing else of it is here.
MODULE = Path("/proc/driver/nvidia/version")
#: The first driver for Linux with which each major version of CUDA runs.
FIRST_DRIVER = {11: "450", 12: "525", 13: "580"}
#: Where builds of torch are chosen.
BUILDS = "https://pytorch.org/get-started/locally"

Version = tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver on this machine."""

    version: str = ""
    """Its version, such as 580.65.06; empty where it does not tell."""
    cuda: Version | None = None
    """The newest version of CUDA that it runs, or None where it does not tell."""
    gpus: int | None = None
    """The number of whole GPUs that it sees, or None where it does not tell."""
    why_silent: str = ""
    """The reason why its management library does not answer; empty where it does."""

    @property
    def words(self) -> str:
        """The versions, such as "driver 580.65.06 for CUDA up to 13.0"."""
        version = f"driver {self.version}" if self.version else "a driver"
        return version if self.cuda is None else f"{version} for CUDA up to {_dotted(self.cuda)}"


@dataclass(frozen=True)
class Build:
    """What torch was built for."""

    version: str
    """The version of torch, such as 2.13.0+cu130."""
    cuda: str | None = None
    """The version of CUDA, such as 13.0, or None where it was built without."""
    hip: str | None = None
    """The version of ROCm, for AMD's GPUs, or None where it was built without."""


@dataclass(frozen=True)
class Unseen:
    """Why torch sees no GPU although the driver sees some."""

    why: str
    remedy: str

    @property
    def words(self) -> str:
        """The sentence with the remedy."""
        return f"{self.why}; {self.remedy}"


def driver() -> Driver | None:
    """Returns NVIDIA's driver, or None where there is none on this machine."""
    opened = nvml.opened()
    if opened.library is None:
        version = _of_module()
        return None if version is None else Driver(version, why_silent=opened.why)
    asked, questions = opened.library, nvml.Questions()
    version = questions.ask("version", lambda: nvml.text(asked.nvmlSystemGetDriverVersion()))
    number = questions.ask("cuda", lambda: int(asked.nvmlSystemGetCudaDriverVersion()))
    gpus = questions.ask("count", lambda: int(asked.nvmlDeviceGetCount()))
    cuda = None if number is None else (number // 1000, number % 1000 // 10)
    return Driver(version or "", cuda, gpus)


def why_unseen(
    driver: Driver | None, build: Build, variable: str | None, error: str = ""
) -> Unseen | None:
    """Returns why torch sees none of the driver's GPUs; None where the driver sees none either.

    Args:
        driver: The driver, or None where there is none.
        build: What torch was built for.
        variable: The value of CUDA_VISIBLE_DEVICES, or None where it is not set.
        error: What CUDA said when torch started it, if it said something.
    """
    if driver is None or driver.gpus == 0:
        return None
    named = visible.entries(variable)
    if named == ():
        return Unseen(
            f"{visible.VARIABLE} is {variable!r}, which hides all GPUs from torch",
            f"unset it, or let it name a GPU: export {visible.VARIABLE}=0",
        )
    if build.cuda is None:
        return _without_cuda(driver, build)
    needed, reached = _version(build.cuda), driver.cuda
    if needed is not None and reached is not None and reached[0] < needed[0]:
        return _too_old(driver, build, needed[0], _dotted(reached))
    if driver.why_silent:
        return Unseen(
            f"{driver.words} is loaded, but does not answer ({driver.why_silent})",
            "restart the machine, or the container with its GPUs (docker run --gpus all)",
        )
    which = "" if named is None else f", of which {visible.VARIABLE} names {', '.join(named)}"
    said = f": {error}" if error else ""
    return Unseen(
        f"the driver sees {_counted(driver.gpus)}{which}, but torch cannot start CUDA{said}",
        "see whether `nvidia-smi` lists the GPU without an error, and whether this user may open "
        "/dev/nvidia*",
    )


def _without_cuda(driver: Driver, build: Build) -> Unseen:
    """Returns the answer for a torch that was built without CUDA."""
    what = f"for ROCm {build.hip}, AMD's GPUs" if build.hip else "for the CPU alone"
    newest = "CUDA" if driver.cuda is None else f"CUDA {driver.cuda[0]}"
    return Unseen(
        f"the driver sees {_counted(driver.gpus)}, but torch {build.version} is built {what}",
        f"install a torch that is built for {newest}: {BUILDS}",
    )


def _too_old(driver: Driver, build: Build, needed: int, reached: str) -> Unseen:
    """Returns the answer for a driver that is older than torch's CUDA."""
    first = FIRST_DRIVER.get(needed)
    newer = "a newer driver" if first is None else f"a driver from {first} on"
    return Unseen(
        f"the driver {driver.version} runs CUDA up to {reached}, and torch {build.version} is "
        f"built for CUDA {build.cuda}",
        f"install {newer}, or a torch built for CUDA {reached} or older: {BUILDS}",
    )


def _counted(gpus: int | None) -> str:
    """Returns a number of GPUs in words."""
    if gpus is None:
        return "a GPU"
    return "1 GPU" if gpus == 1 else f"{gpus} GPUs"


def _of_module() -> str | None:
    """Returns the version of the kernel's module, or None where it is not loaded."""
    with suppress(OSError):
        found = re.search(r"\b\d{3}\.\d+(?:\.\d+)?\b", MODULE.read_text(errors="replace"))
        return found[0] if found else ""
    return None


def _version(text: str) -> Version | None:
    """Returns a version of CUDA as numbers, or None for a text that is none."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return None if found is None else (int(found[1]), int(found[2]))


def _dotted(version: Version) -> str:
    """Returns a version of CUDA as a text."""
    return f"{version[0]}.{version[1]}"
