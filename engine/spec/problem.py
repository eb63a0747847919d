"""Keys of `problem`: the data, the network, the loss, and how batch norm is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveFloat, Tag

import engine.data
import engine.networks
from engine.data import DataKeys
from engine.networks import NetworkKeys
from engine.part import FunctionName, Part, SeedInt, functions_in

# A key that holds one of the kinds is validated as whichever of the registered kinds it names.
if TYPE_CHECKING:
    Data = DataKeys
    Network = NetworkKeys
else:
    Data = engine.data.KINDS.union()
    Network = engine.networks.KINDS.union()

LossName = Literal["mse", "l1", "cross_entropy"]


class CustomLoss(Part):
    """The loss that a function of the user's own returns.

    That loss is itself a function of (output, target) and gives the loss of each sample, (sample,).
    The training loss F_e is the mean over the samples.
    """

    factory: FunctionName
    """The function, as package.module:function or file.py:function."""
    args: dict[str, Any] = Field(default={})
    """The function's keyword arguments."""


class WeightedCrossEntropy(Part):
    """The cross-entropy in which the samples of some classes count for more than others.

    The training loss is the weighted mean over the samples: the sum of each loss times the weight
    of its class, divided by the sum of these weights, as torch's CrossEntropyLoss(weight=…) has it.
    """

    kind: Literal["cross_entropy"]
    """The loss's name."""
    class_weights: Annotated[tuple[PositiveFloat, ...], Field(min_length=2)]
    """The weight of each class, in the order of the classes."""


class BatchNorm(Part):
    """The statistics by which models with batch normalization are measured, each by its own."""

    statistics: Literal["reestimated", "batch"] = "reestimated"
    """The kind of statistics. With reestimated, they are taken from some training samples and then
    held fixed; with batch, every batch is normalized by its own."""
    samples: Annotated[int, Field(ge=2)] = 1024
    """The number of training samples that the statistics are taken from, or of a batch."""
    seed: SeedInt | None = None
    """The seed by which these samples are drawn from all training samples; null takes the first
    ones. A new run of a preset that leaves it out gets 0 (`Spec.of_a_new_run`)."""

    def words(self, samples: int) -> str:
        """Returns what models are normalized by, where there are `samples` training samples.

        The text is such as "statistics of 1024 of 60000 training samples, drawn by seed 0".
        """
        if self.statistics == "batch":
            return f"statistics of each batch of {min(self.samples, samples)} samples"
        if self.samples >= samples:
            return f"statistics of all {samples} training samples"
        if self.seed is None:
            return f"statistics of the first {self.samples} of {samples} training samples"
        return (
            f"statistics of {self.samples} of {samples} training samples, drawn by seed {self.seed}"
        )


def _branch_of_loss(value: object) -> str:
    """Returns the name of the branch of `Loss` that a value is meant for."""
    if isinstance(value, str):
        return "a word"
    kind = isinstance(value, WeightedCrossEntropy) or (isinstance(value, dict) and "kind" in value)
    return WeightedCrossEntropy.__name__ if kind else CustomLoss.__name__


Loss = Annotated[
    Annotated[LossName, Tag("a word")]
    | Annotated[WeightedCrossEntropy, Tag("WeightedCrossEntropy")]
    | Annotated[CustomLoss, Tag("CustomLoss")],
    Discriminator(_branch_of_loss),
]
"""The keys of a loss."""


class ProblemSpec(Part):
    """The data, the network and the loss."""

    data: Data
    """The training data and those held out, by their `kind`."""
    network: Network
    """The network, by its `kind`."""
    loss: Loss
    """The loss of a sample. mse is the sum of squared errors over the outputs, l1 the sum of
    absolute errors, and cross_entropy, in nats, takes the outputs as logits of classes. The
    training loss is the mean over the samples; {kind: cross_entropy, class_weights: […]} makes it
    a weighted mean."""
    batch_norm: BatchNorm = BatchNorm()
    """The statistics by which models with batch normalization are measured. Others ignore it."""

    @property
    def scores_classes(self) -> bool:
        """Whether the loss is the cross-entropy of classes, weighted or not."""
        return self.loss == "cross_entropy" or isinstance(self.loss, WeightedCrossEntropy)

    @property
    def own_model(self) -> bool:
        """Whether a function of the user's own makes the network or the loss."""
        return any(functions_in(self.network)) or isinstance(self.loss, CustomLoss)
