"""The logistic function σ, and tanh as a multiple of it.

σ along a chord with a bow, p(s), lies within ½s(1−s)·max|(σ∘p)″| of the chord of its ends, and
(σ∘p)″ = σ″(p)·p′² − 2·bow·σ′(p) is enclosed over the cell. Its middle becomes the new bow.
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor

from engine.path.certificate.chord import EPSILON, Chord

#: Where |σ″| is largest, ±ln(2 + √3), and how large it is there, 1/(6√3).
BEND, MOST_BENT = log(2 + sqrt(3)), 1 / (6 * sqrt(3))


def sigmoid(x: Chord) -> Chord:
    """Returns the model of σ(x)."""
    start, end, bow, low, high = x.parts
    least = torch.minimum(start, end) + bow.clamp(max=0) / 4
    most = torch.maximum(start, end) + bow.clamp(min=0) / 4
    slope_low, slope_high = _first(least, most)
    bend_low, bend_high = _second(least, most)
    steepest = _first(least + low, most + high)[1]
    along, size = (end - start).abs(), bow.abs()
    slow, fast = (along - size).clamp(min=0).square(), (along + size).square()
    down = torch.minimum(bend_low * slow, bend_low * fast)
    up = torch.maximum(bend_high * slow, bend_high * fast)
    down = down - 2 * torch.maximum(bow * slope_low, bow * slope_high)
    up = up - 2 * torch.minimum(bow * slope_low, bow * slope_high)
    slack = 64 * EPSILON * (1 + fast + size + high - low)
    spread = (up - down) / 16
    return Chord(
        torch.sigmoid(start),
        torch.sigmoid(end),
        -(down + up) / 4,
        steepest * low - spread - slack,
        steepest * high + spread + slack,
    )


def tanh(x: Chord) -> Chord:
    """Returns the model of the hyperbolic tangent, which is 2σ(2x) − 1."""
    start, end, *rest = sigmoid(x.map(lambda part: 2 * part)).map(lambda part: 2 * part).parts
    return Chord(start - 1, end - 1, *rest)


def _first(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the range of σ′ on [low, high]: it rises up to 0 and falls beyond."""
    at_low, at_high = _slope(low), _slope(high)
    most = torch.where((low <= 0) & (high >= 0), 0.25, torch.maximum(at_low, at_high))
    return torch.minimum(at_low, at_high), most


def _second(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the range of σ″ on [low, high]: it has its maximum at −BEND, its minimum at BEND."""
    at_low, at_high = _bend(low), _bend(high)
    least = torch.where((low <= BEND) & (high >= BEND), -MOST_BENT, torch.minimum(at_low, at_high))
    most = torch.where((low <= -BEND) & (high >= -BEND), MOST_BENT, torch.maximum(at_low, at_high))
    return least, most


def _slope(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


def _bend(x: Tensor) -> Tensor:
    return _slope(x) * (1 - 2 * torch.sigmoid(x))
