"""A method: stages that work on one chain, one after the other, and a audit at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.methods.base import Stage, Tally, Verdict
from engine.path.audit import Audit
from engine.path.chain import Chain, Segment
from engine.path.diagnosis import Trials, diagnose
from engine.path.snapshot import MethodProgress, Saved, prefixed, without_prefix
from engine.record.events import Diagnosis, Event, Outcome
from engine.record.geometry import BeadString
from engine.spec.keys import Spec
from engine.spec.level import both, too_high


class StagedMethod:
    """The `Method` that all searches are. Nothing is concluded before the audit."""

    def __init__(self, spec: Spec, chain: Chain, stages: Sequence[Stage]) -> None:
        self.spec, self.chain, self.stages = spec, chain, tuple(stages)
        self.verdict: Verdict | None = None
        self.auditing: Audit | None = None
        self.trials = Trials()
        self._enter(0)

    def step(self, beads_left: int | None) -> list[Event]:
        if self.current == len(self.stages):
            events = self._audit_some()
            self.trials.count(events)
            return events
        stage = self.stages[self.current]
        events = stage.step(beads_left)
        self.trials.count(events)
        self.verdict = stage.verdict
        if self.verdict is None and stage.done:
            self._enter(self.current + 1)
        return events

    def _enter(self, number: int) -> None:
        """The first stage from that one on which has something to do, else the audit."""
        self.current = number
        """The stage at work; the number of stages where it is the audit."""
        while self.current < len(self.stages):
            self.stages[self.current].begin()
            if not self.stages[self.current].done:
                return
            self.current += 1
        if any(segment.state == "open" for segment in self.chain.in_order()):
            self._go_back()
        elif self._failed():
            self.chain.fall_back()

    def _go_back(self) -> list[Event]:
        """To the last stage that can close a segment; where there is none, the open have failed."""
        self.auditing = None
        able = [number for number, stage in enumerate(self.stages) if stage.repairs]
        if able:
            self.current = able[-1]
            return []
        opened = [segment for segment in self.chain.in_order() if segment.state == "open"]
        return [self.chain.fail(segment, "the audit found its peak") for segment in opened]

    def _failed(self) -> list[Segment]:
        return [segment for segment in self.chain.in_order() if segment.state == "failed"]

    def _audit_some(self) -> list[Event]:
        """Audit a few segments; when all are audited, conclude or go back."""
        if self.auditing is None:
            self.auditing = Audit(self.spec, self.chain, self.bead_steps)
        if not self.auditing.step():
            return []
        events = self.auditing.reopen()
        if events:
            events += self._go_back()
        else:
            self.verdict = self._conclude(self.auditing)
        return events

    def _conclude(self, audit: Audit) -> Verdict:
        now = self.progress()
        search, failed = self.spec.search, self._failed()
        if failed:
            worst = max(failed, key=lambda segment: segment.height)
            return Verdict(
                Outcome.NOT_CONNECTED,
                f"Not connected: {len(failed)} of {len(now.segments)} segments stayed above "
                f"{too_high(search.level, search.tolerance)}; the worst peak is "
                f"{worst.measured.peak / search.level:.3g} × level, between beads "
                f"{worst.left} and {worst.right} at depth {worst.depth}. This does "
                "not prove that no path exists; another seed, a higher level or more steps may "
                "find one.",
            )
        told = f"{numbers}; " if (numbers := both(search.level, search.tolerance)) else ""
        return Verdict(
            Outcome.CONNECTED,
            f"Connected: {now.beads} beads, normalized length {now.normalized_length:.4f}, "
            f"{self._shortened()}"
            f"every segment at most {now.max_peak / search.level:.4f} × level ({told}measured "
            f"on {len(audit.grid)} points each in {audit.precision}{self._normalized()}).",
        )

    def _shortened(self) -> str:
        told = self.trials.shortened
        if told is None or told.length_after == told.length_before:
            return ""
        return f"shortened from {told.length_before:.4f} with {told.beads_before} beads, "

    def _normalized(self) -> str:
        """Says by which statistics models were normalized, where the network normalizes."""
        words = self.chain.problem.normalized_by
        return f", normalized by {words}" if words else ""

    @property
    def bead_steps(self) -> int:
        return sum(stage.bead_steps for stage in self.stages)

    def tally(self) -> Tally:
        opened = sum(segment.state == "open" for segment in self.chain.in_order())
        return Tally(len(self.chain.order), opened, self.bead_steps)

    def progress(self) -> MethodProgress:
        if self.current < len(self.stages):
            stage = self.stages[self.current]
            return self.chain.progress(
                stage.name, stage.training(), self.bead_steps, stage.aim, stage.losses()
            )
        return self.chain.progress("audit", (), self.bead_steps, self.chain.level)

    @property
    def string_products(self) -> int:
        return self.chain.string_products

    def string(self) -> BeadString:
        return self.chain.string()

    def describe_audit(self) -> dict[str, Any]:
        if self.verdict is None or self.auditing is None:
            return {}
        return self.auditing.description()

    def diagnosis(self) -> Diagnosis | None:
        return diagnose(self.spec, self.chain, self.trials)

    def save(self) -> Saved:
        tensors, chain = self.chain.save()
        tensors = prefixed("chain", tensors)
        plain: dict[str, Any] = {"current": self.current, "chain": chain, "stages": []}
        plain["trials"] = self.trials.save()
        for number, stage in enumerate(self.stages):
            of_stage, values = stage.save()
            tensors |= prefixed(f"stage.{number}", of_stage)
            plain["stages"].append(values)
        return tensors, plain

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        self.current = plain["current"]
        self.trials.restore(plain["trials"])
        self.chain.restore((without_prefix("chain", tensors), plain["chain"]))
        for number, (stage, values) in enumerate(zip(self.stages, plain["stages"], strict=True)):
            stage.restore((without_prefix(f"stage.{number}", tensors), values))
