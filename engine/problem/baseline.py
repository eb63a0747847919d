"""What a model has that looks at no x: by how often each class occurs in the training data.

For words or characters of a text it is the unigram model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.problem.losses import LOSSES
from engine.problem.problem import Problem
from engine.spec.level import LevelOn


def by_frequencies(problem: Problem, measure: LevelOn) -> float | None:
    """None where there are no classes or the loss is not their cross-entropy.

    Infinite where a class is judged that the training data do not have.
    """
    if problem.classes is None or problem.sample_loss is not LOSSES["cross_entropy"]:
        return None
    counts = torch.bincount(_labels(problem.train.y), minlength=problem.classes).double()
    shares = counts / counts.sum()
    judged = _labels(problem.samples(measure.split).y)
    if measure.metric == "error_rate":
        return float((judged != shares.argmax()).double().mean())
    loss = float(-shares.log()[judged].mean())
    return math.exp(loss) if measure.metric == "perplexity" else loss


def _labels(y: Tensor) -> Tensor:
    return y.flatten().cpu().long()
