"""The user's own editor chosen and opened."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import SuspendNotSupported

from dss_tui.tui.editor import command, edit


@pytest.fixture(autouse=True)
def none_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No editor is named, and no program is found."""
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


@contextmanager
def handed_over() -> Iterator[None]:
    yield


@contextmanager
def not_handed_over() -> Iterator[None]:
    raise SuspendNotSupported("no")
    yield


def app(suspend: Any = handed_over) -> Any:
    return SimpleNamespace(suspend=suspend)


def test_visual_wins_over_editor_and_that_over_a_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command() == []
    vi = tmp_path / "vi"
    vi.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command() == [str(vi)]
    monkeypatch.setenv("EDITOR", "emacs -nw")
    assert command() == ["emacs", "-nw"]
    monkeypatch.setenv("VISUAL", "'my editor' --wait")
    assert command() == ["my editor", "--wait"]
    monkeypatch.setenv("VISUAL", "'open")
    assert command() == []


def test_the_file_is_handed_to_the_editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a preset.yaml"
    script = "import sys; open(sys.argv[1], 'a').write('edited')"
    monkeypatch.setenv("EDITOR", f'{sys.executable} -c "{script}"')
    assert edit(app(), path) is None
    assert path.read_text() == "edited"


def test_what_keeps_the_editor_from_opening_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    assert "no editor is known" in str(edit(app(), path))
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    assert "cannot be started (No such file" in str(edit(app(), path))
    monkeypatch.setenv("EDITOR", f'{sys.executable} -c "raise SystemExit(7)"')
    assert "ended with status 7" in str(edit(app(), path))
    assert f"edit {path} elsewhere" in str(edit(app(not_handed_over), path))
