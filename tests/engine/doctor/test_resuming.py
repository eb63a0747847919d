"""Whether a search that resumes otherwise than it stopped is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest

from engine.doctor.resuming import STOPS, _difference, resumed
from engine.doctor.searches import search_of
from engine.errors import InputError
from engine.methods.method import MethodState
from engine.record import packing
from engine.record.events import Continued, Event, Record
from engine.record.finding import create
from engine.record.packing import Names, Packed
from engine.record.string_file import read
from engine.record.writer import RunWriter
from engine.run.prepare import Prepared, prepare
from engine.workers.pool import Pool, open_pool
from tests.support.string_files import encode


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(search_of("mlp", "cpu", "loop"))


@pytest.fixture
def pool(prepared: Prepared) -> Iterator[Pool]:
    with open_pool(prepared.backend, prepared.spec) as found:
        yield found


def test_a_search_is_stopped_and_resumed_to_the_same_bits(
    prepared: Prepared, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped at each of the events, so that a session after each goes on from there."""
    told: list[Event] = []
    record = RunWriter.record

    def listen(self: RunWriter, event: Event, elapsed_s: float) -> Record:
        told.append(event)
        return record(self, event, elapsed_s)

    monkeypatch.setattr(RunWriter, "record", listen)
    assert resumed(prepared.spec, pool) == 0.0
    assert len([each for each in told if isinstance(each, Continued)]) == len(STOPS)


def test_a_state_that_is_lost_is_noticed(
    prepared: Prepared, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are written a little off lead elsewhere."""
    exact = packing.pack

    def inexact(state: MethodState, names: Names) -> Packed:
        tensors, plain = exact(state, names)
        return {
            name: each + 1e-3 if name.endswith((".weights", ".theta")) else each
            for name, each in tensors.items()
        }, plain

    monkeypatch.setattr("engine.run.checkpoint.pack", inexact)
    assert resumed(prepared.spec, pool) > 1e-6


def test_a_search_that_fails_is_told(
    prepared: Prepared, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **named: object) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(pool, "run", fail)
    with pytest.raises(InputError, match="no kernel image"):
        resumed(prepared.spec, pool)


def test_differences_of_strings(prepared: Prepared, tmp_path: Path) -> None:
    """Read from files, with the largest value as the measure."""
    fixture = Path(__file__).parents[2] / "fixtures/6706f4a/runs/finished-auto-quadratic"
    held = read(fixture / "string.safetensors")
    runs = [create(prepared.spec, name, tmp_path / name) for name in ("one", "other", "short")]
    beads = held.string.beads.copy()
    beads[0, 0] += np.float32(np.abs(beads).max() * 0.01)
    changed = replace(held, string=replace(held.string, beads=beads))
    for run, file in zip(runs, (held, changed, held), strict=True):
        run.string.write_bytes(encode(file, ".safetensors"))
    assert _difference(runs[0], runs[2]) == 0.0
    assert _difference(runs[0], runs[1]) == pytest.approx(0.01, rel=0.01)
    assert inf > _difference(runs[1], runs[0]) > 0
