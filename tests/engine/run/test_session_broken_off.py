"""A session that is to end in the midst of a long computation: it tells how far it is, and ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import breaks
from engine.record.commands import send
from engine.record.events import Outcome
from engine.record.lock import is_live
from engine.record.progress import read_progress
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run import attention
from engine.run.session import SessionControl, exit_status, run
from engine.run.store import DirectoryStore
from engine.spec.yaml_file import dump, parse
from engine.workers import pool
from tests.support.run_strings import same_string

STEPS: dict[str, Any] = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 400}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever attends looks without a pause, and waits for nothing."""
    monkeypatch.setattr(pool, "BETWEEN_LOOKS_S", 0.0)
    monkeypatch.setattr(breaks, "PATIENCE_S", 0.0)
    monkeypatch.setattr(attention, "LONG_S", 0.0)
    monkeypatch.setattr(attention, "TOLD_EVERY_S", 0.0)


def folder(path: Path, ends: dict[str, Any] = STEPS) -> RunDir:
    tree = {
        "problem": {
            "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 200},
            "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
            "loss": "mse",
        },
        "endpoints": ends,
        "search": {"level": 0.02, "batching": "vmap", "greedy": STEPS, "certify": "off"},
        "device": "cpu",
        "workers": 1,
        "seed": 3,
        "checkpoint_seconds": 0.001,
    }
    path.mkdir()
    (path / "run.yaml").write_text(dump(parse(tree)))
    return RunDir(path)


Tell = Callable[[DirectoryStore, float, float | None, float], None]


@pytest.mark.parametrize("how", ["a signal", "a command"])
def test_a_round_that_takes_long_is_told_of_and_broken_off(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, signals = folder(tmp_path / "run", {**STEPS, "check_every": 10**7}), Signals()
    tell: Tell = DirectoryStore.within
    shares: list[float] = []

    def told(store: DirectoryStore, share: float, left_s: float | None, elapsed_s: float) -> None:
        tell(store, share, left_s, elapsed_s)
        now = read_progress(directory)
        assert now is not None and now.within is not None
        assert now.within.left == left_s and (left_s is None) == (share == 0)
        shares.append(now.within.share)
        if share > 0 and how == "a signal":
            signals.ask(signal.SIGTERM)
        elif share > 0:
            send(directory, "stop")

    monkeypatch.setattr(DirectoryStore, "within", told)
    monkeypatch.setattr("engine.run.session.BETWEEN_LOOKS_S", 0.0)
    ended = run(directory, signals)
    assert (ended.outcome, exit_status(ended)) == (
        Outcome.STOPPED,
        143 if how == "a signal" else Outcome.STOPPED.exit_status,
    )
    by = "by SIGTERM" if how == "a signal" else "as asked"
    assert ended.sentence.startswith(f"Stopped {by} in the midst of a long computation; there is")
    assert 0 < shares[-1] < 1
    assert finished(read_records(directory)) is not None
    assert not is_live(directory)


def after(looks: int, run: RunDir) -> Callable[[SessionControl], bool]:
    """Asks a run to end after so many looks once it has a checkpoint."""
    left = iter(range(looks))
    return lambda control: run.checkpoint.exists() and next(left, None) is None


def test_what_was_broken_off_goes_on_to_the_same_string(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = folder(tmp_path / "whole"), folder(tmp_path / "broken")
    assert run(whole, Signals()).outcome is Outcome.CONNECTED
    for looks in (3, 10):
        monkeypatch.setattr(SessionControl, "is_to_end", after(looks, broken))
        ended = run(broken, Signals())
        assert ended.outcome is Outcome.STOPPED
        assert "; the run can be resumed from its checkpoint of" in ended.sentence
    monkeypatch.undo()
    assert run(broken, Signals()).outcome is Outcome.CONNECTED
    assert same_string(whole.path, broken.path)
