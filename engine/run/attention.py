"""The attention that a search pays to long computations: it tells how far they are or ends them."""

from __future__ import annotations

from engine.breaks import Patience
from engine.run.outside import Control, Store
from engine.run.stopwatch import Stopwatch

#: The seconds that a computation takes before viewers are told how far it has come, and those
#: between two tellings.
LONG_S, TOLD_EVERY_S = 2.0, 1.0


class Teller:
    """Tells a store now and then how far a computation has come that takes long."""

    def __init__(self, store: Store, elapsed: Stopwatch) -> None:
        """Begins with a store that has not been told anything."""
        self._store, self._elapsed = store, elapsed
        self._told_s = float("-inf")

    def __call__(self, share: float, seconds: float) -> None:
        """Tells the share of a computation that is done after so many seconds. Raises SaveError."""
        now = self._elapsed()
        if seconds >= LONG_S and now - self._told_s >= TOLD_EVERY_S:
            self._told_s = now
            left = seconds * (1 - share) / share if share > 0 else None
            self._store.within(share, left, now)


class Attention:
    """Tells a store how far each long call is, and gives it up once the search is to end."""

    def __init__(self, store: Store, control: Control, elapsed: Stopwatch) -> None:
        """Pays attention for a search that keeps its results in `store` and obeys `control`."""
        self._tell = Teller(store, elapsed)
        self._patience = Patience(control.is_to_end)

    def __call__(self, share: float, seconds: float) -> None:
        """Looks at a call, as `breaks.Attend` has it. Raises BrokenOff and SaveError."""
        self._patience.check()
        self._tell(share, seconds)
