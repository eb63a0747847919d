"""A sample of what `benchmarks.surroundings` tries, in one process: folders of all sorts."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.surroundings import LIGHT, Surroundings, everything
from dss_tui.cli import main
from engine.record.events import dump_json

SMALL = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--seed", "2"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence by which a command is refused."""
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_names_that_are_no_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Linux allows any bytes in them. JSON and the terminal get them written out."""
    folder = tmp_path / os.fsdecode(b"caf\xe9\x1b")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such names")
    run = str(folder / "run")
    assert main(["run", "quadratic", *SMALL, "--headless", "--out", run]) == 0
    assert "caf\\udce9\\x1b/run" in capsys.readouterr().out
    assert main(["export", run, "--out", str(folder / "s.npz")]) == 0
    assert main(["verify", str(folder / "s.npz"), "--json"]) == 0
    assert json.loads(dump_json({"a": [float("nan"), str(folder)]}))["a"][0] is None
    capsys.readouterr()
    assert "caf\\udce9" in refused(["diagnose", str(folder / "none")], capsys)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps the folder's name")
def test_a_current_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    assert main(["presets"]) == 0
    assert main(["ls"]) == 0
    assert main(["data", "digits"]) == 0
    capsys.readouterr()
    for command in (["run", "quadratic", "--headless"], ["verify", "/x.npz"], ["diagnose", "x"]):
        assert refused(command, capsys).startswith("dss-tui: ")


@pytest.mark.parametrize("columns", ["0", "-5", "many", "1"])
def test_columns_that_make_no_sense(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["presets"]) == 0
    assert main(["ls"]) == 0


@pytest.mark.parametrize("name", ["x" * 300, "a\nb", "~nobody-at-all/x", ""])
def test_names_that_cannot_be(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(["diagnose", name], capsys)
    assert refused(["verify", f"{name}.npz"], capsys)


def test_every_kind_of_surroundings_is_tried_by_every_command() -> None:
    """The program itself, which takes an hour, is run by hand."""
    names = [each.name for each in everything()]
    assert len(names) == len(set(names)) >= 50 and len(LIGHT) >= 15
    assert all(isinstance(each, Surroundings) for each in everything())
