"""Folders of runs renamed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.record.notes import Notes, read_notes
from engine.record.renaming import check_name, rename
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.record.writer import RunWriter
from tests.support.run_folders import CONNECTED, write


@pytest.fixture
def ended(run: RunDir) -> RunDir:
    """A run that has ended."""
    write(run, CONNECTED)
    return run


def test_a_run_gets_another_name_and_keeps_all_it_holds(ended: RunDir) -> None:
    held = set(os.listdir(ended.path))
    renamed = rename(ended, "best so far")
    assert renamed.path == ended.path.with_name("best so far")
    assert not ended.path.exists()
    assert set(os.listdir(renamed.path)) == held | {"notes.json"}
    assert summarize(renamed).state == "connected"
    again = rename(renamed, "best")
    assert read_notes(again) == Notes("", "run")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/tmp/x", "../run", "~x", ".hidden", "-f", "a\nb", " a", "n" * 256],
)
def test_a_name_that_leaves_the_folder_or_cannot_be_is_refused(name: str, ended: RunDir) -> None:
    before = sorted(os.listdir(ended.path.parent))
    with pytest.raises(InputError):
        check_name(ended, name)
    with pytest.raises(InputError):
        rename(ended, name)
    assert sorted(os.listdir(ended.path.parent)) == before


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "link to nothing"])
def test_a_name_that_exists_is_refused(kind: str, ended: RunDir, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    if "folder" in kind:
        taken.mkdir()
    if kind == "folder":
        (taken / "thesis.tex").touch()
    elif kind == "file":
        taken.touch()
    elif kind == "link to nothing":
        taken.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="taken: exists already"):
        rename(ended, "taken")
    assert ended.path.is_dir()


def test_a_name_taken_at_the_last_moment_is_not_replaced(
    ended: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").mkdir()
    monkeypatch.setattr("engine.record.renaming.check_name", lambda run, name: None)
    with pytest.raises(InputError, match="taken: exists already"):
        rename(ended, "taken")
    assert ended.path.is_dir() and os.listdir(tmp_path / "taken") == []


def test_a_live_or_starting_run_keeps_its_name(run: RunDir) -> None:
    with pytest.raises(InputError, match="run: is starting"):
        rename(run, "other")
    with RunWriter(run), pytest.raises(InputError, match="run: is running; stop it first"):
        rename(run, "other")
    assert run.path.is_dir()


def test_a_run_that_is_gone_is_told(ended: RunDir) -> None:
    rename(ended, "other")
    with pytest.raises(InputError, match="run: is not there any more"):
        rename(ended, "third")
