"""The stages of the method auto, in their order."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_new_process_knows_all_stages_before_a_level_has_come_about() -> None:
    """A search at lowest begins with its ends, and its checkpoint may hold any later stage."""
    code = (
        "import engine\n"
        "from engine.run.prepare import prepare\n"
        "from engine.methods import build_method\n"
        "from engine.methods.base import StageState\n"
        "from tests.support.workers import Here\n"
        "ends = ['endpoints.until=epochs', 'endpoints.epochs=5', 'search.level=lowest']\n"
        "from presets import load_preset\n"
        "spec = load_preset('quadratic', [*ends, 'search.method=auto', 'search.batching=vmap'])\n"
        "build_method(spec, Here(prepare(spec).backend))\n"
        "print(*sorted(each.__name__ for each in StageState.__subclasses__()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    kinds = done.stdout.split()
    assert {"ConstrainedState", "DetourState", "GreedyState", "PolishState"} <= set(kinds)
