"""What closes at (1 + tolerance) × level, and that both numbers are told."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.methods.endpoints import EndpointTraining
from engine.methods.method import StagedMethod
from engine.path.audit import Audit
from engine.path.chain import Chain
from engine.record.events import FIRST, LAST, AuditFailed, Outcome
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.landscapes import double_well, goal, landscape, spec_for
from tests.support.searches import highest_loss, method_for, place_endpoints, run
from tests.support.workers import Here, vmapped

#: The pass of `double_well`, at 1, lies between this level and the greater of the two bounds.
LEVEL, TOO_SMALL, ENOUGH = 0.95, 0.04, 0.1
METHODS = ["greedy", "auto", "constrained"]


def settings(tolerance: float, level: float = LEVEL, **others: Any) -> Spec:
    tree = spec_for(level, max_depth=3).model_dump(mode="json")
    tree["search"]["constrained"] |= {"patience": 60, "max_beads": 12, "take_out": 3}
    tree["search"] |= {"tolerance": tolerance} | others
    return parse(tree)


def hold_ends(method: StagedMethod) -> None:
    """Two models in the two wells, also for a method that trains its ends with its string."""
    first, last = [-1.0, 0.1], [1.1, -0.2]
    if isinstance(method.stages[0], EndpointTraining):
        place_endpoints(method, first, last)
    else:
        method.chain.begin([(FIRST, torch.tensor(first), 0), (LAST, torch.tensor(last), 0)])
        method.stages[0].begin()


@pytest.mark.parametrize("method_name", METHODS)
def test_a_pass_within_the_tolerance_is_crossed(method_name: str) -> None:
    with method_for(landscape(double_well), settings(ENOUGH, method=method_name)) as method:
        hold_ends(method)
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert 1.0 <= highest_loss(method) <= (1 + ENOUGH) * LEVEL
        assert "(level 0.95, tolerance 0.1; measured on" in method.verdict.sentence


@pytest.mark.parametrize("method_name", METHODS)
@pytest.mark.parametrize("tolerance", [0.0, TOO_SMALL])
def test_a_pass_beyond_it_is_not(method_name: str, tolerance: float) -> None:
    with method_for(landscape(double_well), settings(tolerance, method=method_name)) as method:
        hold_ends(method)
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.NOT_CONNECTED
        told = method.verdict.sentence.partition(";")[0]
        found = method.diagnosis()
        assert found is not None and found.tolerance == tolerance
        if tolerance:
            assert told.endswith("stayed above the level 0.95 by more than its tolerance 0.04")
            assert "× the level (level 0.95, tolerance 0.04), between" in found.words
        else:
            assert told.endswith("segments stayed above the level")
            assert "× the level, between" in found.words


def test_beads_are_trained_to_a_share_of_the_level_itself() -> None:
    """A bead at 0.9 × level with a tolerance of 1 is trained on, to 0.8 × level."""
    with method_for(landscape(double_well), settings(1.0, min_inner_beads=2)) as method:
        place_endpoints(method, [-1.0, 0.1], [1.0, -0.2])
        run(method)
        beads = torch.from_numpy(method.string().beads)
        assert max(map(double_well, beads)) <= 0.8 * LEVEL * (1 + 1e-6)


def test_shortening_keeps_to_the_bound() -> None:
    """The straight line between the wells is 1 high: allowed, so no bead is needed."""
    for tolerance, beads in ((ENOUGH, 2), (0.0, 0)):
        spec = settings(tolerance, shorten=True, min_inner_beads=0)
        with method_for(landscape(double_well), spec) as method:
            place_endpoints(method, [-1.0, 0.1], [1.0, 0.1])
            run(method)
            assert method.verdict is not None
            connected = method.verdict.outcome is Outcome.CONNECTED
            assert connected == bool(beads)
            assert not connected or len(method.chain.order) == beads


@pytest.mark.parametrize(
    ("tolerance", "state", "opened"), [(0.0, "open", 0), (0.04, "open", 0), (0.1, "closed", 0)]
)
def test_segments_are_judged_by_the_bound(tolerance: float, state: str, opened: int) -> None:
    problem = landscape(double_well)
    chain = Chain(Here(vmapped(problem)), goal(LEVEL, tolerance), 17)
    chain.begin([(FIRST, torch.tensor([-1.0, 0.0]), 0), (LAST, torch.tensor([1.0, 0.0]), 0)])
    chain.measure(chain.keys)
    assert chain.in_order()[0].state == state
    chain.start_anew()
    assert chain.in_order()[0].state == state
    audit = Audit(settings(tolerance), chain, 100)
    while not audit.step():
        pass
    assert len(audit.reopen()) == opened


def test_the_audit_reopens_what_exceeds_the_bound() -> None:
    problem = landscape(double_well)
    for tolerance, opened in ((TOO_SMALL, 1), (ENOUGH, 0)):
        chain = Chain(Here(vmapped(problem)), goal(LEVEL, 10.0), 17)
        chain.begin([(FIRST, torch.tensor([-1.0, 0.0]), 0), (LAST, torch.tensor([1.0, 0.0]), 0)])
        chain.measure(chain.keys)
        chain.goal = goal(LEVEL, tolerance)
        audit = Audit(settings(tolerance), chain, 100)
        while not audit.step():
            pass
        events = audit.reopen()
        assert len(events) == opened
        assert all(isinstance(event, AuditFailed) for event in events)
