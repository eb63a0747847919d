"""NVIDIA's management library: each answer by itself, whole GPUs and their parts, no driver."""

from __future__ import annotations

import math
import sys
from types import ModuleType

import pytest

from engine.devices import nvml
from engine.devices.memory import GIB
from engine.devices.nvml import Card, Refused
from tests.support.acted_nvml import ActedGpu, ActedNvml, NVMLError, part


def test_a_gpu_that_tells_everything() -> None:
    library = ActedNvml([ActedGpu("GPU-a"), ActedGpu("GPU-b", busy=12.0, used=2.0, total=8.0)])
    found = nvml.read(library, "GPU-b")
    assert (found.name, found.busy, found.refused) == ("NVIDIA H200", 12.0, ())
    assert (found.used, found.total) == (2.0 * GIB, 8.0 * GIB)


@pytest.mark.parametrize("refused", ["load", "memory", "name"])
def test_what_is_refused_is_noted_and_the_rest_is_told(refused: str) -> None:
    gpu = ActedGpu("GPU-a", refuses={refused: "Insufficient Permissions"})
    found = nvml.read(ActedNvml([gpu]), "GPU-a")
    assert found.refused == (Refused(refused, "Insufficient Permissions"),)
    missing = {"load": math.isnan(found.busy), "memory": math.isnan(found.used + found.total)}
    missing["name"] = not found.name
    assert [name for name, absent in missing.items() if absent] == [refused]


def test_a_lost_gpu_and_an_unknown_one_tell_nothing() -> None:
    library = ActedNvml([ActedGpu("GPU-a", refuses={"anything": "GPU is lost"})])
    for uuid, why in (("GPU-a", "GPU is lost"), ("GPU-z", "Not Found")):
        found = nvml.read(library, uuid)
        assert math.isnan(found.busy) and math.isnan(found.used) and found.name == ""
        assert found.refused == (Refused("identifier", why),)


def test_the_identifier_of_a_part_may_be_told_as_that_of_a_whole() -> None:
    library = ActedNvml([ActedGpu("GPU-a", parts=[part(0), part(1)])])
    for told in ("MIG-1-aa", "GPU-1-aa"):
        assert nvml.handle_of(library, told) is library.gpus[0].parts[1]
    assert nvml.handle_of(library, "MIG-a") is library.gpus[0]
    with pytest.raises(NVMLError):
        nvml.handle_of(library, "GPU-2-aa")


def test_all_cards_with_their_parts() -> None:
    undivided = ActedGpu("GPU-c", refuses={"parts": "Not Supported"})
    lost = ActedGpu("GPU-d", refuses={"anything": "GPU is lost"})
    divided = ActedGpu("GPU-a", parts=[part(0), part(1)])
    assert nvml.cards(ActedNvml([divided, ActedGpu("GPU-b"), undivided, lost])) == (
        Card("NVIDIA H200", "GPU-a", ("MIG-0-aa", "MIG-1-aa")),
        Card("NVIDIA H200", "GPU-b", None),
        Card("NVIDIA H200", "GPU-c", None),
    )


@pytest.mark.parametrize("error", [NVMLError("Driver Not Loaded"), OSError("Driver Not Loaded")])
def test_without_a_driver_the_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    binding = ModuleType("pynvml")
    binding.nvmlInit = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", binding)
    fresh = nvml.opened.__wrapped__
    assert fresh() == nvml.Opened(None, "Driver Not Loaded")
    binding.nvmlInit = lambda: None  # type: ignore[attr-defined]
    assert fresh() == nvml.Opened(binding)


def test_errors_are_told_in_one_line() -> None:
    assert nvml.said(RuntimeError("no\n  driver")) == "no driver"
    assert nvml.said(KeyError()) == "KeyError"
    assert nvml.text(b"580.65\xff") == "580.65�"
