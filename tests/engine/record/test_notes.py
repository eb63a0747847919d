"""The user's notes on a run."""

from __future__ import annotations

import json
import os

import pytest

from engine.errors import InputError
from engine.record.notes import LARGEST, LONGEST, Notes, read_notes, write_first_name, write_note
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.runs import summarize


def test_a_note_is_read_as_it_was_written(run: RunDir) -> None:
    assert read_notes(run) is None
    write_note(run, "  two\tlines\nand “quotes” \\ ")
    assert read_notes(run) == Notes("two lines and “quotes” \\")
    assert json.loads(run.notes.read_text())["note"] == "two lines and “quotes” \\"
    assert summarize(run).note == "two lines and “quotes” \\"
    write_note(run, "")
    assert read_notes(run) == Notes()


def test_the_first_name_stays_with_every_later_note(run: RunDir) -> None:
    write_first_name(run, "cubic-20260102-030405")
    write_note(run, "seen")
    write_first_name(run, "another")
    assert read_notes(run) == Notes("seen", "cubic-20260102-030405")
    assert summarize(run).preset == "cubic"


def test_no_file_of_a_replacement_is_left(run: RunDir) -> None:
    write_note(run, "one")
    write_note(run, "two")
    assert sorted(os.listdir(run.path)) == ["notes.json", "run.yaml"]


def test_a_note_that_is_too_long_is_refused(run: RunDir) -> None:
    write_note(run, "x" * LONGEST)
    with pytest.raises(InputError, match="at most 2000 are kept"):
        write_note(run, "x" * (LONGEST + 1))
    assert read_notes(run) == Notes("x" * LONGEST)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[", "it is not whole JSON"),
        (b"[1]", "must be an object"),
        (b'{"note": 7}', "note is 7, but must be a text"),
        (b'{"note": "' + b"x" * 3000 + b'"}', "note has more than 2000 characters"),
        (b" " * (LARGEST + 1), "it holds more than 1 MiB"),
    ],
)
def test_damaged_notes_are_one_sentence_and_can_be_replaced(
    content: bytes, why: str, run: RunDir
) -> None:
    run.notes.write_bytes(content)
    with pytest.raises(Damaged, match=why):
        read_notes(run)
    seen = summarize(run)
    assert seen.note == "" and [fault.path for fault in seen.damaged] == [run.notes]
    write_note(run, "mended")
    assert read_notes(run) == Notes("mended")


def test_a_pipe_in_place_of_the_notes_is_not_waited_for(run: RunDir) -> None:
    os.mkfifo(run.notes)
    with pytest.raises(Damaged, match="it is a pipe"):
        read_notes(run)


def test_what_a_terminal_would_obey_is_taken_out(run: RunDir) -> None:
    run.notes.write_text(json.dumps({"note": "red \x1b[31m\x07text", "later": 1}))
    assert read_notes(run) == Notes("red [31m text")
