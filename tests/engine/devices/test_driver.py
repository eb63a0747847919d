"""The driver, and why torch sees none of its GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.devices import driver as module
from engine.devices import nvml
from engine.devices.driver import Build, Driver, Unseen, driver, why_unseen
from tests.support.acted_nvml import ActedGpu, ActedNvml, silent

NEW = Driver("580.65.06", (13, 0), 2)
OLD = Driver("470.57.02", (11, 4), 1)
CUDA, CPU = Build("2.13.0+cu130", cuda="13.0"), Build("2.13.0+cpu")


def test_the_driver_tells_its_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ActedNvml([ActedGpu("GPU-a")], driver="470.57.02", cuda=11040)
    monkeypatch.setattr(nvml, "opened", library.opened)
    assert driver() == OLD
    assert OLD.words == "driver 470.57.02 for CUDA up to 11.4"


def test_a_driver_whose_library_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nvml, "opened", silent)
    monkeypatch.setattr(module, "MODULE", tmp_path / "version")
    assert driver() is None
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
        "GCC version:  gcc version 12.2.0\n"
    )
    assert driver() == Driver("580.65.06", why_silent="NVML Shared Library Not Found")
    (tmp_path / "version").write_text("something else")
    assert driver() == Driver("", why_silent="NVML Shared Library Not Found")


def why(there: Driver | None, build: Build, variable: str | None = None, error: str = "") -> str:
    found = why_unseen(there, build, variable, error)
    assert isinstance(found, Unseen)
    return found.words


def test_where_the_driver_sees_none_nothing_is_to_be_said() -> None:
    assert why_unseen(None, CPU, None) is None
    assert why_unseen(Driver("580.65.06", (13, 0), 0), CUDA, "") is None


@pytest.mark.parametrize("value", ["", "-1", "none"])
def test_hidden_gpus(value: str) -> None:
    assert why(NEW, CUDA, value) == (
        f"CUDA_VISIBLE_DEVICES is {value!r}, which hides all GPUs from torch; unset it, or let it "
        "name a GPU: export CUDA_VISIBLE_DEVICES=0"
    )


def test_a_torch_without_cuda() -> None:
    assert why(NEW, CPU).startswith(
        "the driver sees 2 GPUs, but torch 2.13.0+cpu is built for the CPU alone; install a torch "
        "that is built for CUDA 13: https://"
    )
    assert "built for ROCm 6.4, AMD's GPUs; install" in why(OLD, Build("2.13.0", hip="6.4"))
    assert "sees a GPU," in why(Driver("580.65.06"), CPU)


def test_a_driver_that_is_too_old() -> None:
    assert why(OLD, CUDA).startswith(
        "the driver 470.57.02 runs CUDA up to 11.4, and torch 2.13.0+cu130 is built for CUDA 13.0; "
        "install a driver from 580 on, or a torch built for CUDA 11.4 or older: https://"
    )
    assert "install a newer driver, or" in why(NEW, Build("3.0", cuda="17.2"))


def test_a_minor_version_is_no_reason() -> None:
    """A driver runs all versions of CUDA with its major number."""
    found = why(Driver("525.60", (12, 0), 1), Build("2.9", cuda="12.8"), None, "CUDA error: 999")
    assert found.startswith("the driver sees 1 GPU, but torch cannot start CUDA: CUDA error: 999; ")


def test_gpus_that_do_not_answer() -> None:
    assert why(Driver("580.65.06", why_silent="Driver/library version mismatch"), CUDA) == (
        "driver 580.65.06 is loaded, but does not answer (Driver/library version mismatch); "
        "restart the machine, or the container with its GPUs (docker run --gpus all)"
    )
    assert "2 GPUs, of which CUDA_VISIBLE_DEVICES names 7, but" in why(NEW, CUDA, "7")
