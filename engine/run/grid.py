"""Prepares the searches of many pairs at many levels, and runs all of them without a folder.

`sweep` runs them in run directories, and goes on where it was stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from engine.backends.backend import Backend
from engine.errors import InputError
from engine.record.events import Event, RunFinished
from engine.record.string_file import StringFile
from engine.run.prepare import Prepared, prepare
from engine.run.search import Search
from engine.spec.checks import check_level_on, check_method
from engine.spec.grid import LEVELS, Grid, LevelAsked, levels_of, text_of
from engine.spec.keys import Spec
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool

#: The number of searches that are under way at a time.
AT_ONCE = 64


@dataclass(frozen=True)
class Found:
    """The results of the search of one pair at one level."""

    level: LevelAsked
    """The level that was asked for; `finished.level` is that of a search that finds it."""
    pair: int
    """The pair's number from 0; its seed is that of the preset plus this."""
    events: tuple[Event, ...]
    """The events of the search, the last of them RunFinished."""
    string: StringFile
    """The string as it was at the end."""

    @property
    def finished(self) -> RunFinished:
        """The event that ended the search. Its running time includes waits for other searches."""
        last = self.events[-1]
        assert isinstance(last, RunFinished)
        return last


def prepare_grid(spec: Spec, levels: Iterable[LevelAsked], pairs: int) -> tuple[Grid, Backend]:
    """Returns the searches of a spec, resolved, and their backend. Raises InputError."""
    prepared = prepare(spec)
    grid, problem = Grid(prepared.spec, tuple(levels), pairs), prepared.backend.problem
    for level in grid.levels:
        check_method(grid.at(level))
        check_level_on(grid.at(level), problem.classes, len(problem.held_out))
    return grid, prepared.backend


def search_pairs(
    spec: Spec, levels: Iterable[LevelAsked], pairs: int, at_once: int = AT_ONCE
) -> list[Found]:
    """Searches for a path between many pairs of endpoints at many levels, as a sweep does.

    All searches run in this process and share their batches, so that a hundred take little longer
    than one; nothing is written. Where the backend is compiled code (`search.batching: fused`) each
    finds what it would find alone, to the last bit; elsewhere up to rounding.

    Args:
        spec: What `load_preset` returns. Its level is not used.
        levels: The levels: losses above 0, "lowest", or such as "1.5x" for so many times the worse
            end's.
        pairs: The number of pairs at each level; pair k has the seed `spec.seed + k`.
        at_once: How many searches are under way at a time; when one ends the next begins.

    Returns:
        One for each search, level by level and pair by pair.

    Raises:
        InputError: The searches cannot run, as for `search`, or a number is not allowed.
    """
    asked = list(levels)
    try:
        wanted = levels_of(text_of(level) for level in asked)
    except ValueError:
        raise InputError(f"are {asked}; {LEVELS}", key="levels") from None
    for key, number in (("pairs", pairs), ("at_once", at_once)):
        if number < 1:
            raise InputError(f"is {number}; give a number from 1", key=key)
    grid, backend = prepare_grid(spec.of_a_new_run(), wanted, pairs)
    found: dict[tuple[LevelAsked, int], Found] = {}
    with open_pool(backend, grid.spec) as pool:
        shared = SharedPool(pool)

        def one(place: tuple[LevelAsked, int]) -> None:
            search = Search(Prepared(grid.at(*place), backend), pool=shared)
            found[place] = Found(*place, tuple(search), search.string())

        shared.run_each(list(grid.places()), one, at_once, threading.Event())
    return [found[place] for place in grid.places()]
