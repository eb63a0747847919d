"""Plays a run from its events, at a pace that a person can follow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dss_tui.viewing.board import Board
from dss_tui.viewing.folding import Folding
from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.view_state import View
from engine.record.events import Record

#: The seconds that a whole run takes at speed 1.
WHOLE_S = 20.0
#: The speeds that can be chosen, as multiples of the first pace.
SPEEDS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Replay:
    """The past moments of a run, by their places from 0 at its start to 1 at its end.

    Half of the way from start to end is shared out by running time and half by the number of
    events, so that neither a long training without events nor a burst of them takes all of it.
    """

    def __init__(self, records: Sequence[Record], end: Snapshot) -> None:
        """Makes the replay of a run with these records, which ends with the snapshot `end`."""
        self._records, self._end = tuple(records), end
        times = [record.time for record in self._records]
        self.duration_s = max([0.0, *times])
        count = len(times)
        spread = self.duration_s or 1.0
        self._places = [
            ((number + 1) / count + min(max(time / spread, 0.0), 1.0)) / 2
            for number, time in enumerate(times)
        ]
        self._begin()

    def _begin(self) -> None:
        """Goes back to before the first record."""
        self._done, self._folding, self._board = 0, Folding(), Board()

    def at(self, place: float) -> Snapshot:
        """Returns the run as it was at a place, and as its folder shows it at the end."""
        if place >= 1.0 or not self._records:
            return replace(self._end, replayed=True)
        wanted = bisect_right(self._places, place)
        if wanted < self._done:
            self._begin()
        for record in self._records[self._done : wanted]:
            self._folding.add(record)
            self._board.apply(record.event)
        self._done = wanted
        if wanted == 0:
            return Snapshot(View(), None, live=False, replayed=True, whole=False)
        newest = self._records[wanted - 1]
        view = replace(self._folding.view(), finished=None)
        progress = self._board.progress(newest, view)
        return Snapshot(view, progress, live=False, replayed=True, whole=False)

    def seconds(self, place: float) -> float:
        """Returns the running time in seconds at a place."""
        known = [(0.0, 0.0), *zip(self._places, (r.time for r in self._records), strict=True)]
        at = bisect_right([shown for shown, _ in known], place)
        if at >= len(known):
            return self.duration_s
        (before, since), (after, until) = known[at - 1], known[at]
        share = (place - before) / (after - before) if after > before else 1.0
        return since + share * (until - since)

    def event(self, place: float, step: int) -> float:
        """Returns the place of the event that is `step` events after the newest one at a place."""
        at = bisect_right(self._places, place) - 1 + step
        return 0.0 if at < 0 else self._places[min(at, len(self._places) - 1)]


@dataclass(frozen=True)
class Player:
    """How far a replay is, and how fast it goes on."""

    place: float = 0.0
    playing: bool = True
    speed: float = 1.0

    def after(self, seconds: float) -> Player:
        """Returns the player after some seconds. At the end it stands still."""
        if not self.playing:
            return self
        place = min(self.place + self.speed * seconds / WHOLE_S, 1.0)
        return replace(self, place=place, playing=place < 1.0)

    def to(self, place: float) -> Player:
        """Returns the player, standing still, at a place."""
        return replace(self, place=min(max(place, 0.0), 1.0), playing=False)

    def toggled(self) -> Player:
        """Returns the player that goes on where it stood still, from the start at the end."""
        if self.playing:
            return replace(self, playing=False)
        return replace(self, playing=True, place=0.0 if self.place >= 1.0 else self.place)

    def faster(self, step: int) -> Player:
        """Returns the player at a speed that is `step` further along `SPEEDS`."""
        at = min(max(SPEEDS.index(self.speed) + step, 0), len(SPEEDS) - 1)
        return replace(self, speed=SPEEDS[at])
