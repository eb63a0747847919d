"""The method `auto`: greedy DSS, constrained DSS where it got stuck, then detours around the rest.

A stage that has no work is passed over, so the later ones cost nothing where greedy DSS connects.
"""

from __future__ import annotations

from typing import Any

from engine.methods.base import Stage
from engine.methods.constrained import ConstrainedSearch
from engine.methods.detour import Detour
from engine.methods.endpoints import Impatient
from engine.methods.even_beads import inner_beads
from engine.methods.greedy import GreedySearch
from engine.methods.polish import Polish
from engine.path.chain import Chain
from engine.spec.keys import Spec
from engine.spec.stages import stages_of


def between(spec: Spec, chain: Chain) -> list[Stage[Any]]:
    """Returns the stages of the method `auto`."""
    settings = stages_of(spec)
    around = Impatient(settings.detour, settings.detour_restarts)
    detours: list[Stage[Any]] = [
        stage
        for number in range(spec.search.auto.detours)
        for stage in (Detour(spec, chain, around, number), GreedySearch(spec, chain))
    ]
    return [
        *inner_beads(spec, chain),
        GreedySearch(spec, chain),
        ConstrainedSearch(spec, chain),
        Polish(spec, chain),
        GreedySearch(spec, chain),
        *detours,
    ]
