"""The command that lists the presets."""

from __future__ import annotations

from pathlib import Path

import pytest

import presets
from dss_tui.cli import main
from engine.spec import own


def test_own_presets_are_listed_after_the_shipped_and_run_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    own.folder().mkdir(parents=True)
    (own.folder() / "mine.yaml").write_text(presets.source("cubic"))
    (own.folder() / "[b]odd.yaml").write_text("problem: {data: {kind: digitz}}\n")
    assert main(["presets"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    names = [name for name, _ in lines]
    assert names == ["preset", *presets.names(), "[b]odd", "mine"]
    told = dict(lines)
    assert told["mine"].strip() == f"own: {presets.load_preset('cubic').description}"
    assert "own: broken: problem.data.kind: unknown kind" in told["[b]odd"]
    assert main(["presets", "mine"]) == 0
    assert capsys.readouterr().out == presets.source("cubic")
    assert main(["run", "[b]odd", "--headless"]) == 2
    assert "unknown kind 'digitz'" in capsys.readouterr().err
