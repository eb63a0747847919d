"""A method of one's own: one file with its stage, and one line in the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.methods.method import MethodState
from engine.record.events import Outcome
from engine.record.packing import pack, unpack
from engine.spec.methods import METHODS, MethodKind
from engine.spec.yaml_file import parse
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import highest_loss, method_for, place_endpoints, run
from tests.support.toys import over_the_top


@pytest.mark.parametrize(("level", "outcome"), [(0.3, "connected"), (0.2, "not_connected")])
def test_a_new_method_is_run_checked_and_resumed(
    level: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines by way of (0, 1) rise to (1/2 - 1)² = 0.25."""
    kind = MethodKind(over_the_top.__name__, "by way of (0, 1)", "endpoints", once=True)
    monkeypatch.setitem(METHODS, "top", kind)
    tree = spec_for(level).model_dump(mode="json")
    tree["search"]["method"] = "top"
    spec = parse(tree)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.0, 0.0], [-1.0, 0.0])
        while len(method.chain.order) < 3:  # until the bead is placed, and not measured yet
            method.step(None)
        assert method.verdict is None and len(method.chain.unmeasured) == 2
        saved = unpack(MethodState, pack(method.state), Path("checkpoint"))
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome(outcome)
        assert highest_loss(method) == pytest.approx(0.25, rel=1e-4)
        whole = method.string()
    with method_for(landscape(ring), spec) as again:
        again.resume(saved)
        run(again)
        assert again.verdict == method.verdict
        assert again.chain.order == method.chain.order
        for name in ("beads", "losses", "t", "profiles"):
            assert getattr(again.string(), name).tobytes() == getattr(whole, name).tobytes()
