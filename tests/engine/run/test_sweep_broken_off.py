"""A sweep that is to end in the midst of a long round of all of its searches."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import breaks
from engine.record.events import Outcome
from engine.record.lock import is_live
from engine.record.records import finished, read_records
from engine.record.signals import Signals
from engine.run import sweep
from engine.run.sweep import here
from engine.workers import pool
from presets import load_preset
from tests.support.run_strings import cells

#: Rounds that would take hours, on a backend that the interpreter drives.
ENDLESS = [
    "endpoints.check_every=10000000",
    "endpoints.max_steps=10000000",
    "endpoints.optimizer.lr=1e-9",
    "search.batching=vmap",
    "search.level=0.05",
    "problem.data.points=64",
    "workers=1",
    "device=cpu",
]


class Late(Signals):
    """A signal that comes when somebody has looked for it that often."""

    def __init__(self, looks: int) -> None:
        self._left: Iterator[int] = iter(range(looks))
        super().__init__()

    @property
    def received(self) -> signal.Signals | None:
        return signal.SIGTERM if next(self._left, None) is None else None

    @received.setter
    def received(self, value: signal.Signals | None) -> None:
        assert value is None


def test_all_searches_that_share_a_long_round_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "BETWEEN_LOOKS_S", 0.0)
    monkeypatch.setattr(breaks, "PATIENCE_S", 0.0)
    spec = load_preset("quadratic", ENDLESS)
    made, crew = sweep.start(spec, (0.05,), 3, tmp_path / "sweep", here(2))
    end = made.run(crew, Late(looks=500))
    assert "3 of 3 cells have not ended" in end.sentence
    begun = [run for run in cells(made.folder) if run.events.exists()]
    assert len(begun) == 2
    for run in begun:
        last = finished(read_records(run))
        assert last is not None and last.outcome is Outcome.STOPPED
        assert "in the midst of a long computation" in last.sentence
        assert not is_live(run)
