"""Counts the whole passes over the training samples that a weight vector has seen."""

from __future__ import annotations

from dataclasses import dataclass

from engine.shapes import Steps
from engine.spec.training import Training
from engine.steps.mini_batches import samples_of_a_pass


@dataclass(frozen=True)
class Epochs:
    """The lengths by which epochs are counted."""

    batch: int
    """The number of samples of a step."""
    samples: int
    """The number of samples of a pass."""

    def after(self, steps: Steps) -> Steps:
        """Returns the number of whole passes after so many steps (row,)."""
        return steps * self.batch // self.samples

    def steps(self, epochs: int) -> int:
        """Returns the least number of steps that see so many whole passes."""
        return -(-epochs * self.samples // self.batch)


def epochs_of(training: Training, batch: int, samples: int) -> Epochs:
    """Returns how the epochs of a training block are counted.

    A step sees `batch` of the `samples` training samples.
    """
    return Epochs(batch, samples_of_a_pass(batch, samples, training.drop_last))


def steps_of_epochs(training: Training, epochs: int, samples: int) -> int:
    """Returns the least number of steps that see so many passes over `samples` training samples."""
    return _of_all(training, samples).steps(epochs)


def epochs_after(training: Training, steps: int, samples: int) -> int:
    """Returns the number of whole passes over `samples` training samples in so many steps."""
    lengths = _of_all(training, samples)
    return steps * lengths.batch // lengths.samples


def _of_all(training: Training, samples: int) -> Epochs:
    """Returns how the epochs of a training block are counted with so many training samples."""
    size = training.batch_size
    return epochs_of(training, samples if size == "full" else min(size, samples), samples)
