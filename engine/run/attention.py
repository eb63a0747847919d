"""The attention that a search pays to long computations: it tells how far they are or ends them."""

from __future__ import annotations

from engine.breaks import Patience
from engine.run.loop import Control, Stopwatch, Store

#: The seconds that a call of the workers takes before viewers are told how far it has come, and
#: those between two tellings.
LONG_S, TOLD_EVERY_S = 2.0, 1.0


class Attention:
    """Tells a store how far each long call is, and gives it up once the search is to end."""

    def __init__(self, store: Store, control: Control, elapsed: Stopwatch) -> None:
        """Pays attention for a search that keeps its results in `store` and obeys `control`."""
        self._store, self._elapsed = store, elapsed
        self._patience = Patience(control.is_to_end)
        self._told_s = float("-inf")

    def __call__(self, share: float, seconds: float) -> None:
        """Looks at a call, as `breaks.Attend` has it. Raises BrokenOff and SaveError."""
        self._patience.check()
        now = self._elapsed()
        if seconds >= LONG_S and now - self._told_s >= TOLD_EVERY_S:
            self._told_s = now
            self._store.within(share, now)
