"""Mini-batches that grow: the samples of a step double while the loss on all samples does not fall.

Far from its target a weight vector needs no more than a rough gradient, and near it the noise of a
small mini-batch keeps the loss from falling. What is judged is the loss on all samples in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.spec.training import GROWTH_PARTS, BatchSize, Training
from engine.steps.groups import Group

#: A mini-batch of one sample that has doubled so often holds more samples than any data.
MOST_DOUBLINGS = 62


def batch_size(training: Training, doublings: int, data: int) -> BatchSize:
    """Returns the size of a mini-batch that has doubled so often, of `data` training samples.

    It is full from where it would hold all of them.
    """
    if training.batch_size == "full":
        return "full"
    size = training.batch_size << doublings
    return size if size < data else "full"


def grown(group: Group, judged: Sequence[int], check_every: int) -> Group:
    """Returns a group after a round, with the mini-batch of its next one.

    `judged` are the steps (row,) that its rows had taken when they were judged last, as they are
    every `check_every` steps. The mini-batch doubles where a row that goes on had then come to a
    further sixteenth of its patience without a lower loss. That follows from the round alone, so
    that a resumed search does alike.
    """
    told = group.rows.told
    for row in told.going:
        if is_due(judged[row] - told.best_step[row], told.patience[row], check_every):
            return replace(group, doublings=group.doublings + 1)
    return group


def is_due(waited: int, patience: int, check_every: int) -> bool:
    """Returns whether a mini-batch doubles when its row has waited so many steps for a lower loss.

    `fused.kernels.judging.grows` is the same in compiled code.
    """
    part = max(1, patience // GROWTH_PARTS)
    return waited // part > max(0, waited - check_every) // part
