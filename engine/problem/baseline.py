"""The baseline of a model that ignores x and knows only how often each class occurs.

The frequencies are those of the training data. For words or characters of a text this is the
unigram model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.problem.losses import LOSSES
from engine.problem.problem import Problem
from engine.spec.level import LevelOn


def by_frequencies(problem: Problem, measure: LevelOn) -> float | None:
    """Returns the baseline's value of a metric on a split.

    Returns None where there are no classes or the loss is not their cross-entropy. The value is
    infinite where the split has a class that the training data do not have.
    """
    if problem.classes is None or problem.sample_loss is not LOSSES["cross_entropy"]:
        return None
    counts = torch.bincount(_labels(problem.train.y), minlength=problem.classes).double()
    shares = counts / counts.sum()
    labels = _labels(problem.samples(measure.split).y)
    if measure.metric == "error_rate":
        return float((labels != shares.argmax()).double().mean())
    loss = float(-shares.log()[labels].mean())
    return math.exp(loss) if measure.metric == "perplexity" else loss


def _labels(y: Tensor) -> Tensor:
    """Returns the class of each sample, or of each token, in one axis on the CPU."""
    return y.flatten().cpu().long()
