"""Compares two runs by what their folders hold. No torch here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.record.arc import Place, landscape
from engine.record.joint_plane import JointPlane, joint_plane
from engine.record.progress import Progress, read_progress
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.runs import Summary, summarize, tried

#: What is shown for a key that one of the two presets does not have.
ABSENT = "–"


@dataclass(frozen=True)
class Side:
    """One of the two runs that are compared."""

    summary: Summary
    """The facts that a list shows of it."""
    progress: Progress | None
    """Its newest progress, or None where none can be read."""
    landscape: tuple[Place, ...]
    """(share of the string's length, objective / level) at each measured point of its string."""


@dataclass(frozen=True)
class Comparison:
    """Two runs, and what differs between them."""

    sides: tuple[Side, Side]
    """The two runs."""
    keys: tuple[tuple[str, str, str], ...]
    """Each key whose values differ in the two presets, with both values as JSON."""
    plane: JointPlane | None
    """Both strings in one plane, or None where there is no such plane."""
    why: str = ""
    """Why there is no plane, in a sentence."""
    faults: tuple[str, ...] = ()
    """A sentence on each fault of the files that were read, which names the run and the file."""


def compare(runs: tuple[RunDir, RunDir], wanted: Callable[[], bool] = lambda: True) -> Comparison:
    """Returns two runs beside each other, whatever their files hold.

    It may take seconds where the networks are large, so screens call it in a thread of their own.
    `wanted` is asked now and then whether the result is still wanted. Raises Unwanted if not.
    """
    faults: list[str] = []
    first, second = (_side(run, faults) for run in runs)
    trees = [_tree(run, faults) for run in runs]
    keys = tuple(differences(*trees)) if None not in trees else ()
    plane, why = None, ""
    try:
        plane = joint_plane(runs, wanted)
    except InputError as error:
        why = _said(error)
    return Comparison((first, second), keys, plane, why, tuple(faults))


def _side(run: RunDir, faults: list[str]) -> Side:
    """Returns one of the runs, and adds the faults of its files to `faults`."""
    summary = summarize(run)
    faults += [f"{run.name}: {damaged.short}" for damaged in summary.damaged]
    progress = tried(lambda: read_progress(run), [])  # told by the summary if it is damaged
    if progress is None:
        return Side(summary, None, ())
    segments = progress.segments
    lengths, profiles = [s.length for s in segments], [s.profile for s in segments]
    return Side(summary, progress, landscape(lengths, profiles, progress.level))


def _tree(run: RunDir, faults: list[str]) -> Any:
    """Returns the plain value of a run's preset, or None where that is a fault."""
    try:
        return run.read_tree()
    except InputError as error:
        faults.append(f"{run.name}: {_said(error)}")
        return None


def _said(error: InputError) -> str:
    """Returns the sentence of an error, in which a damaged file has its name alone."""
    if isinstance(error, Damaged):
        return error.short
    return error.what if error.file is None else f"{Path(str(error.file)).name}: {error.what}"


def differences(first: Any, second: Any) -> Iterator[tuple[str, str, str]]:
    """Yields each dotted key whose values differ in two presets, with both values as JSON.

    `first` and `second` are plain values of YAML files. What only people read is left out, and a
    key that one of them lacks has ABSENT there.
    """
    one, two = dict(_leaves(first)), dict(_leaves(second))
    for key in dict.fromkeys((*one, *two)):
        values = one.get(key, ABSENT), two.get(key, ABSENT)
        if values[0] != values[1] and key not in ("description", "task"):
            yield key, *values


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted key and the value, as JSON, of everything in a tree that has no keys."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, json.dumps(tree, ensure_ascii=False)
