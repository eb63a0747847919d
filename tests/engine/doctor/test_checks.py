"""The list of checks: the same in each process, with each device and each kind of network."""

from __future__ import annotations

import pytest

from engine.doctor import checks as module
from engine.doctor import processors
from engine.doctor.checks import checks
from engine.doctor.findings import State, looked
from engine.doctor.searches import PROBLEMS


def names() -> list[str]:
    return [check.name for check in checks()]


def test_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "devices", lambda: ["cpu"])
    assert names() == [
        "cpu",
        "GPUs",
        "compiled code",
        "cpu float32",
        *(f"cpu {kind}" for kind in PROBLEMS),
    ]


def test_each_gpu_and_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "devices", lambda: ["cpu", "cuda:0", "cuda:1"])
    found = names()
    assert len(found) == len(set(found))
    for device in ("cpu", "cuda:0", "cuda:1"):
        assert {f"{device} float32", *(f"{device} {kind}" for kind in PROBLEMS)} <= set(found)
    assert [name for name in found if name.startswith("cuda:0,cuda:1")] == [
        "cuda:0,cuda:1 mlp",
        "cuda:0,cuda:1 resnet",
    ]
    assert {"cuda:0", "cuda:1"} <= set(found)


def test_quick_ones_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "devices", lambda: ["cpu"])
    monkeypatch.setattr(module, "PROBLEMS", {})
    found = [finding for check in checks() for finding in looked(check)]
    assert len(found) == 4
    assert not [each for each in found if each.state is State.WRONG]
