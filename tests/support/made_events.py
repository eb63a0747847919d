"""The beginning, the end and the parts of a run's events, made by hand."""

from __future__ import annotations

from engine.record.events import (
    BeadTrained,
    EndpointTrained,
    Outcome,
    RunFinished,
    RunStarted,
    SegmentMeasured,
)
from engine.record.findings import Totals

STARTED = RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cpu",))
TOTALS = Totals(5, 4, 3, 1, 2, (2, 1, 2), 700, 0.02, 1.7, 8.5)
FINISHED = RunFinished(Outcome.NOT_CONNECTED, "Not connected: 1 of 4.", TOTALS)
ENDPOINTS = (EndpointTrained(1, 0.011, 410, 1), EndpointTrained(2, 0.012, 520, 3))


def measured(left: int, right: int, peak: float, depth: int = 1) -> SegmentMeasured:
    """A segment that is 2.5 long."""
    return SegmentMeasured(left, right, depth, 2.5, peak, 0.4)


def trained(bead: int, left: int, right: int, depth: int) -> BeadTrained:
    return BeadTrained(bead, left, right, depth, 0.013, 300, 2)
