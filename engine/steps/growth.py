"""Mini-batches that grow: the samples of a step double while the loss on all samples does not fall.

Far from its target a weight vector needs no more than a rough gradient, and near it the noise of a
small mini-batch keeps the loss from falling. What is judged is the loss on all samples in any case.
"""

from __future__ import annotations

from dataclasses import replace

from engine.spec.training import BatchSize, Training
from engine.steps.rows import Group

#: A mini-batch doubles each time that its weight vector has waited this part of its patience.
PARTS = 8
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


def grown(before: Group, after: Group) -> Group:
    """Returns a group after a round with the mini-batch of its next one.

    It has doubled where a row that goes on has come to a further eighth of its patience without a
    lower loss in this round. That follows from the rows alone, so that a resumed search does alike.
    """
    was, now = before.rows.told, after.rows.told
    for row in now.going:
        step = max(1, now.patience[row] // PARTS)
        if now.waited(row) // step > was.waited(row) // step:
            return replace(after, doublings=after.doublings + 1)
    return after
