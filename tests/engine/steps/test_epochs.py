"""Passes over the data are counted whole, by the samples that a pass shows."""

from __future__ import annotations

import pytest
import torch

from engine.spec.training import Training
from engine.steps.epochs import epochs_after, epochs_of, steps_of_epochs


def test_passes_are_counted_with_and_without_their_last_samples() -> None:
    steps = torch.tensor([0, 1, 2, 3, 4, 6, 7])
    kept = epochs_of(Training(batch_size=4), batch=4, samples=10)
    assert kept.after(steps).tolist() == [0, 0, 0, 1, 1, 2, 2]
    dropped = epochs_of(Training(batch_size=4, drop_last=True), batch=4, samples=10)
    assert dropped.after(steps).tolist() == [0, 0, 1, 1, 2, 3, 3]
    whole = epochs_of(Training(), batch=10, samples=10)
    assert torch.equal(whole.after(steps), steps)


@pytest.mark.parametrize(
    ("size", "drop"), [("full", False), (128, False), (128, True), (900, False)]
)
def test_epochs_and_steps_lead_to_each_other(size: object, drop: bool) -> None:
    training = Training.model_validate({"batch_size": size, "drop_last": drop})
    for epochs in (1, 7, 164):
        steps = steps_of_epochs(training, epochs, 500)
        assert epochs_after(training, steps, 500) == epochs
        assert epochs_after(training, steps - 1, 500) == epochs - 1
