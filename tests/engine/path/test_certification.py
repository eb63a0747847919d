"""Proofs of whole chains: what they may cost, what they decide, and what becomes of the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engine.methods.method import StagedMethod
from engine.path import certification
from engine.path.certificate.network import Provable
from engine.path.certificate.proof import EFFORT
from engine.path.certificate.proving import PASSES
from engine.path.certification import Certification, Plan, net_of, plan_for, with_point
from engine.path.chain import Chain
from engine.path.chain_string import string_of
from engine.path.chain_view import ChainView, Work
from engine.path.segments import Measured
from engine.problem.problem import Problem, build_problem
from engine.record.events import (
    FIRST,
    LAST,
    AuditFailed,
    BeadInserted,
    Event,
    Outcome,
    SegmentUndecided,
)
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.landscapes import goal
from tests.support.searches import method_for, place_endpoints
from tests.support.workers import Here, vmapped

POINTS = 17
#: Two weight vectors of a network 1-1-1 with bias, on the data below.
ENDS = ([1.0, 0.2, 1.0, 0.1], [-1.0, 1.3, -1.2, 1.4])


def spec_for(level: float, **search: Any) -> Spec:
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.1, 0.9], "points": 9},
                "network": {"kind": "mlp", "sizes": [1, 1, 1], "activation": "tanh"},
                "loss": "mse",
            },
            "search": {"level": level, "greedy": {"max_steps": 500}} | search,
        }
    )


@pytest.fixture(scope="module")
def problem() -> Problem:
    return build_problem(spec_for(1.0).problem)


def chain_of(problem: Problem, level: float, beads: int = 3) -> Chain:
    """A measured string on the straight line between the two weight vectors, all of it closed."""
    chain = Chain(Here(vmapped(problem)), goal(level), POINTS)
    ids = [FIRST, *range(LAST + 1, LAST + beads - 1), LAST]
    first, last = (torch.tensor(end) for end in ENDS)
    places = np.linspace(0, 1, beads)
    chain.begin(
        [(bead, torch.lerp(first, last, float(t)), 0) for bead, t in zip(ids, places, strict=True)]
    )
    chain.measure(chain.keys)
    return chain


def peak_of(problem: Problem) -> float:
    first, last = (torch.tensor(end).double() for end in ENDS)
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    exact = vmapped(problem.to(dtype=torch.float64))
    return float(exact.losses((1 - t) * first + t * last).max())


def net(chain: Chain) -> Provable:
    found = net_of(chain)
    assert isinstance(found, Provable)
    return found


def all_of(proof: Certification) -> list[Event]:
    events: list[Event] = []
    for _ in range(100):
        events += proof.step()
        if proof.done:
            return events
    raise AssertionError("the proof does not end")


# ---------------------------------------------------------------- what it decides


def test_what_is_below_the_level_is_proven(problem: Problem) -> None:
    chain = chain_of(problem, 1.01 * peak_of(problem))
    assert chain.certified is None
    proof = Certification(chain, net(chain), Plan(), run=0.0)
    assert all_of(proof) == [] and proof.plan == Plan("prove", EFFORT)
    assert proof.reopen() == [] and proof.undecided() == []
    assert chain.certified is True
    shown = ChainView(chain).progress(Work("proof", 1.0, 0), {})
    bounds = [segment.bound for segment in shown.segments]
    assert all(bound is not None and bound <= chain.bound for bound in bounds)
    cells = string_of(chain, {}).cells
    assert cells is not None and set(cells[:, 0]) == {0.0, 1.0}


def test_a_segment_is_opened_where_it_is_refuted(problem: Problem) -> None:
    """One whose peak lies between the points that were sampled."""
    peak = peak_of(problem)
    chain = chain_of(problem, 0.999 * peak)
    for segment in chain.in_order():
        flat = replace(segment.measured, peak=0.5 * peak)
        chain.update(replace(segment, state="closed", measured=flat))
    proof = Certification(chain, net(chain), Plan("prove"), run=0.0)
    all_of(proof)
    events = proof.reopen()
    assert events and all(isinstance(event, AuditFailed) for event in events)
    opened = [segment for segment in chain.in_order() if segment.state == "open"]
    assert [(e.left, e.right) for e in events if isinstance(e, AuditFailed)] == [
        segment.key for segment in opened
    ]
    for segment in opened:
        assert segment.measured.peak > chain.bound and segment.proof is None
    assert chain.certified is False


def undecidable(problem: Problem) -> tuple[Chain, Certification]:
    """A level so close to the peak that the effort allowed does not suffice."""
    chain = chain_of(problem, peak_of(problem) * (1 + 1e-9))
    for segment in chain.in_order():
        chain.update(replace(segment, state="closed"))
    proof = Certification(chain, net(chain), Plan("prove", effort=3), run=0.0)
    return chain, proof


def test_what_cannot_be_decided_is_told(problem: Problem) -> None:
    chain, proof = undecidable(problem)
    events = all_of(proof)
    told = [event for event in events if isinstance(event, SegmentUndecided)]
    assert events == told and told
    assert [segment.key for segment, _ in proof.undecided()] == [(e.left, e.right) for e in told]
    assert all(0 <= event.u < event.v <= 1 and event.bounds >= 3 for event in told)
    assert chain.certified is None


def test_the_widest_undecided_cell_gets_a_bead_in_its_middle(problem: Problem) -> None:
    chain, proof = undecidable(problem)
    all_of(proof)
    widest, (u, v) = max(proof.undecided(), key=lambda each: each[1][1] - each[1][0])
    proof.open_widest()
    (opened,) = [segment for segment in chain.in_order() if segment.state == "open"]
    assert opened.key == widest.key and opened.proof is None
    assert opened.measured.t_star == (u + v) / 2
    assert proof.plan.beads == 1


def test_a_formula_that_gives_other_losses_proves_nothing(problem: Problem) -> None:
    """As where a network or data are read wrongly: the measured losses are not those proven."""
    chain = chain_of(problem, 1.01 * peak_of(problem))
    for segment in chain.in_order():
        wrong = replace(segment.measured, losses=1.01 * segment.measured.losses)
        chain.update(replace(segment, measured=wrong))
    for way in (Plan(), Plan("prove")):
        proof = Certification(chain, net(chain), way, run=0.0)
        assert all_of(proof) == []
        assert proof.plan.way == "sample" and "other losses" in proof.plan.reason
        assert all(segment.proof is None for segment in chain.in_order())
    assert chain.certified is None


# ---------------------------------------------------------------- what it may cost


def test_a_proof_is_not_begun_that_takes_long_beside_the_search(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certification, "ALWAYS_WORTH", 0.0)
    chain = chain_of(problem, 1.01 * peak_of(problem))
    bound = PASSES * 9 * problem.cost.products * len(chain.keys)
    few = Certification(chain, net(chain), Plan(), run=2 * bound - 1)
    assert all_of(few) == []
    assert few.plan.way == "sample" and "take long beside the search" in few.plan.reason
    assert all(segment.proof is None for segment in chain.in_order())
    enough = Certification(chain, net(chain), Plan(), run=2 * 40 * bound)
    all_of(enough)
    assert enough.plan.way == "prove" and chain.certified is True


def test_the_first_segment_shows_what_a_proof_costs(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certification, "ALWAYS_WORTH", 0.0)
    chain = chain_of(problem, peak_of(problem) * (1 + 1e-9), beads=2)
    chain.update(replace(chain.in_order()[0], state="closed"))
    bound = PASSES * 9 * problem.cost.products
    proof = Certification(chain, net(chain), Plan(), run=2 * 3 * bound)
    all_of(proof)
    assert proof.plan.way == "sample"


@pytest.mark.parametrize(
    ("certify", "way"), [("auto", "open"), ("require", "prove"), ("off", "sample")]
)
def test_a_preset_may_choose(certify: Any, way: str, problem: Problem) -> None:
    found = plan_for(certify, net(chain_of(problem, 1.0)))
    assert found.way == way and not found.reason


def test_a_network_without_a_proof_is_sampled_and_says_why() -> None:
    assert plan_for("auto", "it has a step of its own") == Plan(
        "sample", reason="it has a step of its own"
    )


# ---------------------------------------------------------------- in a search


def run_to_end(method: StagedMethod, most: int = 3000) -> list[Event]:
    events: list[Event] = []
    for _ in range(most):
        if method.verdict is not None:
            return events
        events += method.step(None)
    raise AssertionError("the search does not end")


def spiked() -> tuple[Spec, list[list[float]], float]:
    """A search whose straight line has a spike that no grid of the search or audit meets.

    Three steep units in turn make the output 0 but on one ten-thousandth of the line.
    """
    spec = parse(
        {
            "problem": {
                "data": {"kind": "points", "x": [[1.0]], "y": [[0.0]]},
                "network": {"kind": "mlp", "sizes": [1, 3, 1]},
                "loss": "mse",
            },
            "search": {"level": 0.25, "greedy": {"max_steps": 300, "max_depth": 2}},
        }
    )
    steep, centre, half = 2.0**12, 0.5 + 1 / 700, 2.0**-12
    kinks = [centre - half, centre, centre + half]
    out = [1.0, -2.0, 1.0, 0.0]
    left = [0.0, 0.0, 0.0, *(-steep * kink for kink in kinks), *out]
    right = [0.0, 0.0, 0.0, *(steep * (1 - kink) for kink in kinks), *out]
    return spec, [left, right], centre


def certifying(spec: Spec, how: str) -> Spec:
    return spec.model_copy(update={"search": spec.search.model_copy(update={"certify": how})})


def test_a_spike_that_sampling_passes_is_met_and_searched_on() -> None:
    spec, ends, centre = spiked()
    with method_for(build_problem(spec.problem), certifying(spec, "off")) as method:
        place_endpoints(method, *ends)
        run_to_end(method)
        assert method.verdict is not None and method.verdict.outcome is Outcome.CONNECTED
    with method_for(build_problem(spec.problem), spec) as method:
        place_endpoints(method, *ends)
        events = run_to_end(method)
        names = [event.name for event in events]
        (failed,) = [event for event in events if isinstance(event, AuditFailed)][:1]
        assert failed.peak > 0.25 and abs(failed.t - centre) < 2.0**-12
        assert "bead_inserted" in names[names.index("audit_failed") :]
        (bead,) = [event for event in events if isinstance(event, BeadInserted)][:1]
        assert abs(bead.t - centre) < 2.0**-12
        verdict = method.verdict
        assert verdict is not None
        assert verdict.outcome is not Outcome.CONNECTED or "proven" in verdict.sentence


def test_a_search_says_that_its_string_is_proven(problem: Problem) -> None:
    spec = spec_for(1.02 * peak_of(problem))
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        run_to_end(method)
        assert method.verdict is not None
        sentence = method.verdict.sentence
        assert sentence.startswith(
            "Connected, proven: 2 beads, normalized length 1.0000, at every "
        )
        assert "training loss is at most 0.98" in sentence or "at most 0.99" in sentence
        assert method.progress().certified is True
        described = method.describe_audit()
        assert described["certified"] is True and described["points"] == 33
        assert described["max_peak"] <= described["proven_bound"] <= spec.search.level


def test_a_proof_is_named_before_its_first_step(problem: Problem) -> None:
    """Its first step may wait for the compiler; viewers are told what it is that takes so long."""
    for certify, phase in (("auto", "proof"), ("off", "audit")):
        with method_for(problem, certifying(spec_for(1.02 * peak_of(problem)), certify)) as method:
            place_endpoints(method, *ENDS)
            while method.tally().phase not in ("proof", "audit"):
                method.step(None)
            assert method.plan is None and method.auditing is None
            assert method.tally().phase == method.progress().phase == phase


def _with_a_proof(method: StagedMethod) -> int:
    return sum(segment.proof is not None for segment in method.chain.in_order())


def test_nothing_is_concluded_or_sampled_before_every_segment_was_tried(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One segment a step; each is either proven or undecided when the search goes on."""
    monkeypatch.setattr(certification, "AT_ONCE", 1)
    spec = spec_for(0.95 * peak_of(problem), min_inner_beads=2)
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        while method.plan is None and method.verdict is None:
            method.step(None)
        tried = [_with_a_proof(method)]
        while method.verdict is None:
            assert method.auditing is None
            method.step(None)
            tried.append(_with_a_proof(method))
        assert tried == [1, 2, 3] == [*range(1, len(method.chain.keys) + 1)]
        assert method.verdict.sentence.startswith("Connected, proven")


def test_a_proof_that_would_take_long_is_not_said_to_have_been_found(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certification, "ALWAYS_WORTH", 0.0)
    monkeypatch.setattr(certification, "SHARE", 0.0)
    spec = spec_for(1.02 * peak_of(problem))
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        run_to_end(method)
        assert method.verdict is not None and method.auditing is not None
        assert method.progress().phase == "audit"
        assert method.verdict.sentence.startswith("Connected: 2 beads")
        assert "a proof would take long beside the search" in method.verdict.sentence
        assert method.progress().certified is None


def test_what_is_too_close_to_the_level_is_sampled_and_told(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certification, "EFFORT", 3)
    monkeypatch.setattr(certification, "LEAST_EFFORT", 3)
    spec = spec_for(peak_of(problem) * (1 + 1e-6))
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        events = run_to_end(method)
        assert [event.name for event in events].count("segment_undecided") == 1
        assert method.verdict is not None
        assert "0 of 1 segments are proven, the others too close to it" in method.verdict.sentence
        assert method.progress().certified is None


def test_where_a_proof_is_required_an_undecided_segment_gets_a_bead(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beads lie lower than the line, so that what is left of it can be decided."""
    spec = certifying(spec_for(peak_of(problem) * (1 + 1e-9)), "require")
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        events = run_to_end(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert any(isinstance(event, BeadInserted) for event in events)
        assert method.progress().certified is True


def test_where_a_proof_is_required_and_cannot_be_had_the_search_ends(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.methods.method.MOST_BEADS", 0)
    spec = certifying(spec_for(peak_of(problem) * (1 + 1e-9)), "require")
    with method_for(problem, spec) as method:
        place_endpoints(method, *ENDS)
        method.plan = Plan("prove", effort=1)
        run_to_end(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.NOT_CONNECTED
        assert "search.certify is require" in method.verdict.sentence
        assert "1 of 1 segments could not be proven" in method.verdict.sentence


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_search_goes_on_from_a_checkpoint_amid_its_proofs(steps: int, problem: Problem) -> None:
    """Proofs that are done are not done again, and the end is the same."""
    spec = spec_for(0.95 * peak_of(problem))

    def begun() -> Any:
        return method_for(problem, spec)

    with begun() as method:
        place_endpoints(method, *ENDS)
        run_to_end(method)
        whole = method.string()
    with begun() as method, begun() as other:
        place_endpoints(method, *ENDS)
        while method.plan is None and method.verdict is None:
            method.step(None)
        assert method.plan is not None
        for _ in range(steps - 1):
            if method.verdict is None:
                method.step(None)
        other.resume(method.state)
        assert other.plan == method.plan
        assert [s.proof for s in other.chain.in_order()] == [
            s.proof for s in method.chain.in_order()
        ]
        run_to_end(other)
        found = other.string()
        assert found.beads.tobytes() == whole.beads.tobytes()
        assert found.cells is not None and whole.cells is not None
        assert found.cells.tobytes() == whole.cells.tobytes()


@pytest.mark.parametrize(
    ("t", "times", "losses"),
    [
        (0.5, [0.0, 0.5, 1.0], [0.25, 0.75, 0.125]),
        (0.25, [0.0, 0.25, 0.5, 1.0], [0.25, 0.75, 0.5, 0.125]),
    ],
    ids=["a point that is there", "a new point"],
)
def test_a_point_of_a_profile_becomes_its_peak(
    t: float, times: list[float], losses: list[float]
) -> None:
    before = Measured(np.array([0.0, 0.5, 1.0]), np.array([0.25, 0.5, 0.125]), 0.5, 0.5)
    after = with_point(before, t, 0.75)
    assert (after.t.tolist(), after.losses.tolist()) == (times, losses)
    assert (after.peak, after.t_star) == (0.75, t)
    assert before.losses.tolist() == [0.25, 0.5, 0.125]
