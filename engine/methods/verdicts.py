"""The sentences with which searches end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.methods.base import Verdict
from engine.path.audit import Audit
from engine.path.certification import MOST_BEADS, Plan
from engine.path.chain import Chain
from engine.path.diagnosis import Trials
from engine.path.snapshot import MethodProgress
from engine.record.events import Outcome
from engine.spec.keys import Spec
from engine.spec.level import both, multiple, too_high


@dataclass(frozen=True)
class Found:
    """What a verdict speaks of: a chain on which nothing is left to do, and how it came about."""

    spec: Spec
    chain: Chain
    now: MethodProgress
    trials: Trials
    plan: Plan | None
    """Whether and how segments were proven; None where the string was never closed."""

    @property
    def level_told(self) -> str:
        """How the level came about, as a sentence after a blank; empty where it was given."""
        bracket = self.now.bracket
        return "" if bracket is None else f" {bracket.told(self.chain.level)}"


def not_closed(found: Found) -> Verdict:
    """Returns the verdict on a string with segments that stayed above the level."""
    search, level = found.spec.search, found.chain.goal.level
    failed = [segment for segment in found.chain.in_order() if segment.state == "failed"]
    worst = max(failed, key=lambda segment: segment.height)
    return Verdict(
        Outcome.NOT_CONNECTED,
        f"Not connected: {len(failed)} of {len(found.now.segments)} segments stayed above "
        f"{too_high(level, search.tolerance)}; the worst peak is "
        f"{worst.measured.peak / level:.3g} × level, between beads "
        f"{worst.left} and {worst.right} at depth "
        f"{worst.depth}{_listed(found.chain.problem.remarks)}. This does "
        "not prove that no path exists; another seed, a higher level or more steps may "
        f"find one.{found.level_told}",
    )


def sampled(found: Found, audit: Audit) -> Verdict:
    """Returns the verdict on a string of which every segment was audited and holds."""
    now, level = found.now, found.chain.goal.level
    problem = found.chain.problem
    words = problem.normalized_by
    told = [f"normalized by {words}"] if words else []
    remarks = _listed((*told, *problem.remarks))
    return Verdict(
        Outcome.CONNECTED,
        f"Connected: {now.beads} beads, normalized length {now.normalized_length:.4f}, "
        f"{_shortened(found)}"
        f"every segment at most {multiple(now.max_peak / level)} × level ({_both(found)}"
        f"measured on {len(audit.grid)} points each in {audit.precision}{remarks}"
        f"{_why_sampled(found)}).{found.level_told}",
    )


def proven(found: Found) -> Verdict:
    """Returns the verdict on a string of which every segment is proven."""
    now, search = found.now, found.spec.search
    proofs = [segment.proof for segment in found.chain.in_order() if segment.proof is not None]
    highest = max(proof.bound for proof in proofs)
    cells = sum(len(proof.cells) for proof in proofs)
    return Verdict(
        Outcome.CONNECTED,
        f"Connected, proven: {now.beads} beads, normalized length {now.normalized_length:.4f}, "
        f"{_shortened(found)}at every point of the path the {search.level_on.words} is at most "
        f"{multiple(highest / found.chain.goal.level)} × level ({_both(found)}proven in {cells} "
        f"{'cell' if cells == 1 else 'cells'}{_listed(found.chain.problem.remarks)})."
        f"{found.level_told}",
    )


def not_proven(found: Found, undecided: int, why: str = "") -> Verdict:
    """Returns the verdict where a proof is required and could not be had."""
    how = why or f"with {MOST_BEADS} more beads neither"
    return Verdict(
        Outcome.NOT_CONNECTED,
        f"Not connected: search.certify is require, but {undecided} of {len(found.chain.keys)} "
        f"segments could not be proven to stay below the level, {how}; no sampled point is above "
        "it. Choose certify: auto, or a lower alpha, so that beads lie farther below the level.",
    )


def _listed(clauses: Sequence[str]) -> str:
    """Returns clauses as they follow one in brackets."""
    return "".join(f", {clause}" for clause in clauses)


def _both(found: Found) -> str:
    """Returns the level and what a segment may exceed it by, where these are two numbers."""
    numbers = both(found.chain.goal.level, found.spec.search.tolerance)
    return f"{numbers}; " if numbers else ""


def _shortened(found: Found) -> str:
    """Says by how much the string was shortened, where it was."""
    told = found.trials.shortened
    if told is None or told.length_after == told.length_before:
        return ""
    return f"shortened from {told.length_before:.4f} with {told.beads_before} beads, "


def _why_sampled(found: Found) -> str:
    """Says why the string is not proven, where somebody might ask."""
    plan, segments = found.plan, found.chain.in_order()
    if plan is not None and plan.way == "prove":
        proofs = [segment.proof for segment in segments if segment.proof is not None]
        count = sum(proof.proven for proof in proofs)
        return f"; {count} of {len(segments)} segments are proven, the others too close to it"
    return f"; not proven: {plan.reason}" if plan is not None and plan.reason else ""
