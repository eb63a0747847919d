"""The attention that a search pays to long computations: it tells how far they are or ends them."""

from __future__ import annotations

from engine.breaks import Patience
from engine.run.loop import Control, Stopwatch, Store, Teller


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
