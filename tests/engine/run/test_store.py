"""The store of a run directory: checkpoints that a thread writes, whatever happens meanwhile."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import SaveError
from engine.methods.method import StagedMethod
from engine.problem.problem import build_problem
from engine.record import finding, string_file
from engine.record.events import Continued, Outcome
from engine.record.packing import pack
from engine.record.reading import Damaged
from engine.record.records import read_all_records
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.record.signals import Signals
from engine.record.writer import RunWriter
from engine.run import bead_files, checkpoint
from engine.run.bead_files import BeadFiles
from engine.run.checkpoint import Checkpoint
from engine.run.job import Job
from engine.run.loop import Pace
from engine.run.session import Ended, run_session
from engine.run.store import DirectoryStore
from engine.spec.keys import Spec
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.damage import flip
from tests.support.searches import method_for
from tests.support.workers import vmapped

SPEC = load_preset(
    "quadratic", ["seed=3", "problem.data.points=16", "search.level=2e-2", "device=cpu"]
)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bead has a file of its own, and none stays in memory."""
    monkeypatch.setattr(bead_files, "APART", 0)
    monkeypatch.setattr(bead_files, "IN_MEMORY", 0)


@contextmanager
def search(spec: Spec = SPEC) -> Iterator[StagedMethod]:
    with method_for(build_problem(spec.problem), spec) as method:
        yield method


def bits(method: StagedMethod) -> Any:
    """All that a search holds, with each tensor as bytes, whatever memory it shares."""
    tensors, plain = pack(method.state)

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$tensor" not in value:
            return {name: whole(item) for name, item in value.items()}
        tensor = tensors[value["$tensor"]]
        return (tensor if "$row" not in value else tensor[value["$row"]]).numpy().tobytes()

    return whole(plain)


def kept(method: StagedMethod) -> Checkpoint:
    return Checkpoint(method.state, 1, 2.0, SPEC.fingerprint())


def beads(method: StagedMethod) -> int:
    return len(method.chain.order)


class Killed(BaseException):
    """The end of a process."""


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """The process ends at that call of the system, from 0, which does nothing then."""
    calls = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "link", "unlink", "fsync", "mkdir"):
            whole = getattr(os, name)

            def call(*args: Any, whole: Any = whole, **named: Any) -> Any:
                if next(calls) == number:
                    raise Killed
                return whole(*args, **named)

            patch.setattr(os, name, call)
        yield


def test_a_kill_at_any_moment_leaves_one_checkpoint_or_the_other(
    apart: None, tmp_path: Path
) -> None:
    """And beside it all beads that it refers to, to the bit, and no others after a resume."""
    run = finding.create(SPEC, "quadratic", tmp_path / "run")
    states: list[Any] = []
    with search() as method:
        files = BeadFiles(run)
        for phase, count in (("endpoints", 2), ("search", 2), ("search", 3)):
            while (method.phase, beads(method)) != (phase, count):
                method.step(None)
            draft = checkpoint.draft(kept(method), files)
            states.append(bits(method))
            if beads(method) == 2:
                draft.write()
        assert draft.new and draft.refers - draft.new.keys()
        original = run.path
        for number in itertools.count():
            folder = tmp_path / f"killed-{number}"
            shutil.copytree(original, folder)
            files.run = RunDir(folder)
            remembered = (set(files.written), set(files.mapped), files.before)
            try:
                with killed_at(number):
                    draft.write()
                ended = True
            except Killed:
                ended = False
            found = resumed_bits(RunDir(folder))
            assert found in states[-2:]
            if ended:
                assert found == states[-1] and number > 10
                return
            files.written, files.mapped, files.before = remembered


def resumed_bits(run: RunDir) -> Any:
    """What a search holds that goes on from a run's checkpoint."""
    files = BeadFiles(run)
    with search() as method:
        back = checkpoint.resume(run, SPEC, method, files)
        assert back is not None
        there = {
            f"beads/{p.name.removesuffix('.safetensors')}"
            for p in run.beads.glob("[0-9]*.safetensors")
        }
        assert there == files.written
        referred = checkpoint.bead_names(pack(back.method, files.names)[1])
        assert referred <= there
        return bits(method)


def two_checkpoints(folder: Path, apart: int) -> tuple[RunDir, list[Any]]:
    """A run with two checkpoints, and all that each of them holds."""
    run = finding.create(SPEC, "quadratic", folder)
    states = []
    with search() as method:
        files = BeadFiles(run, apart=apart)
        while (method.phase, beads(method)) != ("search", 2):
            method.step(None)
        for _ in range(2):
            states.append(bits(method))
            checkpoint.draft(kept(method), files).write()
            method.step(None)
    return run, states


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize("apart", [0, 10**9], ids=["beads apart", "beads within"])
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    damage: Callable[[Path], None], apart: int, tmp_path: Path
) -> None:
    """Which then is the newest one, and the one before the next."""
    run, (first, second) = two_checkpoints(tmp_path / "run", apart)
    assert first != second
    damage(run.checkpoint)
    with search() as method:
        found = checkpoint.look(run, SPEC, method)
        assert found is not None and found.damaged is not None
        assert found.damaged.path == run.checkpoint
    assert run.checkpoint_before.exists()  # a look changes nothing
    assert resumed_bits(run) == first
    with search() as method:
        again = checkpoint.resume(run, SPEC, method)
        assert again is not None and again.damaged is None


def test_where_both_checkpoints_are_damaged_both_are_named(tmp_path: Path) -> None:
    run, _ = two_checkpoints(tmp_path / "run", 0)
    cut(run.checkpoint)
    flip(run.checkpoint_before)
    said = r"checkpoint\.safetensors: .*checkpoint\.before\.safetensors: "
    with search() as method, pytest.raises(Damaged, match=said):
        checkpoint.resume(run, SPEC, method)


@pytest.mark.parametrize("file", ["checkpoint.safetensors", "beads/2.1.safetensors"])
def test_no_flipped_bit_is_gone_on_with(file: str, tmp_path: Path) -> None:
    """Wherever it is, the search goes on from the checkpoint before, or the file is refused."""
    run, states = two_checkpoints(tmp_path / "run", 0)
    path = run.path / file
    content = path.read_bytes()
    before = run.checkpoint_before.read_bytes()
    for at in range(0, len(content), max(1, len(content) // 50)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            assert resumed_bits(run) in states
        except Damaged:
            assert file.startswith("beads/")
        path.write_bytes(content)
        run.checkpoint_before.write_bytes(before)
    run.checkpoint_before.unlink()
    path.write_bytes(content)
    flip(path)
    with search() as method, pytest.raises(Damaged):
        checkpoint.resume(run, SPEC, method)


def test_a_session_tells_that_it_goes_on_from_the_checkpoint_before(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"limits": SPEC.limits.model_copy(update={"beads": 4})})
    run, ended = session(tmp_path / "run", spec)
    assert ended.outcome is Outcome.LIMIT_REACHED and run.checkpoint_before.exists()
    cut(run.checkpoint)
    run, ended = session(tmp_path / "run", SPEC)
    whole, _ = session(tmp_path / "whole", SPEC)
    assert ended.outcome is Outcome.CONNECTED
    said = [e.event.why for e in read_all_records(run) if isinstance(e.event, Continued)]
    assert said[-1].startswith("damaged: checkpoint.safetensors: ")
    assert said[-1].endswith("The search goes on from the checkpoint before it.")
    a, b = (string_file.read(each.string).string for each in (run, whole))
    assert a.beads.tobytes() == b.beads.tobytes()


def session(folder: Path, spec: Spec, *, every_s: float = 0.0) -> tuple[RunDir, Ended]:
    """A session of a run in a folder, with a checkpoint as often as may be."""
    run = RunDir(folder)
    if not run.path.exists():
        run = finding.create(spec, "quadratic", folder)
    with (
        Pool(vmapped(build_problem(spec.problem)), [torch.device("cpu")]) as pool,
        RunWriter(run) as writer,
    ):
        return run, run_session(writer, spec, pool, Signals(), pace=Pace(every_s, 10.0))


def test_a_run_whose_beads_lie_apart_ends_with_the_same_string(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after some beads, it goes on; its string is written at its ends alone."""
    spec = SPEC.model_copy(update={"limits": SPEC.limits.model_copy(update={"beads": 5})})
    whole, _ = session(tmp_path / "whole", SPEC, every_s=1000.0)
    monkeypatch.setattr(bead_files, "APART", 0)
    monkeypatch.setattr(bead_files, "IN_MEMORY", 0)
    monkeypatch.setattr("engine.run.store.PAUSE", 0)
    run, ended = session(tmp_path / "apart", spec)
    assert ended.outcome is Outcome.LIMIT_REACHED
    assert len(list(run.beads.iterdir())) >= 3
    run, ended = session(tmp_path / "apart", SPEC)
    assert ended.outcome is Outcome.CONNECTED
    a, b = (string_file.read(each.string).string for each in (run, whole))
    assert a.beads.tobytes() == b.beads.tobytes()
    assert a.profiles.tobytes() == b.profiles.tobytes()
    assert summarize(run).state == "connected"


# ---------------------------------------------------------------- the thread


@contextmanager
def store_of(run: RunDir) -> Iterator[tuple[DirectoryStore, StagedMethod]]:
    """A store whose beads lie apart, and the search whose checkpoints it writes."""
    with search() as method, RunWriter(run) as writer:
        job = Job(SPEC, method.chain.problem, method)
        with DirectoryStore(writer, job, files=BeadFiles(run, apart=0)) as store:
            yield store, method


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return finding.create(SPEC, "quadratic", tmp_path / "run")


def test_the_search_goes_on_while_a_checkpoint_is_written(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is the state of the moment when it was asked for."""
    go_on, write = threading.Event(), BeadFiles.write

    def slow(files: BeadFiles, beads: Any) -> None:
        assert go_on.wait(60)
        write(files, beads)

    monkeypatch.setattr(BeadFiles, "write", slow)
    with store_of(run) as (store, method):
        assert not store.busy
        before = bits(method)
        store.checkpoint(1.0)
        assert store.busy and store.saved_s is None
        for _ in range(3):
            method.step(None)
        assert bits(method) != before
        go_on.set()
        store.settle()
        assert store.saved_s == 1.0
        assert not run.string.exists()
        store.string(1.0)
        assert run.string.exists()
    assert resumed_bits(run) == before


def test_a_checkpoint_that_cannot_be_written_is_told_at_the_next_look(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(files: BeadFiles, beads: Any) -> None:
        raise SaveError("beads: cannot be written: No space left on device")

    monkeypatch.setattr(BeadFiles, "write", full)
    with store_of(run) as (store, _):
        store.checkpoint(1.0)
        with pytest.raises(SaveError, match="No space left"):
            while store.busy:
                pass
        assert store.saved_s is None
        store.settle()  # told once
    assert not run.checkpoint.exists()


def test_the_next_periodic_checkpoint_leaves_the_disk_alone_for_a_while(run: RunDir) -> None:
    with store_of(run) as (store, _):
        store.checkpoint(1.0)
        store.settle()
        assert store.busy
        store.checkpoint(2.0)  # one that is asked for does not wait
        store.settle()
        assert store.saved_s == 2.0
