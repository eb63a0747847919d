"""Folders that are written to, and data sets."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from engine.devices.memory import GIB
from engine.doctor.findings import Finding, State
from engine.doctor.folders import data_sets, writable

Usage = namedtuple("Usage", ["total", "used", "free"])


def written(folder: Path) -> Finding:
    (found,) = writable("runs folder", folder, "DSS_TUI_RUNS")
    return found


def test_a_folder_that_is_there_and_one_that_can_be_made(tmp_path: Path) -> None:
    found = written(tmp_path)
    assert found.state is State.OK and f"{tmp_path} can be written, " in found.found
    absent = tmp_path / "a" / "b"
    found = written(absent)
    assert found.state is State.OK and f"{absent} can be made, " in found.found
    assert list(tmp_path.iterdir()) == []


def test_no_write_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses, in the words that it has for any user but root."""

    def refuse(*args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    for folder in (tmp_path, tmp_path / "absent"):
        assert written(folder) == Finding(
            "runs folder",
            State.WRONG,
            f"{folder} cannot be written: Permission denied",
            "let DSS_TUI_RUNS name a folder that can be written to: export DSS_TUI_RUNS=FOLDER",
            "runs folder not writable",
            {"folder": str(folder), "free": None},
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission_of_the_system(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert written(tmp_path / "runs").state is written(tmp_path).state is State.WRONG


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    found = written(tmp_path / "file" / "runs")
    assert found.state is State.WRONG and "Not a directory" in found.found


def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(8 * GIB, 7 * GIB, GIB // 2))
    found = written(tmp_path)
    assert (found.state, found.brief) == (State.NOTE, "runs folder nearly full")
    assert "0.5 GiB free" in found.found and found.remedy


def data() -> Finding:
    (found,) = data_sets()
    return found


def test_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = data()
    assert found.state is State.NOTE and found.found.startswith(
        "DSS_TUI_DATA is not set; found dig"
    )
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path))
    found = data()
    assert found.state is State.OK and found.found.startswith("found digits; not here mnist")
    assert found.measured["absent"] and found.measured["damaged"] == ()
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(b"noise")
    found = data()
    assert found.state is State.WRONG and "train-images-idx3-ubyte" in found.found
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path / "gone"))
    found = data()
    assert found.state is State.WRONG and "gone', which is no folder; found" in found.found
