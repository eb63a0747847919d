"""Who else may have written a file: its owner, its group, everybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.owners import belongs_to_another, may_be_mapped, written_by_another


def test_who_may_have_written_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner, everybody where the mode says so, and a group of several."""
    path = tmp_path / "own.yaml"
    path.touch()
    path.chmod(0o644)
    assert written_by_another(path) is None and belongs_to_another(path) is None
    path.chmod(0o646)
    assert written_by_another(path) == "everybody may write to own.yaml"
    path.chmod(0o664)
    os.chown(path, -1, os.getegid())
    monkeypatch.setattr("engine.owners._is_alone", lambda group, user: False)
    assert "may write to own.yaml" in (written_by_another(path) or "")
    monkeypatch.setattr("engine.owners._is_alone", lambda group, user: user == os.geteuid())
    assert written_by_another(path) is None
    ours = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    assert "own.yaml belongs to" in (written_by_another(path) or "")


def test_only_files_of_ones_own_are_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, ours = tmp_path / "own.npz", os.geteuid()
    path.touch()
    with path.open("rb") as file:
        assert may_be_mapped(file)
        monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
        assert not may_be_mapped(file)
