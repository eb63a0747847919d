"""Those who tell nobody."""

from __future__ import annotations

from engine.told import untold, untold_stage


def test_nobody_is_told() -> None:
    for share in (0.0, 0.5, 1.0):
        untold(share)
        untold_stage("measured", share)
