"""Who is told how far something has come that takes long."""

from __future__ import annotations

from collections.abc import Callable

Told = Callable[[float], None]
"""Is told the share of a measurement that is done, from 0 to 1."""
StageTold = Callable[[str, float], None]
"""Is told what is being done, in a word such as *measured*, and the share of it that is done."""


def untold(share: float) -> None:
    """Tells nobody."""


def untold_stage(stage: str, share: float) -> None:
    """Tells nobody."""
