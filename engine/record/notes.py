"""The user's notes on a run, as `notes.json` in the run's folder holds them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.errors import InputError
from engine.record import writing
from engine.record.events import dump_json
from engine.record.reading import MIB, read_json
from engine.record.rundir import RunDir

#: The number of characters of the longest note, and the bytes of the largest file that is read.
LONGEST, LARGEST = 2000, MIB


@dataclass(frozen=True)
class Notes:
    """The content of `notes.json`."""

    note: str = ""
    """The user's note in one line, or "" for none."""
    first_name: str = ""
    """The name that the run's folder was made with, or "" where it was never renamed."""

    def __post_init__(self) -> None:
        """Raises ValueError for a note or a name that is too long to be shown."""
        for name, text in vars(self).items():
            if len(text) > LONGEST:
                raise ValueError(f"{name} has more than {LONGEST} characters")

    def to_json(self) -> bytes:
        """Returns the content of the file."""
        return dump_json(self).encode()


def read_notes(run: RunDir) -> Notes | None:
    """Returns the notes on a run, or None where there are none. Raises Damaged."""
    found = read_json(Notes, run.notes, LARGEST)
    return found and replace(found, note=one_line(found.note))


def write_note(run: RunDir, note: str) -> None:
    """Writes a note on a run; "" takes it away. A damaged file is replaced.

    Raises InputError for a note that is too long, and SaveError where it cannot be written.
    """
    note = one_line(note)
    if len(note) > LONGEST:
        raise InputError(f"has {len(note)} characters; at most {LONGEST} are kept", key="note")
    _write(run, replace(_known(run), note=note))


def write_first_name(run: RunDir, name: str) -> None:
    """Writes down the name that a run's folder was made with, unless one is known already.

    Raises SaveError where it cannot be written.
    """
    known = _known(run)
    if not known.first_name:
        _write(run, replace(known, first_name=name))


def one_line(text: str) -> str:
    """Returns a text with a space for each stretch of blanks, and without unprintable characters.

    What a file holds can so neither move the cursor of a terminal nor break a table.
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _known(run: RunDir) -> Notes:
    """Returns the notes on a run, empty where there are none or they are damaged."""
    try:
        return read_notes(run) or Notes()
    except InputError:
        return Notes()


def _write(run: RunDir, notes: Notes) -> None:
    """Replaces the file. Raises SaveError."""
    writing.replace(run.notes, notes.to_json())
