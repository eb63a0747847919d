"""A method: stages that work on one chain, one after the other, and an audit at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.methods.base import Stage, StageState, Tally, Verdict
from engine.methods.descent import Descent, DescentState
from engine.methods.greedy import GreedySearch
from engine.methods.verdicts import Found, not_closed, not_proven, proven, sampled
from engine.path.audit import Audit, multiplications
from engine.path.certification import MOST_BEADS, Certification, Plan, net_of, plan_for
from engine.path.chain import Chain
from engine.path.chain_state import ChainState, resume, state_of
from engine.path.chain_string import string_of, string_of_snapshot, string_products
from engine.path.chain_view import ChainView, Work
from engine.path.diagnosis import Trials, diagnose
from engine.path.segments import Measured
from engine.path.snapshot import Key, MethodProgress, Segment
from engine.record.costs import Costs
from engine.record.events import Event
from engine.record.findings import Diagnosis
from engine.record.geometry import BeadString
from engine.record.marks import Count
from engine.record.unfit import Unfit, below
from engine.shapes import Weights
from engine.spec.keys import Spec


@dataclass(frozen=True)
class KeptString:
    """A string as a file keeps it."""

    string: BeadString
    order: tuple[int, ...]
    """The ids of its beads from end to end."""
    level: float
    """The level that it is held against."""


@dataclass(frozen=True)
class MethodState:
    """All that a checkpoint holds of a search."""

    current: Count
    """Number of the stage at work, from 0; the number of stages where it is the audit."""
    chain: ChainState
    trials: Trials
    stages: tuple[StageState, ...]
    plan: Plan | None = None
    """Whether and how segments are proven; None before the first string was closed."""
    descent: DescentState | None = None
    """How the level comes about; None where the preset names it."""
    spent: Count = 0
    """Optimizer steps of all beads in the phases before this one."""
    costs: Costs | None = None
    """What the search has computed; None where that is not known, as in files without it."""


class StagedMethod:
    """The `Method` that all searches are. Nothing is concluded before the audit."""

    def __init__(
        self,
        spec: Spec,
        chain: Chain,
        stages: Sequence[Stage[Any]],
        descent: Descent | None = None,
    ) -> None:
        """Begins a search on a chain without beads: the first of its stages makes them.

        With a descent, these are the stages of its first phase, and those of others follow.
        """
        self.spec, self.chain, self.stages = spec, chain, tuple(stages)
        self.view = ChainView(chain)
        """What viewers see of the chain."""
        self.descent = descent
        """How the level comes about; None where the preset names it."""
        self.spent = 0
        """Optimizer steps of all beads in the phases before this one."""
        self.verdict: Verdict | None = None
        """How the search ended; None as long as there is something left to do."""
        self.auditing: Audit | None = None
        """The audit under way, or the last one."""
        self.plan: Plan | None = None
        """Whether and how segments are proven; None before the first string was closed."""
        self.trials = Trials()
        """What was tried so far."""
        self._enter(0)

    def step(self, beads_left: int | None) -> list[Event]:
        """Takes a step of the stage at work, or of the audit, and returns its events."""
        if self.current == len(self.stages):
            events = self._check_some()
            self.trials = self.trials.after(events)
            return events
        stage = self.stages[self.current]
        events = stage.step(beads_left)
        self.verdict = stage.verdict
        if self.verdict is None:
            if self.descent is not None and self.descent.over:
                events += self._go_on(self.descent)
            elif stage.done:
                events += self._enter(self.current + 1)
        self.trials = self.trials.after(events)
        return events

    def _enter(self, number: int) -> list[Event]:
        """Begins the first stage from that one on which has something to do.

        Where there is none, it goes on to the next phase, or to the audit.
        """
        self.current = number
        """Number of the stage at work, from 0; the number of stages where it is the audit."""
        while self.current < len(self.stages):
            self.stages[self.current].begin()
            if not self.stages[self.current].done:
                return []
            self.current += 1
        if self.descent is not None and self.descent.goes_on:
            return self._go_on(self.descent)
        if any(segment.state == "open" for segment in self.chain.in_order()):
            return self._go_back()
        if self._failed():
            self.chain.fall_back()
        return []

    def _go_on(self, descent: Descent) -> list[Event]:
        """Goes on to the next phase of a level that comes about in the search."""
        events = descent.go_on()
        self.spent = self.bead_steps
        self.stages, self.auditing, self.verdict = (), None, descent.verdict
        if self.verdict is not None:
            self.current = 0
            return events
        self.stages = tuple(descent.stages())
        return events + self._enter(0)

    def _go_back(self) -> list[Event]:
        """Goes back to the last stage that can close a segment.

        Where there is none, the open segments have failed, which is returned as events.
        """
        self.auditing = None
        able = [number for number, stage in enumerate(self.stages) if stage.repairs]
        if able:
            self.current = able[-1]
            return []
        opened = [segment for segment in self.chain.in_order() if segment.state == "open"]
        events = [self.chain.fail(segment, "the audit found its peak") for segment in opened]
        if self.descent is not None and self.descent.goes_on:
            events += self._go_on(self.descent)
        return events

    def _failed(self) -> list[Segment]:
        return [segment for segment in self.chain.in_order() if segment.state == "failed"]

    def _check_some(self) -> list[Event]:
        """Proves or audits a few segments; once all are checked, concludes or goes back."""
        if self._failed():
            return self._audit_some()
        net = net_of(self.chain)
        self.plan = self._planned()
        if self.plan.way == "sample" or isinstance(net, str) or self.auditing is not None:
            return self._audit_some()
        run = multiplications(self.spec, self.chain, self.bead_steps)
        proof = Certification(self.chain, net, self.plan, run)
        events = proof.step()
        self.plan = proof.plan
        if self.plan.way == "sample" and self.spec.search.certify == "require":
            self.verdict = not_proven(self._found(), len(self.chain.keys), self.plan.reason)
        if not proof.done or self.plan.way == "sample":
            return events
        return events + self._proved(proof)

    def _planned(self) -> Plan:
        """Returns the plan, or the one with which proofs begin where there is none yet."""
        return self.plan or plan_for(self.spec.search.certify, net_of(self.chain))

    def _proved(self, proof: Certification) -> list[Event]:
        """Concludes where all is proven; else goes back, or samples what could not be decided."""
        events = proof.reopen()
        if events:
            return events + self._go_back()
        undecided = len(proof.undecided())
        if not undecided:
            self.verdict = proven(self._found())
            return []
        if self.spec.search.certify != "require":
            return self._audit_some()
        if proof.plan.beads == MOST_BEADS:
            self.verdict = not_proven(self._found(), undecided)
            return []
        proof.open_widest()
        self.plan = proof.plan
        return self._go_back()

    def _audit_some(self) -> list[Event]:
        """Audits a few segments; once all are audited, concludes or goes back."""
        if self.auditing is None:
            self.auditing = Audit(self.spec, self.chain, self.bead_steps)
        if not self.auditing.step():
            return []
        events = self.auditing.reopen()
        if events:
            events += self._go_back()
        else:
            self.verdict = (
                not_closed(self._found())
                if self._failed()
                else sampled(self._found(), self.auditing)
            )
        return events

    def _found(self) -> Found:
        """Returns what a verdict speaks of."""
        return Found(self.spec, self.chain, self.progress(), self.trials, self.plan)

    @property
    def phase(self) -> str:
        """What the next step does, or the last one did: the name of a stage, *proof* or *audit*."""
        if self.current < len(self.stages):
            return self.stages[self.current].name
        samples = self.auditing is not None or bool(self._failed())
        return "audit" if samples or self._planned().way == "sample" else "proof"

    @property
    def bead_steps(self) -> int:
        """Optimizer steps of all beads in all stages."""
        return self.spent + sum(stage.bead_steps for stage in self.stages)

    @property
    def _audited(self) -> Mapping[Key, Measured]:
        """The profiles that an audit has measured, by the keys of their segments."""
        return {} if self.auditing is None else self.auditing.measured

    def tally(self) -> Tally:
        """See `Method`."""
        opened = sum(segment.state == "open" for segment in self.chain.in_order())
        return Tally(len(self.chain.order), opened, self.bead_steps, self.phase)

    def progress(self) -> MethodProgress:
        """See `Method`."""
        now = self._progress()
        return now if self.descent is None else replace(now, bracket=self.descent.now)

    def _progress(self) -> MethodProgress:
        """Returns where the stage at work stands, or the check."""
        if self.current < len(self.stages):
            stage = self.stages[self.current]
            training, losses = stage.training(), stage.losses()
            work = Work(stage.name, stage.aim, self.bead_steps, training, losses)
            return self.view.progress(work, self._audited)
        work = Work(self.phase, self.chain.level, self.bead_steps)
        now = self.view.progress(work, self._audited)
        return now if self.verdict is None else replace(now, certified=self.chain.certified)

    def secondary(self) -> list[NDArray[np.float64]]:
        """Returns the secondary metric (point,) along each segment of `progress`, for viewers."""
        return self.view.secondary()

    def weights(self) -> dict[int, Weights]:
        """Returns the present weights (param,) of all beads by id, those in training included."""
        at_work = self.stages[self.current : self.current + 1]
        moving = [stage.weights_in_training() for stage in at_work]
        return dict(self.chain.weights) | {k: v for each in moving for k, v in each.items()}

    @property
    def string_products(self) -> int:
        """See `Method`."""
        return string_products(self.chain)

    def string(self) -> BeadString:
        """See `Method`."""
        return string_of(self.chain, self.view.profiles(self._audited))

    def kept_string(self) -> KeptString:
        """Returns the string that a file keeps: the best one while a lower level is tried."""
        descent = self.descent
        best = None if descent is None else descent.trying
        if descent is None or best is None:
            return KeptString(self.string(), self.progress().order, self.chain.level)
        string = string_of_snapshot(best, self.chain.grid)
        return KeptString(string, best.order, descent.level_of_best)

    def describe_audit(self) -> dict[str, Any]:
        """See `Method`; empty where the string is neither audited nor proven."""
        if self.verdict is None:
            return {}
        known: dict[str, Any] = {"certified": self.chain.certified}
        if self.plan is not None and self.plan.reason:
            known["not_proven"] = self.plan.reason
        if self.auditing is not None:
            return self.auditing.description() | known
        return self._profiles_described() | known if self.chain.certified else {}

    def _profiles_described(self) -> dict[str, Any]:
        """Returns how the search measured the profiles, and what is proven of the path."""
        segments = self.chain.in_order()
        bounds = [segment.proof.bound for segment in segments if segment.proof is not None]
        return {
            "points": len(self.chain.grid),
            "precision": str(self.chain.problem.dtype).removeprefix("torch."),
            "max_peak": max(segment.measured.peak for segment in segments),
            "proven_bound": max(bounds, default=None),
        }

    def diagnosis(self) -> Diagnosis | None:
        """See `Method`; None where no whole string was ever measured."""
        return diagnose(self.spec, self.chain, self.trials)

    @property
    def state(self) -> MethodState:
        """All that a checkpoint holds of the search. An audit under way is not: it begins anew."""
        stages = tuple(stage.state for stage in self.stages)
        descent = None if self.descent is None else self.descent.state
        chain, auditing = state_of(self.chain), self.auditing
        costs = self.chain.pool.costs if auditing is None else auditing.costs_before
        return MethodState(
            self.current, chain, self.trials, stages, self.plan, descent, self.spent, costs
        )

    def resume(self, state: MethodState) -> None:
        """Goes on from a state. Raises Unfit where it is not one of this search's."""
        if (state.descent is None) != (self.descent is None):
            raise Unfit("descent is not that of this search")
        if self.descent is not None and state.descent is not None:
            with below("descent"):
                self.descent.resume(state.descent)
            self.stages = tuple(self.descent.stages())
        self.spent = state.spent
        kinds = [stage.state.kind for stage in self.stages]
        if [part.kind for part in state.stages] != kinds:
            raise Unfit(f"stages are not those of this search, {', '.join(kinds)}")
        if state.current > len(self.stages):
            raise Unfit(f"current is {state.current}, but there are {len(self.stages)} stages")
        with below("chain"):
            resume(self.chain, state.chain)
        self.chain.pool.costs = state.costs
        self.current, self.trials, self.plan = state.current, state.trials, state.plan
        for number, (stage, part) in enumerate(zip(self.stages, state.stages, strict=True)):
            with below("stages", number):
                stage.resume(part)
        self._check_ready()

    def _check_ready(self) -> None:
        """Raises Unfit where the search cannot go on from what it was resumed to."""
        states = {segment.state for segment in self.chain.in_order()}
        if self.current == len(self.stages):
            if self.chain.unmeasured or states & {"open", "training"}:
                raise Unfit("current is the audit, but a segment is not measured or still open")
            return
        stage = self.stages[self.current]
        if "training" in states and not isinstance(stage, GreedySearch):
            raise Unfit("a segment waits for a bead, but none of greedy DSS is in training")
        with below("stages", self.current):
            stage.check_ready()
