"""What commands that run many searches share: who runs them, and lines on how many have ended."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

import pytest

from dss_tui.cli import main
from dss_tui.commands import run
from dss_tui.commands.cells import CellLines
from dss_tui.tui.app import Opening
from dss_tui.viewing import session
from engine.record.events import Outcome
from engine.record.reading import Damaged
from engine.run.cluster import dask
from tests.support.commands import refused_before_anything


class Runs:
    """Four runs, two of which have ended and one is connected; or a folder that is damaged."""

    def __init__(self, damaged: bool = False) -> None:
        self.damaged = damaged

    @property
    def cells(self) -> int:
        if self.damaged:
            raise Damaged(Path("models.json"), "it is not whole JSON")
        return 4

    def count(self, *outcomes: Outcome) -> int:
        return 1 if outcomes else 2


def test_a_line_tells_how_many_have_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with CellLines(Runs()):
        pass
    assert capsys.readouterr().err == "0:00:00  2 of 4 cells ended, 1 connected\n"


def test_a_damaged_folder_is_left_to_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    with CellLines(Runs(damaged=True)):
        pass
    assert capsys.readouterr().err == "" and not raised


COMMANDS = {
    "sweep": "sweep quadratic --levels 0.05 --pairs 2",
    "components": "components quadratic --levels 0.05 --models 3",
    "compare": "compare quadratic --methods greedy --pairs 2 --set search.level=0.05",
}
every_command = pytest.mark.parametrize("name", COMMANDS)


@every_command
def test_what_is_no_address_is_said_before_anything_runs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*COMMANDS[name].split(), "--cluster", "head:8786"]
    refused_before_anything(capsys, command, "--cluster: is 'head:8786'; give local:N", tmp_path)


@every_command
def test_an_open_address_is_warned_of_and_nobody_there_is_said(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask, "CONNECT_S", 1)
    out = tmp_path / "none"
    command = [*COMMANDS[name].split(), "--cluster", "tcp://127.0.0.1:1", "--out", str(out)]
    assert main(command) == 2
    warning, refusal = capsys.readouterr().err.splitlines()
    assert "whoever reaches this address can run code on the workers" in warning
    assert "no Dask scheduler answers" in refusal
    assert not out.exists()


@every_command
@pytest.mark.parametrize("crew", [["--cluster", "local:3"], []])
def test_the_engine_of_a_screen_is_told_who_runs_the_searches(
    name: str, crew: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[tuple[str, ...]] = []
    shown: list[Opening] = []

    def wants_screen(asked: argparse.Namespace) -> bool:
        return True

    def show(opening: Opening) -> int:
        shown.append(opening)
        return 0

    monkeypatch.setattr(f"dss_tui.commands.{name}.wants_screen", wants_screen)
    monkeypatch.setattr(session, "launch", lambda run, *words, trusted: launched.append(words))
    monkeypatch.setattr(run, "show", show)
    assert main([*COMMANDS[name].split(), *crew, "--out", str(tmp_path / "out")]) == 0
    assert launched == [tuple(crew[1:])] and shown[0].launched


@pytest.mark.parametrize("name", ["sweep", "components"])
def test_a_number_at_a_time_is_not_for_a_cluster(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its workers take one search each."""
    both = ["--at-once", "3", "--cluster", "local:2", "--out", str(tmp_path / "none")]
    with pytest.raises(SystemExit) as end:
        main([*COMMANDS[name].split(), *both])
    assert end.value.code == 2
    assert "--cluster: not allowed with argument --at-once" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
