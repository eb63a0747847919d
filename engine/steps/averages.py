"""Averages of a weight vector over its own steps, which are judged in its place.

They follow torch.optim.swa_utils.AveragedModel. What an average has seen is a function of the row's
own steps, so a checkpoint holds nothing of it but the average itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.shapes import Beads, Steps
from engine.spec.training import Endpoints
from engine.steps.epochs import Epochs


@dataclass(frozen=True)
class Ema:
    """A running average, taken after every step (get_ema_multi_avg_fn)."""

    decay: float
    """The share of its previous value that the average keeps."""

    def after(self, average: Beads, theta: Beads, steps: Steps, epochs: Epochs) -> Tensor:
        """Returns averages (row, param) after a step that led to `theta`.

        `steps` (row,) counts the steps that each row took before it.
        """
        return torch.where((steps == 0)[:, None], theta, average.lerp(theta, 1 - self.decay))


@dataclass(frozen=True)
class Swa:
    """The mean over the ends of epochs (get_swa_multi_avg_fn); before them, the weights."""

    start: int
    """The number of epochs that are not part of the mean."""

    def after(self, average: Beads, theta: Beads, steps: Steps, epochs: Epochs) -> Tensor:
        """Returns averages (row, param) after a step that led to `theta`; see `Ema.after`."""
        before, now = epochs.after(steps), epochs.after(steps + 1)
        taken = (before - self.start).clamp(min=0)  # into the mean so far
        mean = average + (theta - average) / (taken + 1).to(theta.dtype)[:, None]
        begun, ends = now > self.start, now > before
        return torch.where(begun[:, None], torch.where(ends[:, None], mean, average), theta)


Average = Ema | Swa


def average_of(endpoints: Endpoints) -> Average | None:
    """Returns the average that is judged in place of an end's weights, or None."""
    if endpoints.ema is not None:
        return Ema(endpoints.ema)
    return None if endpoints.swa is None else Swa(endpoints.swa)
