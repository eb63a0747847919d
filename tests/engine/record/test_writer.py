"""One writer of events, and nothing lost half-way."""

from __future__ import annotations

import pytest

from engine.record.events import Record
from engine.record.records import read_all_records, read_records
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.run_folders import (
    append,
    output_of,
    saved,
    seqs,
    write,
)


def test_events_are_numbered_on_after_reopening(run: RunDir) -> None:
    write(run, saved("a"), saved("b"))
    write(run, saved("c"))
    assert read_all_records(run) == [
        Record(1, 0.5, saved("a")),
        Record(2, 1.0, saved("b")),
        Record(3, 1.5, saved("c")),
    ]


def test_a_record_can_be_read_while_the_writer_goes_on(run: RunDir) -> None:
    with RunWriter(run) as writer:
        record = writer.record(saved("ρ"), 2.5)
        assert read_records(run) == [record]
        writer.sync_events()
        assert writer.seq == 1


HALVES = ['{"seq": 3, "time": 1.', Record(3, 1.5, saved("c")).to_line(), "\x00\x00", "{}"]


@pytest.mark.parametrize("half", HALVES)
def test_a_last_line_without_its_end_is_cut(half: str, run: RunDir) -> None:
    write(run, saved("a"), saved("b"))
    append(run.events, half.encode())
    write(run, saved("d"))
    assert read_all_records(run)[1:] == [
        Record(2, 1.0, saved("b")),
        Record(3, 1.5, saved("d")),
    ]
    assert seqs(run) == [1, 2, 3]


def test_a_lone_half_line_leaves_a_fresh_run(run: RunDir) -> None:
    append(run.events, b'{"seq": 1, "ti')
    write(run, saved("a"))
    assert seqs(run) == [1]


def test_readers_pass_over_what_is_no_record(run: RunDir) -> None:
    write(run, saved("a"))
    append(run.events, b"\xff\xfe\x00 nonsense\n\n[3]\n" + b"[" * 100_000 + b"\n")
    append(run.events, Record(2, 1.0, saved("b")).to_line().encode() + b'\n{"seq": 3, "ti')
    assert [record.event for record in read_all_records(run)] == [saved("a"), saved("b")]


EVENTS_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from engine.errors import SaveError
from engine.record.events import CheckpointSaved
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

with RunWriter(RunDir(Path(sys.argv[1]))) as writer:
    writer.record(CheckpointSaved("a"), 0.5)
    whole = writer.run.events.stat().st_size
    for free in (0, 17):
        room(whole + free)
        try:
            writer.record(CheckpointSaved("lost"), 0.6)
        except SaveError as error:
            print(error)
        assert writer.run.events.stat().st_size == whole
    room(resource.RLIM_INFINITY)
    writer.record(CheckpointSaved("b"), 1.0)
    room(writer.run.events.stat().st_size + 17)
    try:
        writer.record(CheckpointSaved("lost"), 0.6)
    except SaveError as error:
        print(error)
"""


def test_an_event_that_finds_no_room_is_not_written_at_all(run: RunDir) -> None:
    said = output_of(EVENTS_ON_A_FULL_DISK, run.path).splitlines()
    assert said == [f"{run.events}: cannot be written: File too large"] * 3
    assert read_all_records(run) == [Record(1, 0.5, saved("a")), Record(2, 1.0, saved("b"))]
    assert seqs(run) == [1, 2]


def test_an_event_in_whose_middle_memory_runs_out_is_not_written_at_all(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunWriter(run) as writer:
        writer.record(saved("a"), 0.5)
        file = writer._events

        class Half:
            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

            def write(self, line: bytes) -> int:
                file.write(line[:9])
                raise MemoryError

        monkeypatch.setattr(writer, "_events", Half())
        with pytest.raises(MemoryError):
            writer.record(saved("lost"), 0.6)
        monkeypatch.setattr(writer, "_events", file)
        writer.record(saved("b"), 1.0)
    assert read_all_records(run) == [Record(1, 0.5, saved("a")), Record(2, 1.0, saved("b"))]
