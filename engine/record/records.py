"""Reads the records of a run from `events.jsonl`, and tells which of them count. No torch here."""

from __future__ import annotations

from engine.record.events import Continued, Paused, Record, RunFinished, RunStarted, from_line
from engine.record.lines import LineTail
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit


class RecordTail:
    """Reads the records of a run as they are written."""

    def __init__(self, run: RunDir) -> None:
        """Starts at the run's first record."""
        self._lines = LineTail(run.events)
        self._seen = 0
        self.damaged: Damaged | None = None
        """The first line so far that is no record; it is passed over."""

    def new_records(self) -> list[Record]:
        """Returns the records since the last call, the undone ones included.

        Raises Damaged where the file cannot be read at all. Empty lines are passed over.
        """
        return [
            record for line in self._lines.new_lines() if (record := self._read(line)) is not None
        ]

    def _read(self, line: bytes) -> Record | None:
        """Returns the record in a line, or None where there is none, and notes a damaged line."""
        self._seen += 1
        try:
            return from_line(line) if line.strip() else None
        except Unfit as unfit:
            if self.damaged is None:
                why = f"line {self._seen} is no event: {unfit}"
                self.damaged = Damaged(self._lines.path, why)
            return None


def read_all_records(run: RunDir) -> list[Record]:
    """Returns every whole record of a run, the undone ones included. Raises Damaged."""
    return RecordTail(run).new_records()


def read_records(run: RunDir) -> list[Record]:
    """Returns the records of a run that count (see `effective`). Raises Damaged."""
    return effective(read_all_records(run))


def effective(records: list[Record]) -> list[Record]:
    """Returns the records without those that a later `continued` declares undone.

    Their work was done by a lost process after its last checkpoint, and is done again.
    """
    kept: list[Record] = []
    for record in records:
        if isinstance(record.event, Continued):
            while kept and kept[-1].seq > record.event.from_seq:
                kept.pop()
        kept.append(record)
    return kept


def finished(records: list[Record]) -> RunFinished | None:
    """Returns the event that ended a run, or None where it has not ended or has gone on since."""
    for record in reversed(records):
        if isinstance(record.event, RunFinished):
            return record.event
        if isinstance(record.event, Continued | RunStarted):
            return None
    return None


def is_paused(records: list[Record]) -> bool:
    """Returns whether the newest session of a run was paused and has not gone on."""
    for record in reversed(records):
        if isinstance(record.event, Paused):
            return True
        if isinstance(record.event, Continued | RunStarted | RunFinished):
            return False
    return False
