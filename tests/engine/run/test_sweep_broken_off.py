"""Many runs that are to end in the midst of a long round of all of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import breaks
from engine.record.components_folder import ComponentsPlan
from engine.record.events import Outcome
from engine.record.lock import is_live
from engine.record.records import finished, read_records
from engine.record.signals import Signals
from engine.run import sweep
from engine.run.batched import Batched
from engine.run.components import components
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
    made = sweep.start(spec, (0.05,), 3, tmp_path / "sweep", Batched(2))
    end = made.run(Late(looks=500))
    assert "3 of 3 cells have not ended" in end.sentence
    begun = [run for run in cells(made.folder) if run.events.exists()]
    assert len(begun) == 2
    for run in begun:
        last = finished(read_records(run))
        assert last is not None and last.outcome is Outcome.STOPPED
        assert "in the midst of a long computation" in last.sentence
        assert not is_live(run)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_long_training_of_models_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """By themselves and together."""
    monkeypatch.setattr(pool, "BETWEEN_LOOKS_S", 0.0)
    monkeypatch.setattr(breaks, "PATIENCE_S", 0.0)
    plan = ComponentsPlan(load_preset("quadratic", ENDLESS), (0.05,), 4)
    made = components.start(plan, tmp_path / "many", Batched(at_once))
    end = made.run(Late(looks=100))
    assert end.sentence.startswith("0 of 4 models are trained")
