"""What the steps of a training block compute otherwise than the loss that is judged.

All draws of a step belong to keys: a row's seed and the number of its step make the row's key, and
a sample's number makes the sample's. So they are the same in any batch, after a resume, in pieces
of any size, and on any device, and nothing about them is saved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from engine.draws import mixed
from engine.shapes import Batches, Steps
from engine.spec.augment import Augment
from engine.spec.keys import Precision
from engine.spec.training import Training


@dataclass(frozen=True)
class Practice:
    """The ways in which a step differs from the training loss as it is measured."""

    label_smoothing: float = 0.0
    """The share of a label that is spread evenly over all classes."""
    augment: Augment | None = None
    """The random changes of images; None: none."""
    dropout: bool = False
    """Whether values are dropped at random."""
    micro_batch: int | None = None
    """The number of samples that are computed with at a time; None: as many as fit into memory."""
    precision: Precision = "float32"
    """The precision of the network's products."""

    @property
    def as_judged(self) -> bool:
        """Whether steps see the very loss that is measured, on the samples that they take."""
        as_precise = self.precision == "float32"
        return as_precise and not (self.label_smoothing or self.augment or self.dropout)

    @property
    def on_all(self) -> bool:
        """Whether a step on all the data is the sum over them, apart from its precision."""
        return replace(self, precision="float32") == PLAIN

    @property
    def draws(self) -> bool:
        """Whether steps draw anything at random besides their samples."""
        return self.augment is not None or self.dropout

    @property
    def words(self) -> str:
        """The keys by which steps differ, such as "augment and dropout"."""
        keys = [key for key in ("micro_batch", "label_smoothing", "augment") if getattr(self, key)]
        keys += ["dropout"] if self.dropout else []
        keys += [] if self.precision == "float32" else [f"precision {self.precision}"]
        return " and ".join(filter(None, (", ".join(keys[:-1]), *keys[-1:])))


PLAIN = Practice()
"""The practice of steps that compute what is measured."""


def practice_of(training: Training, drops: bool, precision: Precision = "float32") -> Practice:
    """Returns what the steps of a training block compute in a precision.

    `drops` says whether they drop values where the block leaves that open.
    """
    augment = training.augment
    return Practice(
        label_smoothing=training.label_smoothing,
        augment=None if augment == Augment() else augment,
        dropout=drops if training.dropout is None else training.dropout,
        micro_batch=training.micro_batch,
        precision=precision,
    )


def row_keys(seeds: Tensor, steps: Steps) -> Tensor:
    """Returns the key of each row's next step, (row,) int64.

    `seeds` (row,) int64 are the seeds of the rows, and `steps` (row,) the steps they have taken.
    """
    return mixed(seeds, steps)


def sample_keys(rows: Tensor, numbers: Batches) -> Tensor:
    """Returns the key of each sample, (row, sample) int64, from the rows' keys and its number."""
    return mixed(rows[:, None], numbers)
