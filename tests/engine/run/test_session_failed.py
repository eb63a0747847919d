"""Whatever fails, a run ends with its event: in words, in its log, and in the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.record.events import EndpointTrained, Outcome, Record, RunFinished
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.run.session import exit_status, run
from engine.run.store import DirectoryStore
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump, parse
from tests.support.gpus import Gpus

LOST = RuntimeError("CUDA error: an illegal memory access was encountered")


def tiny(device: str) -> Spec:
    steps = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 400}
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 20},
                "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
                "loss": "mse",
            },
            "endpoints": steps,
            "search": {"level": 0.02, "batching": "vmap", "greedy": steps, "certify": "off"},
            "device": device,
            "workers": 1,
            "seed": 3,
        }
    )


def folder(tmp_path: Path, device: str) -> RunDir:
    (tmp_path / "run.yaml").write_text(dump(tiny(device)))
    return RunDir(tmp_path)


def last(directory: RunDir) -> RunFinished:
    ended = finished(read_records(directory))
    assert ended is not None
    return ended


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_a_device_that_is_lost_at_the_start(gpus: Gpus, tmp_path: Path) -> None:
    if gpus.machine is None:
        pytest.skip("a real GPU is not broken for a test")
    directory = folder(tmp_path, "cuda:0")
    gpus.machine.fail("*", LOST, times=10**9)
    ended = run(directory, Signals())
    assert exit_status(ended) == 1 and ended.outcome is Outcome.FAILED
    told = last(directory)
    assert told.sentence == ended.sentence and "illegal memory access" in told.sentence
    assert str(directory.log) in told.sentence
    assert "Traceback" in directory.log.read_text()


@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_a_device_that_is_lost_on_the_way(gpus: Gpus, tmp_path: Path) -> None:
    """Not even the method can tell then where it stands, so that what was shown last is told."""
    machine = gpus.machine
    if machine is None:
        pytest.skip("a real GPU is not broken for a test")
    directory = folder(tmp_path, "cuda:0")

    def lose(record: Record) -> None:
        if isinstance(record.event, EndpointTrained):
            machine.fail("*", LOST, times=10**9)

    ended = run(directory, Signals(), lose)
    assert exit_status(ended) == 1
    told = last(directory)
    assert "illegal memory access" in told.sentence and "No checkpoint" in told.sentence
    assert told.totals.elapsed_s > 0
    assert "where the search stood cannot be told" in directory.log.read_text()


def test_the_counters_are_those_of_the_method_where_it_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = folder(tmp_path, "cpu")

    def spoilt(*_: object) -> None:
        raise ArithmeticError("no more segments")

    monkeypatch.setattr("engine.path.chain.Chain.measure", spoilt)
    assert exit_status(run(directory, Signals())) == 1
    told = last(directory)
    assert "ArithmeticError: no more segments" in told.sentence
    assert told.totals.bead_steps > 0 and told.totals.elapsed_s > 0


def test_a_preparation_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("engine.run.session.prepare", spoilt)
    directory = folder(tmp_path, "cpu")
    assert exit_status(run(directory, Signals())) == 1
    assert "OSError: the disk is gone" in last(directory).sentence


@pytest.mark.parametrize("said", ["", "1 TiB"])
def test_a_lack_of_memory_is_told_as_such(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: DirectoryStore, *_: object) -> None:
        raise MemoryError(said)

    monkeypatch.setattr(DirectoryStore, "progress", full)
    ended = run(folder(tmp_path, "cpu"), Signals())
    assert exit_status(ended) == 1
    because = f"Memory ran out: {said}" if said else "Memory ran out"
    assert ended.sentence.startswith(f"{because}. No checkpoint was written yet: free some, then `")
