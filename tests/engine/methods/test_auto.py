"""The stages of the method auto, in their order."""

from __future__ import annotations

from engine.methods.auto import between
from engine.methods.constrained import ConstrainedSearch
from engine.methods.detour import Detour
from engine.methods.even_beads import EvenBeads
from engine.methods.greedy import GreedySearch
from engine.methods.polish import Polish
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import method_for


def test_greedy_comes_first_then_constrained_then_detours() -> None:
    spec = spec_for(0.1)
    auto = spec.search.auto.model_copy(update={"detours": 1})
    search = spec.search.model_copy(update={"method": "auto", "auto": auto, "min_inner_beads": 2})
    spec = spec.model_copy(update={"search": search})
    with method_for(landscape(ring), spec) as method:
        kinds = [type(stage) for stage in between(spec, method.chain)]
    assert kinds == [
        EvenBeads,
        GreedySearch,
        ConstrainedSearch,
        Polish,
        GreedySearch,
        Detour,
        GreedySearch,
    ]
