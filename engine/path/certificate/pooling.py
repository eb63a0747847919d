"""Pooling over rectangles that do not overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.networks.steps import Sides
from engine.path.certificate.chord import (
    EPSILON,
    TINY,
    Chord,
    deviation,
    fixed,
    largest,
    outward,
)
from engine.path.certificate.twins import twins


def average_pool(x: Chord, size: Sides) -> Chord:
    """Returns the model of the means over rectangles, (cell, sample, channel, height, width)."""
    start, end, bow, low, high = (_rectangles(part, size).mean(-1) for part in x.parts)
    slack = (size[0] * size[1] + 8) * EPSILON * largest(x) + TINY
    return Chord(start, end, bow, low - slack, high + slack)


def max_pool(x: Chord, size: Sides) -> Chord:
    """Returns the model of the maxima over rectangles.

    Where the entry that is largest at the start is so over the whole cell, it stands for the
    rectangle. Elsewhere the chord of the maxima is taken, below which the larger of the two
    entries' chords lies by at most p·r/(p + r), p and r their distances from the other's maximum.
    """
    if x.exact:
        return fixed(_rectangles(x.start, size).amax(-1))
    compiled = twins(x.start)
    return max_pool_by_tensors(x, size) if compiled is None else compiled.max_pool(x, size)


def max_pool_by_tensors(x: Chord, size: Sides) -> Chord:
    """Returns the model of the maxima for an x that is not exact, computed with tensors."""
    below, above = (_rectangles(part, size) for part in deviation(x))
    start, end, bow, low, high = (_rectangles(part, size) for part in x.parts)
    first, at_start = start.max(-1, keepdim=True)
    last, at_end = end.max(-1, keepdim=True)
    one = _stays(start, end, below, above, at_start)
    p = last - end.gather(-1, at_start)
    r = first - start.gather(-1, at_end)
    gap = outward(p * (r / (p + r).clamp(min=TINY))) + TINY
    lowest = outward(torch.minimum(below.gather(-1, at_start), below.gather(-1, at_end)) - gap)
    found = (
        first,
        torch.where(one, end.gather(-1, at_start), last),
        torch.where(one, bow.gather(-1, at_start), 0.0),
        torch.where(one, low.gather(-1, at_start), lowest),
        torch.where(one, high.gather(-1, at_start), above.amax(-1, keepdim=True)),
    )
    return Chord(*(part.squeeze(-1) for part in found))


def _stays(start: Tensor, end: Tensor, below: Tensor, above: Tensor, which: Tensor) -> Tensor:
    """Returns whether one entry of each rectangle is the largest over the whole cell.

    `which` holds its place; `below` and `above` bound what entries deviate from their chords, by
    more roundings than the differences here cost.
    """
    ahead = torch.minimum(start.gather(-1, which) - start, end.gather(-1, which) - end)
    apart = above - below.gather(-1, which)
    return (ahead - apart).scatter(-1, which, 0.0).amin(-1, keepdim=True) >= 0


def _rectangles(part: Tensor, size: Sides) -> Tensor:
    """Returns (cell, sample, channel, height, width) as (…, height', width', entry)."""
    high, wide = size
    rows, columns = part.shape[-2] // high, part.shape[-1] // wide
    part = part[..., : rows * high, : columns * wide]
    cut = part.reshape(*part.shape[:-2], rows, high, columns, wide)
    return cut.transpose(-3, -2).flatten(-2)
