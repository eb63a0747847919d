"""The lines on how many of many runs have ended."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dss_tui.commands.cells import CellLines
from engine.record.events import Outcome
from engine.record.reading import Damaged


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
