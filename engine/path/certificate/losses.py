"""The sum of losses over samples, bounded over a cell from the model of the outputs.

Losses are convex in the outputs. So along a cell their sum lies below the chord of its ends but
for what bows and remainders of the outputs add, and no single sample's range appears. The bound is
a polynomial in s. Samples are summed within; `cells` adds up the parts of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.path.certificate.bernstein import BUMP, POWERS, RAMP
from engine.path.certificate.chord import EPSILON, Chord, outward

#: Share of a margin's possible size from which on its sign at an end of a cell is certain.
SURE = 1e-10
#: Size below which an exponential may have lost digits, the largest of its cell being 1.
FAINT = 1e-280


@dataclass(frozen=True)
class Bound:
    """What is known of a sum over samples, over each of several cells."""

    coefficients: Tensor
    """(cell, 5) Bernstein coefficients in s of a polynomial that is nowhere below the sum."""
    ends: Tensor
    """(cell, 2) The sum at the start and at the end of each cell, up to rounding."""
    counted: bool = False
    """Whether the sum counts samples, so that it is exact and its polynomial a constant."""


def total(parts: Sequence[Bound]) -> Bound:
    """Returns the bound of the sum over several parts of the data, on the same cells."""
    coefficients = torch.stack([part.coefficients for part in parts])
    error = 2 * len(parts) * EPSILON * coefficients.abs().sum(0)
    ends = torch.stack([part.ends for part in parts]).sum(0)
    if parts[0].counted:
        return Bound(coefficients.sum(0), ends, counted=True)
    return Bound(coefficients.sum(0) + error, ends)


def weighted(part: Bound, weight: float) -> Bound:
    """Returns the bound of a sum in which each of the samples counts so much.

    Multiplying makes one rounding, and four are added. The means are divided by the sum of all
    weights, of k terms of one sign, which is off by k roundings at most: three of those added here
    and k of the 2k that `total` adds make up for them.
    """
    if weight == 1:
        return part
    coefficients = part.coefficients * weight
    return Bound(coefficients + 4 * EPSILON * coefficients.abs(), part.ends * weight)


def squared_error(outputs: Chord, y: Tensor) -> Bound:
    """Returns the bound of Σ‖outputs − y‖², the target y (sample, out)."""
    start, end, bow, low, high = _apart(outputs, y)
    slope = end - start + bow  # start + s·slope − s²·bow is the chord with its bow
    powers = [
        start * start,
        2 * start * slope,
        slope * slope - 2 * start * bow,
        -2 * slope * bow,
        bow * bow,
    ]
    least = torch.minimum(start, end) + bow.clamp(max=0) / 4
    most = torch.maximum(start, end) + bow.clamp(min=0) / 4
    corners = torch.stack([most * high, most * low, least * high, least * low]).amax(0)
    rest = 2 * corners + torch.maximum(high, -low).square()
    sizes = (start * start + end * end + bow * bow).sum((1, 2)) + _sizes(rest)
    sums = torch.stack([power.sum((1, 2)) for power in powers], 1)
    ends = torch.stack([(part * part).sum((1, 2)) for part in (start, end)], 1)
    return of_squares(sums, _summed(rest), sizes, ends, _count(start))


def of_squares(powers: Tensor, rest: Tensor, sizes: Tensor, ends: Tensor, count: int) -> Bound:
    """Returns the bound that sums over `count` numbers of each cell make.

    `powers` (cell, 5) are those of s, `rest` (cell,) is added everywhere, and `sizes` (cell,) sums
    start² + end² + bow² + |rest|. Each power is at most four times that size, and so is what makes
    up a coefficient.
    """
    rest = rest + (count + 256) * 32 * EPSILON * sizes
    return Bound(powers @ POWERS + rest[:, None], ends)


def absolute_error(outputs: Chord, y: Tensor) -> Bound:
    """Returns the bound of Σ|outputs − y|, the target y (sample, out).

    Where an output stays on one side of its target, bow and remainder enter with their sign.
    """
    start, end, bow, low, high = _apart(outputs, y)
    up, down = outward(high + bow.clamp(min=0) / 4), outward(low + bow.clamp(max=0) / 4)
    above = torch.minimum(start, end) + down >= 0
    below = torch.maximum(start, end) + up <= 0
    bump = torch.where(above, bow, torch.where(below, -bow, 0.0))
    rest = torch.where(above, high, torch.where(below, -low, torch.maximum(up, -down)))
    first, last = start.abs(), end.abs()
    ends = torch.stack([first.sum((1, 2)), last.sum((1, 2))], 1)
    sizes = _sizes(first, last, bump, rest)
    return of_chords(ends, bump.sum((1, 2)), _summed(rest), sizes, ends, _count(start))


def cross_entropy(margins: Chord, labels: Tensor) -> Bound:
    """Returns the bound of Σ log Σ_k exp(margin_k), margins (cell, sample, class).

    It rises with each margin, so remainders count with their upper bounds, and it is convex, so a
    bow of q_k adds at most s(1−s)·Σ_k sup(π_k·q_k), π the softmax over the cell.
    """
    start, end, bow, _, high = margins.parts
    most = torch.maximum(start, end) + high + bow.clamp(min=0) / 4
    least = torch.minimum(start, end) + high + bow.clamp(max=0) / 4
    share_low, share_high = _softmax(least, most)
    bump = torch.where(bow > 0, share_high * bow, share_low * bow).sum(-1)
    first, last = (_log_sum(part + high) for part in (start, end))
    tops = torch.stack([first.sum(1), last.sum(1)], 1)
    ends = torch.stack([torch.logsumexp(part, -1).sum(1) for part in (start, end)], 1)
    rest = torch.zeros_like(tops[:, 0])
    return of_chords(tops, bump.sum(1), rest, _sizes(first, last, bump), ends, _count(bump))


def of_chords(
    tops: Tensor, bump: Tensor, rest: Tensor, sizes: Tensor, ends: Tensor, count: int
) -> Bound:
    """Returns the bound of chords between `tops` (cell, 2), plus bump·s(1−s), plus a rest.

    Each is a sum over `count` numbers of a cell, `sizes` (cell,) that of their absolute values, and
    `ends` (cell, 2) are the values at the two ends.
    """
    chord = tops[:, :1] + (tops[:, 1:] - tops[:, :1]) * RAMP
    rest = rest + (count + 64) * 4 * EPSILON * sizes
    return Bound(chord + bump[:, None] * BUMP + rest[:, None], ends)


def errors(margins: Chord, labels: Tensor) -> Bound:
    """Returns the bound of the number of samples with a margin that is not below 0.

    A tie counts as an error. The polynomial is a constant: the samples that may be wrong somewhere
    in the cell. At the ends those count that are wrong for certain.
    """
    start, end, bow, _, high = margins.parts
    own = torch.nn.functional.one_hot(labels, start.shape[-1]).bool()
    most = torch.maximum(start, end) + high + bow.clamp(min=0) / 4
    # Where the computed sum is below 0, so is the exact one: the first addition errs by less than
    # the second's result can be close to 0. A margin that is not a number counts as an error.
    right = (most < 0) | own
    wrong = (~right.all(-1)).sum(1).double()
    sure = SURE * (1 + torch.maximum(start.abs(), end.abs()).amax((1, 2), keepdim=True))
    ends = [((part > sure) & ~own).any(-1).sum(1).double() for part in (start, end)]
    return of_counts(wrong, torch.stack(ends, 1))


def of_counts(wrong: Tensor, ends: Tensor) -> Bound:
    """Returns the bound of a number of samples (cell,), and of those certain at the ends."""
    return Bound(wrong[:, None].expand(-1, 5), ends, counted=True)


def _apart(outputs: Chord, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the parts of outputs minus targets, (cell, sample, out)."""
    start, end, bow, low, high = (part.flatten(2) for part in outputs.parts)
    y = y.flatten(1)
    return start - y, end - y, bow, low, high


def _softmax(least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
    """Returns bounds of softmax (…, class) where each score lies between `least` and `most`."""
    shift = most.amax(-1, keepdim=True)
    high, low = (most - shift).exp(), (least - shift).exp()
    highs, lows = high.sum(-1, keepdim=True), low.sum(-1, keepdim=True)
    error = (high.shape[-1] + 32) * 4 * EPSILON
    # A difference of sums that cancels must not make a share larger than it can be.
    others = (highs - high).clamp(min=0) + error * highs
    # Where even the largest value is tiny, nothing is known: the others may be smaller still.
    share = torch.where(high < FAINT, 1.0, high / (high + (lows - low).clamp(min=0)))
    # Faint shares are less precise, but no share is off by more than a few roundings of 1.
    return (low / (low + others) - error).clamp(min=0), share + error


def _log_sum(scores: Tensor) -> Tensor:
    """Returns an upper bound of log Σ exp over the last axis."""
    size = scores.abs().amax(-1)
    return torch.logsumexp(scores, -1) + (scores.shape[-1] + 16) * EPSILON * (1 + size)


def _count(part: Tensor) -> int:
    """Returns how many numbers of a cell are summed."""
    return int(part[0].numel())


def _sizes(*parts: Tensor) -> Tensor:
    """Returns (cell,) the sum of all absolute values."""
    return torch.stack([part.abs().flatten(1).sum(1) for part in parts]).sum(0)


def _summed(part: Tensor) -> Tensor:
    """Returns (cell,) the sum."""
    return part.flatten(1).sum(1)
