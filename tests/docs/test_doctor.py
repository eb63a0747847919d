"""docs/doctor.md has a line for each row, and prints what the doctor prints where it is wrong."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from rich.console import Console

from dss_tui.commands.doctor import row
from dss_tui.viewing import abilities
from engine.devices import nvml
from engine.devices.memory import GIB
from engine.doctor import checks, folders, processors, software, surroundings
from engine.doctor.findings import Finding, State
from engine.doctor.searches import PROBLEMS
from tests.support.acted_nvml import ActedGpu, ActedNvml, part

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that was built for CUDA."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch, "__version__", "2.13.0+cu130")


def printed(findings: Iterable[Finding], capsys: pytest.CaptureFixture[str]) -> str:
    """What the doctor prints of findings at 80 columns."""
    console = Console(width=80, highlight=False, markup=False)
    for finding in findings:
        console.print(row(finding))
    return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())


def test_each_row_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    first = re.findall(r"^\| (.+?) \|", PAGE, re.M)
    told = {name for line in first for name in line.removeprefix("DEVICE ").split(", ")}
    monkeypatch.setattr(processors, "devices", lambda: ["cpu", "cuda:0"])
    every = [*abilities.checks(), *surroundings.checks(), *checks.checks()]
    names = {check.name.removeprefix("cpu ").removeprefix("cuda:0 ") for check in every}
    names |= {finding.what for finding in software.versions()}
    assert names - {"versions"} - told == set()
    assert told - names == {"row", "…"}
    assert set(PROBLEMS) <= told


class _Without(importlib.abc.MetaPathFinder):
    """Finds no numba, as where it is not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "numba":
            raise ModuleNotFoundError("No module named 'numba'")
        return None


def test_without_numba(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Without(), *sys.meta_path])
    assert printed(software.compiled_code(), capsys) in PAGE


def test_without_permission_to_write(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    for what, folder, variable in (
        ("runs folder", "/srv/runs", "DSS_TUI_RUNS"),
        ("cache folder", "/srv/cache", "DSS_TUI_CACHE"),
    ):
        assert printed(folders.writable(what, Path(folder), variable), capsys) in PAGE


def test_on_a_dumb_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("TMUX", "STY", "NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(abilities, "is_there", lambda: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((80, 24)))
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2)
    found = [*abilities.terminal(), *abilities.colours()]
    assert found[0].state is State.WRONG
    assert printed(found, capsys) in PAGE


def see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets torch see a part of a GPU."""
    told = SimpleNamespace(name="NVIDIA H200 MIG 1g.18gb", uuid="0-aa", major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: told)
    sizes = (int(17.8 * GIB), 18 * GIB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: sizes)


def test_on_a_part_of_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    see(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-0-aa")
    library = ActedNvml([ActedGpu("GPU-1-aa", parts=[part(0), part(1)])])
    monkeypatch.setattr(nvml, "opened", library.opened)
    found = [*processors.gpus_found(), *processors.gpu_memory("cuda:0")]
    assert [each.state for each in found] == [State.OK, State.NOTE]
    assert printed(found, capsys) in PAGE


def test_with_an_old_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = ActedNvml([ActedGpu("GPU-1-aa")], driver="470.57.02", cuda=11040)
    monkeypatch.setattr(nvml, "opened", old.opened)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert printed(processors.gpus_found(), capsys) in PAGE


def test_the_states_of_the_page_are_those_that_are_printed() -> None:
    shown = set(re.findall(r"^(ok|note|WRONG) {1,4}\S", PAGE, re.M))
    assert shown == {"ok", "note", "WRONG"}
