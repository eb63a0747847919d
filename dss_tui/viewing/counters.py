"""Puts the counters of a run into words, for the foreground display."""

from __future__ import annotations

import math

from rich.text import Text

from dss_tui.viewing.words import short_clock, thousands
from engine.record.findings import Totals
from engine.record.progress import Epochs, Progress, TrainingProgress
from engine.spec.level import in_brackets, multiple

#: The number of beads in training that are listed one by one.
LISTED = 8


def words(progress: Progress, steps_per_s: float | None) -> list[str]:
    """Returns the counters of a progress in words. A rate of None is left out."""
    counters, level = progress.counters, progress.level
    if progress.epochs is not None and not progress.order and progress.phase == "endpoints":
        return ends_by_epochs(progress, progress.epochs, steps_per_s)
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
        said.append(f"aim {progress.aim:.3g} → {level:g}")
    if progress.bracket is not None:
        said.append(progress.bracket.words)
    if progress.peak_over_level is not None:
        numbers = in_brackets(level, progress.tolerance)
        said.append(f"peak {multiple(progress.peak_over_level, 3)} × level{numbers}")
    if math.isfinite(counters.normalized_length):
        said.append(f"length {counters.normalized_length:.3f}")
    if counters.failed:
        said.append(f"failed {counters.failed}")
    return said


def computed(totals: Totals | None) -> list[str]:
    """Returns a line on what a run has computed, or none where that is not known."""
    if totals is None or totals.sample_gradients is None or totals.forward_samples is None:
        return []
    gradients, forward = thousands(totals.sample_gradients), thousands(totals.forward_samples)
    return [f"computed: {gradients} sample gradients and {forward} forward samples"]


def ends_by_epochs(progress: Progress, epochs: Epochs, steps_per_s: float | None) -> list[str]:
    """Returns how far ends have come that are trained for a number of epochs, in words.

    The time left is that of both ends' steps, at the rate of the whole run so far.
    """
    beads, done = progress.training, progress.counters.bead_steps
    at = " and ".join(f"{epochs.done(bead.steps):.3g}" for bead in beads)
    said = [f"{'ends' if len(beads) > 1 else 'end'} at epoch {at or '–'} of {epochs.count}"]
    losses = [f"{bead.loss:.3g}" for bead in beads if math.isfinite(bead.loss)]
    if losses:
        said.append(f"{progress.level_on.metric_words} {' and '.join(losses)}")
    if not any(bead.steps for bead in beads):
        return [*said, f"first told after {thousands(epochs.told_every)} steps of each"]
    said.append(f"{thousands(done)} steps")
    if steps_per_s is not None:
        said.append(f"{rate_of(done / progress.time)}" if progress.time > 0 else "")
    left = sum(max(0, epochs.steps - bead.steps) for bead in beads)
    if done > 0:
        said.append(f"~{short_clock(left * progress.time / done)} left")
    return [words for words in said if words]


def rate_of(steps_per_s: float) -> str:
    """Returns a rate of steps in words, by the second or, where that is long, by the minute."""
    if steps_per_s >= 10:
        return f"{thousands(round(steps_per_s))}/s"
    return f"{steps_per_s:.2g}/s" if steps_per_s >= 0.5 else f"{60 * steps_per_s:.2g}/min"


def target_of(progress: Progress) -> float:
    """Returns the loss that the beads in training are trained to; NaN for ends that have none."""
    if not progress.order and progress.ends_by_recipe:
        return math.nan
    if progress.order and progress.target is not None:
        return progress.target
    own = None if progress.order else progress.endpoints_alpha
    return (progress.alpha if own is None else own) * progress.level


def training(progress: Progress) -> list[Text]:
    """Returns a line for each of the first beads or control points in training."""
    return [_line(bead, progress) for bead in progress.training[:LISTED]]


def _line(bead: TrainingProgress, progress: Progress) -> Text:
    """Returns what is known of a bead or control point in training."""
    loss = f"{bead.loss:.4g}" if math.isfinite(bead.loss) else "–"
    attempt = f" {_target(progress):<11} step {thousands(bead.steps):<7} try {bead.attempt}"
    how = attempt if bead.aims else f" step {thousands(bead.steps)}"
    name = (f"{_kind(bead, progress)} {bead.bead:<5}", "cyan")
    return Text.assemble(name, f"{progress.level_on.metric_words} {loss:<9}{how}")


def _kind(bead: TrainingProgress, progress: Progress) -> str:
    """Returns the word for what is in training."""
    if not progress.order:
        return "endpoint"
    return "bead" if bead.aims or bead.bead in progress.order else "control point"


def _target(progress: Progress) -> str:
    """Returns the target in words: ends that are trained by their recipe have none."""
    target = target_of(progress)
    return f"→ {target:.4g}" if math.isfinite(target) else "→ recipe"
