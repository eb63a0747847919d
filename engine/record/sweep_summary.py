"""Tells the facts that a list of runs shows of a sweep. No torch here."""

from __future__ import annotations

from engine.record.finding import is_sweep, made_s
from engine.record.notes import Notes, read_notes
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.runs import Summary, size_bytes, summarize, tried
from engine.record.sweeps import SweepReader

#: The depth of the folders in a sweep: levels, pairs, and what a run keeps in folders.
DEPTH = 3


def summarize_sweep(reader: SweepReader) -> Summary:
    """Returns the facts that a list shows of a sweep, whatever its files hold."""
    view, folder = reader.look(), reader.folder
    faults: list[Damaged] = []
    notes = tried(lambda: read_notes(folder), faults) or Notes()
    return Summary(
        name=folder.name,
        state=view.state,
        preset=None,
        started=None,
        beads=None,
        peak_over_level=None,
        normalized_length=None,
        elapsed_s=view.elapsed_s or None,
        made_s=made_s(folder),
        size_bytes=None if view.going else size_bytes(folder.path, DEPTH),
        note=notes.note,
        damaged=(*view.damaged, *faults),
        life=view.life,
        pairs=(view.ended, view.asked) if view.plan is not None else None,
    )


def summarize_any(folder: RunDir) -> Summary:
    """Returns the facts that a list shows of a run or a sweep, whatever its files hold."""
    if is_sweep(folder.path):
        return summarize_sweep(SweepReader(folder))
    return summarize(folder)
