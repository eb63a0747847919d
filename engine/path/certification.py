"""The proof of a whole chain before it is called connected, a few segments a step.

A proof takes the place of the audit wherever it can be had at a cost that is in proportion to the
search's own. The cost is counted in multiplications and never read from a clock, so that reruns and
resumes decide alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.path.certificate.network import Provable
from engine.path.certificate.proof import EFFORT, Proof
from engine.path.certificate.proving import (
    PASSES,
    Prove,
    allowed,
    disagreement,
    provable_or_why,
    proven,
)
from engine.path.chain import Chain
from engine.path.segments import Measured
from engine.path.snapshot import Key, Segment
from engine.record.events import AuditFailed, Event, SegmentUndecided
from engine.record.marks import Count
from engine.spec.search import Certify

#: Multiplications that a proof may always cost: some tens of seconds on one core.
ALWAYS_WORTH = 2e11
#: The share of the search's own multiplications up to which it may cost more.
SHARE = 0.5
#: Cells of a segment that may be bounded where its chain's first one was proven within the budget.
LEAST_EFFORT = 64
#: Beads that are put into cells which cannot be decided, where a proof is required.
MOST_BEADS = 4
#: Multiplications after which a step ends, so that pauses and progress need not wait long.
A_STEP = 1e10
#: Segments that one step proves at most.
AT_ONCE = 16


@dataclass(frozen=True)
class Plan:
    """Whether and how the segments of a search are proven; a part of its checkpoints."""

    way: Literal["open", "prove", "sample"] = "open"
    """`open` before the first segment has shown what a proof costs."""
    effort: Count = EFFORT
    """Cells of a segment that are bounded at most."""
    reason: str = ""
    """A clause that says why segments are sampled instead; empty where nobody needs to know."""
    beads: Count = 0
    """Beads that were put into cells which could not be decided."""


def plan_for(certify: Certify, net: Provable | str) -> Plan:
    """Returns the plan that a search begins with.

    `net` is its problem ready to be proven, or a clause that says why there is no proof for it.
    """
    if certify == "off":
        return Plan("sample")
    if isinstance(net, str):
        return Plan("sample", reason=net)
    return Plan("prove") if certify == "require" else Plan("open")


class Certification:
    """The proof of a chain whose segments are all closed."""

    def __init__(self, chain: Chain, net: Provable, plan: Plan, run: float) -> None:
        """Begins, or goes on with, the proof of a chain.

        `run` is the number of multiplications that the search has cost so far.
        """
        self._chain, self._net = chain, net
        self.plan = plan
        """The plan, which the first segment may change."""
        self._cost = float(PASSES * len(net.samples) * chain.problem.cost.products)
        self._budget = max(ALWAYS_WORTH, SHARE * run)

    def step(self) -> list[Event]:
        """Proves the next few segments; an event tells of each that could not be decided."""
        if self.plan.way == "open":
            self.plan = self._decide()
            self._compare()
            return []
        todo = self._todo()
        count = max(len(self._chain.pool.devices), min(AT_ONCE, int(A_STEP / (8 * self._cost))))
        proofs = self._prove(todo[:count], self.plan.effort)
        if not self._compare():
            return []
        return [
            SegmentUndecided(*key, *proof.undecided, proof.bounds)
            for key, proof in zip(todo, proofs, strict=False)
            if proof.refuted_at is None and proof.undecided is not None
        ]

    @property
    def done(self) -> bool:
        """Whether nothing is left to prove."""
        return self.plan.way == "sample" or (self.plan.way == "prove" and not self._todo())

    def _decide(self) -> Plan:
        """Proves the first segment, and returns the plan that its cost leads to."""
        keys = self._chain.keys
        share = int(self._budget / (self._cost * len(keys)))
        if share < 1:
            return self._too_dear()
        first = self._prove(keys[:1], min(share, EFFORT))[0]
        if first.undecided is not None and first.bounds >= share:
            return self._too_dear()
        if first.undecided is not None:  # to be tried once more, and told, in a step of its own
            self._forget(keys[0])
        return Plan("prove", effort=min(EFFORT, max(LEAST_EFFORT, share)))

    def _compare(self) -> bool:
        """Returns whether the proofs speak of the losses that the search has measured.

        Where they do not, the network or the data were read wrongly, and nothing of it is kept.
        """
        most = allowed(self._net, self._chain.bound)
        for segment in self._chain.in_order():
            losses = segment.measured.losses
            stated = float(losses[0]), float(losses[-1])
            if segment.proof is not None and not (
                disagreement(segment.proof.ends, stated, self._chain.bound) <= most
            ):
                for key in self._chain.keys:
                    self._forget(key)
                self.plan = replace(
                    self.plan, way="sample", reason="the formula gives other losses at the beads"
                )
                return False
        return True

    def _forget(self, key: Key) -> None:
        self._chain.update(replace(self._chain.segments[key], proof=None))

    def _too_dear(self) -> Plan:
        return Plan("sample", reason="a proof would take long beside the search")

    def _prove(self, keys: list[Key], effort: int) -> list[Proof]:
        chain = self._chain
        pairs = [(chain.weights[left], chain.weights[right]) for left, right in keys]
        found = proven(chain.pool, Prove(self._net, chain.bound, effort), pairs)
        proofs = [timed.proof for timed in found]
        for key, proof in zip(keys, proofs, strict=True):
            chain.update(replace(chain.segments[key], proof=proof))
        return proofs

    def _todo(self) -> list[Key]:
        return [key for key in self._chain.keys if self._chain.segments[key].proof is None]

    def reopen(self) -> list[Event]:
        """Opens the segments that a value above the level refutes, and returns the events."""
        events: list[Event] = []
        for segment in self._chain.in_order():
            proof = segment.proof
            if proof is None or proof.refuted_at is None or proof.refuted_by is None:
                continue
            t, peak = proof.refuted_at, proof.refuted_by
            measured = with_point(segment.measured, t, peak)
            self._chain.correct(replace(segment, state="open", measured=measured, proof=None))
            events.append(AuditFailed(*segment.key, peak, t))
        return events

    def undecided(self) -> list[tuple[Segment, tuple[float, float]]]:
        """Returns the segments that could not be decided, each with its widest undecided cell."""
        return [
            (segment, segment.proof.undecided)
            for segment in self._chain.in_order()
            if segment.proof is not None and segment.proof.undecided is not None
        ]

    def open_widest(self) -> None:
        """Opens the segment with the widest undecided cell, to be split in the middle of that."""
        segment, (u, v) = max(self.undecided(), key=lambda each: each[1][1] - each[1][0])
        measured = with_point(segment.measured, (u + v) / 2, segment.measured.peak)
        self._chain.update(replace(segment, state="open", measured=measured, proof=None))
        self.plan = replace(self.plan, beads=self.plan.beads + 1)


def with_point(measured: Measured, t: float, peak: float) -> Measured:
    """Returns a profile with one more point, which is its peak."""
    place = int(np.searchsorted(measured.t, t))
    if measured.t[place] == t:
        losses = measured.losses.copy()
        losses[place] = peak
        return Measured(measured.t, losses, peak, t)
    times, losses = np.insert(measured.t, place, t), np.insert(measured.losses, place, peak)
    return Measured(times, losses, peak, t)


def net_of(chain: Chain) -> Provable | str:
    """Returns a chain's problem ready to be proven, or why there is no proof for it."""
    return provable_or_why(chain.problem)
