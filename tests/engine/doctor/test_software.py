"""Versions, and compiled code: there, compiled now, not kept, not to be had."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.doctor import software
from engine.doctor.findings import Finding, State
from engine.doctor.software import compiled_code, versions


def test_the_versions() -> None:
    system, packages = versions()
    assert system.state is packages.state is State.OK
    assert f"torch {version('torch')}" in packages.brief
    assert packages.measured["torch"] == version("torch")
    assert "Python 3." in system.brief


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "NEEDED", ("torch", "no-such-package"))
    _, packages = versions()
    assert (packages.state, packages.found) == (State.WRONG, "no-such-package not installed")
    assert packages.remedy and f"torch {version('torch')}" in packages.brief


def compiled() -> Finding:
    (found,) = compiled_code()
    return found


def test_compiled_code_is_kept() -> None:
    """The tests share it, so that only the first of all sessions compiles here."""
    found = compiled()
    assert found.state is State.OK and "MiB in " in found.found
    assert isinstance(found.measured["files"], int) and found.measured["files"] > 0
    assert compiled().found.startswith("compiled before, ")


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    found = compiled()
    assert found == Finding(
        "compiled code",
        State.WRONG,
        "numba cannot be imported (ModuleNotFoundError: import of numba halted; None in "
        "sys.modules): small fully connected networks train many times slower",
        "pip install numba",
        "no numba",
    )


def test_compiled_code_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("engine.backends.fused.compilation.warm_up", lambda: None)
    found = compiled()
    assert found.state is State.WRONG and "cannot be kept in" in found.found
    assert "DSS_TUI_CACHE" in found.remedy
