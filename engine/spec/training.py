"""Keys of training: the training block, and the ends that are trained by it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from engine.part import Fraction, Names, NonNegativeInt, Part, PositiveInt
from engine.spec.augment import Augment
from engine.spec.optimizers import Optimizer, RmsProp
from engine.spec.schedules import Constant, Falling, Piecewise, Schedule

AlignedBy = Literal["weights", "activations"]
"""What of two models is compared where the second one's hidden units are brought into the order of
the first one's."""

BatchSize = Literal["full"] | PositiveInt
Smoothing = Annotated[float, Field(ge=0, lt=1)]


#: A mini-batch that grows doubles each time that its row has waited this part of its patience.
GROWTH_PARTS = 16
#: What torch adds to a gradient's norm before it divides the bound by it.
NORM_EPS = 1e-6


class Clip(Part):
    """The bounds of a step's gradient, which is taken before weight decay and the optimizer."""

    norm: PositiveFloat | None = None
    """The greatest Euclidean norm of the whole gradient; a longer one is shortened to it
    (clip_grad_norm_). Null: no bound."""
    value: PositiveFloat | None = None
    """The greatest absolute value of an entry of the gradient; others are set to it
    (clip_grad_value_), before the norm is taken. Null: no bound."""


class Training(Part):
    """The training of one weight vector until its objective is at or below a target.

    This training block is the same for the ends and for every method.
    """

    optimizer: Optimizer = RmsProp(kind="rmsprop")
    """The optimizer with its learning rate."""
    schedule: Schedule = Constant(kind="constant")
    """The schedule of the learning rate."""
    clip: Clip = Clip()
    """The bounds of a step's gradient."""
    batch_size: BatchSize = "full"
    """The number of training samples of a step; full takes all of them."""
    grow_batch: bool = False
    """Whether the mini-batch of a weight vector doubles, up to all samples, each time that it has
    waited a sixteenth of its patience without a lower loss. So steps cost little far from the
    target, and near it no noise of a small mini-batch keeps the loss from falling. Where
    mini-batches are shuffled and not hashed, steps walk round one random order of the samples, each
    weight vector's from a place of its own."""
    drop_last: bool = False
    """Whether each pass over the samples leaves out those that make no whole mini-batch. If not, a
    mini-batch may hold the last samples of one pass and the first ones of the next."""
    micro_batch: PositiveInt | None = None
    """The number of samples that a step computes with at a time, to save memory. The gradient is
    that of the whole batch, except that batch normalization sees only so many samples at once.
    Null: as many as limits.memory allows."""
    label_smoothing: Smoothing = 0.0
    """The share of a label that steps spread evenly over all classes, for cross_entropy. The loss
    that is judged has none of it."""
    augment: Augment | None = None
    """The random changes of images in steps; null: none. A loss that is judged never sees them."""
    dropout: bool | None = None
    """Whether steps drop values at random. A loss that is judged never does. Null: where
    problem.network.dropout asks for it, and never within a network of kind custom."""
    max_steps: PositiveInt = 20000
    """The number of steps after which a weight vector is given up from one start."""
    patience: PositiveInt = 2000
    """The number of steps without a loss at least 0.1 % lower after which a weight vector counts as
    stuck."""
    check_every: PositiveInt = 20
    """The number of steps in a round. The objective is evaluated once a round, or at every step
    where each step sees it: with batch_size full, the training loss as objective, no batch
    normalization, and nothing in steps that the objective does not have."""


class PartialTraining(Part):
    """A training block of which any key may be left out, or be null.

    A key that is left out is taken from another block, which the description of this one names.
    """

    optimizer: Optimizer | None = None
    """The optimizer with its learning rate."""
    schedule: Schedule | None = None
    """The schedule of the learning rate."""
    clip: Clip | None = None
    """The bounds of a step's gradient."""
    batch_size: BatchSize | None = None
    """The number of training samples of a step; full takes all of them."""
    grow_batch: bool | None = None
    """Whether the mini-batch of a weight vector doubles each time that it has waited a sixteenth of
    its patience without a lower loss."""
    drop_last: bool | None = None
    """Whether each pass over the samples leaves out those that make no whole mini-batch."""
    micro_batch: PositiveInt | None = None
    """The number of samples that a step computes with at a time, to save memory."""
    label_smoothing: Smoothing | None = None
    """The share of a label that steps spread evenly over all classes, for cross_entropy."""
    augment: Augment | None = None
    """The random changes of images in steps; with all of its keys at 0 or null, there are none."""
    dropout: bool | None = None
    """Whether steps drop values at random."""
    max_steps: PositiveInt | None = None
    """The number of steps after which a weight vector is given up from one start."""
    patience: PositiveInt | None = None
    """The number of steps without a loss at least 0.1 % lower after which a weight vector counts as
    stuck."""
    check_every: PositiveInt | None = None
    """The number of steps in a round."""

    def over(self, base: Training) -> Training:
        """Returns a whole training block, with each key that is left out taken from `base`."""
        own = {name: getattr(self, name) for name in Training.model_fields}
        return Training(
            **{name: getattr(base, name) if own[name] is None else own[name] for name in own}
        )


class Endpoints(Training):
    """The two models that are to be connected, and how they are trained."""

    kind: Literal["random", "permuted", "files"] = "random"
    """The origin of the ends. With random, two models are trained from random weights; with
    permuted, one, and its copy with two hidden units swapped is the other; with files, two models
    that were trained elsewhere are taken as they are."""
    a: Annotated[str | None, Names.PATH] = None
    """The checkpoint of the first model, for kind files: a file of torch.save, Lightning or
    safetensors with its weights by parameter name, or a folder from the Hub."""
    b: Annotated[str | None, Names.PATH] = None
    """The checkpoint of the second model, for kind files."""
    key: str | None = None
    """The key under which both checkpoints hold the tensors, with dots between nested keys, such as
    ema_state_dict; null: the usual ones, and plain weights before their running averages."""
    prefix: str | None = None
    """The text before the names of the model's tensors in both checkpoints, such as model. or
    module.; null: the one with which they are the network's."""
    swap: tuple[NonNegativeInt, NonNegativeInt] = (0, 1)
    """The two units of the first hidden layer that are swapped for kind permuted, from 0."""
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    """The share of the level that the ends are trained to; null takes search.alpha. With 1.0 they
    stop at the level itself, less a millionth of it that is left to rounding."""
    restarts: NonNegativeInt = 5
    """The number of times that an end which misses its target begins anew from random weights."""
    ema: Fraction | None = None
    """The decay of a running average of each end's weights, such as 0.999, which is taken after
    every step. The average is judged and becomes the end. Null: none."""
    swa: NonNegativeInt | None = None
    """The number of epochs after which the mean of each end's weights is taken, over the ends of
    all later epochs. From the first of them on, the mean is judged and becomes the end. Null:
    none."""

    align: AlignedBy | None = None
    """What the hidden units of the second end are relabelled by, into the order of the first one's,
    before anything else: weights, or activations on training samples. Its function stays the same,
    but not the place of its weights: another pair of models is connected, and the run says so. Both
    ends then stay as they are. Null: not at all."""

    until: Literal["level", "epochs"] = "level"
    """How long the ends are trained. With level, until they reach their share of the level; with
    epochs, by their recipe for a number of epochs, whatever their loss. They are then judged, and
    are left as they are."""
    epochs: PositiveInt | None = None
    """The number of passes over the training samples for until: epochs; null takes the length of
    the schedule."""

    @model_validator(mode="after")
    def _one_average(self) -> Endpoints:
        """Raises ValueError where both averages are asked for."""
        if self.ema is not None and self.swa is not None:
            raise ValueError("ema and swa are two averages of an end; leave one of them null")
        return self

    @model_validator(mode="after")
    def _files_are_named(self) -> Endpoints:
        """Raises ValueError unless both files are named for kind files, and none for the others."""
        if (self.kind == "files") != (self.a is not None and self.b is not None) or (
            self.kind != "files" and (self.a, self.b) != (None, None)
        ):
            raise ValueError("kind: files needs both files, a and b; the other kinds have none")
        return self

    @model_validator(mode="after")
    def _copies_keep_their_order(self) -> Endpoints:
        """Raises ValueError where a copy with two units swapped is to be swapped back."""
        if self.align is not None and self.kind == "permuted":
            raise ValueError(
                "align would undo the swap of kind: permuted; leave align null, or choose another "
                "kind"
            )
        return self

    @model_validator(mode="after")
    def _epochs_are_known(self) -> Endpoints:
        """Raises ValueError where a number of epochs is missing, or has nothing to count."""
        if self.until == "level":
            if self.epochs is not None:
                raise ValueError("epochs are counted with until: epochs only; add it, or leave out")
        elif self.kind == "files":
            raise ValueError("kind: files takes its ends as they are; leave until and epochs out")
        elif self.epochs is None and self.schedule_length is None:
            raise ValueError("until: epochs needs their number; give epochs, or schedule.length")
        return self

    @property
    def schedule_length(self) -> int | None:
        """The number of units that the schedule lasts; None for one that goes on for ever."""
        return self.schedule.length if isinstance(self.schedule, Falling | Piecewise) else None

    @property
    def held(self) -> bool:
        """Whether the search leaves the ends as they are, once they are there."""
        return self.kind == "files" or self.until == "epochs"
