"""What the last event of a run tells: its counters, and what is known of its peak. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from engine.record.marks import Count, Depth, Level


@dataclass(frozen=True)
class Totals:
    """The counters of a whole run."""

    beads: Count
    segments: Count
    closed: Count
    failed: Count
    depth: Depth
    beads_per_depth: tuple[Count, ...]
    """Number of beads at each depth; the ends are at depth 0."""
    bead_steps: Count
    max_peak: float
    """The highest loss found on the string."""
    normalized_length: float
    """The string's length divided by the distance of its ends."""
    elapsed_s: float
    sample_gradients: Count | None = None
    """Number of samples passed forward and back, as `Costs` counts them; None where not known."""
    forward_samples: Count | None = None
    """Number of samples passed forward alone; None where not known."""
    normalized_length_weights: float | None = None
    """The normalized length over the weights alone, without biases, as the paper's authors took it;
    None where there are only biases, and in files without it."""


@dataclass(frozen=True)
class Diagnosis:
    """The findings of a search that ended without a connection."""

    barrier: float
    """The peak of the string whose peak is the lowest of all strings seen. It is the objective
    itself, not its rise above the ends, which the literature calls the barrier."""
    level: Level
    left: Count
    """The left one of the beads between which that string is highest."""
    right: Count
    """The right one of these beads."""
    t: float
    """The place of the peak between them, from 0 at the left bead to 1 at the right one."""
    place: float
    """The place of that peak as a share of the string's length from endpoint 1."""
    depth: Depth
    trace: tuple[tuple[float, float, float, float], ...]
    """The worst peak as the search went on, each time as (beads, depth, place, loss)."""
    stuck_level: float | None
    """The lowest level that a method which lowers whole strings reached; None for others."""
    retries: tuple[str, ...]
    """The remedies that were tried and how often, in words."""
    reasons: tuple[str, ...]
    """The reasons why segments failed and how often, in words."""
    relabelled: tuple[tuple[int, ...], ...]
    """The moved units (hidden layer from 1, unit of endpoint 2, unit of endpoint 1), units from 0,
    where the endpoints are relabelled copies of each other; empty where they are not."""
    rescaled: bool
    """Whether the copy's units are scaled too, which a ReLU network's function does not show."""
    words: str
    """The sentences that say what this does and does not prove."""
    tolerance: float = 0.0
    """A segment is closed up to (1 + tolerance) × level."""
