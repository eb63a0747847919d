"""The checks of software, folders and data: they follow the environment, and need no torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.doctor.findings import State, looked
from engine.doctor.surroundings import checks
from tests.support.imports import imported_by


def test_they_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSS_TUI_RUNS", str(tmp_path / "my-runs"))
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "my-cache"))
    found = {each.what: each for check in checks() for each in looked(check)}
    assert set(found) == {"system", "packages", "data sets", "runs folder", "cache folder"}
    assert found["runs folder"].measured["folder"] == str(tmp_path / "my-runs")
    assert found["cache folder"].measured["folder"] == str(tmp_path / "my-cache")
    assert not [each for each in found.values() if each.state is State.WRONG]


def test_they_need_no_torch() -> None:
    """A broken torch leaves them, and the process that asks for the others."""
    code = "from engine.doctor import process, searches, surroundings\nsurroundings.checks()"
    assert "torch" not in imported_by(code)
