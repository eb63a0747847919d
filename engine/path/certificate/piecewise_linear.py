"""The rectifier, and sums of two values."""

from __future__ import annotations

import torch

from engine.path.certificate.chord import EPSILON, TINY, Chord, deviation, fixed, largest, outward
from engine.path.certificate.twins import twins


def relu(x: Chord) -> Chord:
    """Returns the model of max(x, 0).

    A number that keeps its sign over the cell stays as it is, or is 0. Of one that may change it,
    the rectified chord lies below the chord of the rectified ends by at most
    |start·end| / (|start| + |end|), and what x deviates from its chord counts at most in full.
    """
    if x.exact:
        return fixed(x.start.clamp(min=0))
    compiled = twins(x.start)
    return relu_by_tensors(x) if compiled is None else compiled.relu(x)


def relu_by_tensors(x: Chord) -> Chord:
    """Returns the model of max(x, 0) for an x that is not exact, computed with tensors."""
    start, end, bow, low, high = x.parts
    below, above = deviation(x)
    on, off = torch.minimum(start, end) + below >= 0, torch.maximum(start, end) + above <= 0
    sizes = (start.abs() + end.abs()).clamp(min=TINY)
    crosses = (start > 0) != (end > 0)
    gap = torch.where(crosses, outward(start.abs() * (end.abs() / sizes)) + TINY, 0.0)
    new_start, new_end = start.clamp(min=0), end.clamp(min=0)
    lowest = torch.maximum(outward(below - gap), -torch.maximum(new_start, new_end))
    return Chord(
        new_start,
        new_end,
        torch.where(on, bow, 0.0),
        torch.where(on, low, torch.where(off, 0.0, lowest)),
        torch.where(on, high, torch.where(off, 0.0, above)),
    )


def added(x: Chord, y: Chord) -> Chord:
    """Returns the model of x + y, part by part."""
    start, end, bow, low, high = (one + other for one, other in zip(x.parts, y.parts, strict=True))
    slack = 4 * EPSILON * (largest(x) + largest(y)) + TINY
    return Chord(start, end, bow, low - slack, high + slack)
