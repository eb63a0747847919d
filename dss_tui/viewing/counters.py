"""Puts the counters of a run into words, for the run screen and for the foreground display."""

from __future__ import annotations

import math

from rich.text import Text

from dss_tui.viewing.words import clock, thousands
from engine.record.progress import Progress
from engine.spec.level import in_brackets

#: The number of beads in training that are listed one by one.
LISTED = 8

STATE_STYLES = {
    "connected": "bold green",
    "running": "bold cyan",
    "starting": "bold cyan",
    "paused": "bold yellow",
}


def words(progress: Progress, steps_per_s: float | None) -> list[str]:
    """Returns the counters of a progress in words. A rate of None is left out."""
    counters, level = progress.counters, progress.level
    said = [
        f"depth {counters.depth}",
        f"beads {counters.beads}",
        f"open {counters.open} of {len(progress.segments)}",
        f"training {counters.in_training}",
        f"{thousands(counters.bead_steps)} steps",
    ]
    if steps_per_s is not None:
        said.append(f"{thousands(round(steps_per_s))}/s")
    if progress.aim is not None and progress.aim > level:
        said.append(f"level {progress.aim:.3g} on the way to {level:g}")
    if math.isfinite(counters.max_peak):
        numbers = in_brackets(level, progress.tolerance)
        said.append(f"peak {counters.max_peak / level:.3g} × level{numbers}")
    if math.isfinite(counters.normalized_length):
        said.append(f"length {counters.normalized_length:.3f}")
    if counters.failed:
        said.append(f"failed {counters.failed}")
    return said


def limits(progress: Progress, seconds: float) -> str:
    """Returns a run's use of its limits, and the age of its newest checkpoint, in words.

    `seconds` is the running time of the run.
    """
    parts = []
    if (bounds := progress.limits) is not None:
        used = (
            ("beads", progress.counters.beads, bounds.beads),
            ("steps", progress.counters.bead_steps, bounds.steps),
            ("seconds", seconds, bounds.seconds),
        )
        parts = [f"{n} {value:,.0f} of {most:,.0f}" for n, value, most in used if most is not None]
    if progress.checkpoint_time is not None:
        parts.append(f"checkpoint {max(0.0, seconds - progress.checkpoint_time):.0f} s ago")
    return "limits: " + " · ".join(parts) if parts else ""


def training(progress: Progress) -> list[Text]:
    """Returns a line for each of the first beads in training."""
    ends = not progress.order
    own = progress.endpoints_alpha if ends else None
    target = (progress.alpha if own is None else own) * progress.level
    metric = progress.level_on.metric.replace("_", " ")
    lines = []
    for bead in progress.training[:LISTED]:
        what = "endpoint" if ends else "bead"
        loss = f"{bead.loss:.4g}" if math.isfinite(bead.loss) else "–"
        lines.append(
            Text.assemble(
                (f"{what} {bead.bead:<5}", "cyan"),
                f"{metric} {loss:<9} → {target:<9.4g} step {thousands(bead.steps):<7} "
                f"try {bead.attempt}",
            )
        )
    return lines


def title(name: str, about: str, state: str, seconds: float, width: int) -> Text:
    """Returns a run's name and facts to the left, its state and running time to the right."""
    left = Text.assemble((name, "bold"), f"  {about}")
    style = STATE_STYLES.get(state.split(" ")[0], "bold")
    right = Text.assemble((state, style), f"  {clock(seconds)}")
    left.truncate(max(10, width - right.cell_len - 3), overflow="ellipsis")
    return Text.assemble(left, " " * max(1, width - left.cell_len - right.cell_len - 2), right)
