"""Puts the ending of a run and the findings of its diagnosis into words."""

from __future__ import annotations

from engine.record.events import Outcome, RunFinished
from engine.record.findings import Diagnosis
from engine.spec.level import in_brackets

#: The number of lines of the worst peak's history that are told.
LISTED = 12


def words(ended: RunFinished) -> list[str]:
    """Returns the paragraphs on how a run ended: its sentence, its facts, and what they mean."""
    found = ended.diagnosis
    if found is None:
        connected = ended.outcome is Outcome.CONNECTED
        more = [] if connected else ["No whole string was measured, so there is no more to say."]
        return [ended.sentence, *more]
    return [ended.sentence, *(f"  {line}" for line in _facts(found)), found.words]


def _facts(found: Diagnosis) -> list[str]:
    """Returns the lines with the numbers of a diagnosis."""
    lines = [
        f"lowest peak     {found.barrier:.6g} = {found.barrier / found.level:.4g} × level"
        f"{in_brackets(found.level, found.tolerance)}, between "
        f"beads {found.left} and {found.right} at t = {found.t:.3f}, depth {found.depth}"
    ]
    if found.stuck_level is not None:
        lines.append(f"stuck level     {found.stuck_level:.6g}")
    lines += [f"retries         {retry}" for retry in found.retries]
    lines += [f"gave up         {reason}" for reason in found.reasons]
    lines.append("worst peak as the search went on:")
    step = max(1, len(found.trace) // LISTED)
    for beads, depth, place, loss in found.trace[::step]:
        lines.append(
            f"  {beads:4.0f} beads  depth {depth:3.0f}  at {place:4.0%} of the string  {loss:.5g}"
        )
    return lines
