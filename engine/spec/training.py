"""Keys of training: the training block, and the ends that are trained by it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from engine.part import Names, Part
from engine.spec.optimizers import Optimizer, RmsProp
from engine.spec.schedules import Constant, Schedule

BatchSize = Literal["full"] | PositiveInt


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
    drop_last: bool = False
    """Whether each pass over the samples leaves out those that make no whole mini-batch. If not, a
    mini-batch may hold the last samples of one pass and the first ones of the next."""
    max_steps: PositiveInt = 20000
    """The number of steps after which a weight vector is given up from one start."""
    patience: PositiveInt = 2000
    """The number of steps without a loss at least 0.1 % lower after which a weight vector counts as
    stuck."""
    check_every: PositiveInt = 20
    """The number of steps in a round. The objective is evaluated once a round, or at every step
    where each step sees it: with batch_size full, the training loss as objective, and no batch
    normalization."""


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
    drop_last: bool | None = None
    """Whether each pass over the samples leaves out those that make no whole mini-batch."""
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

    @model_validator(mode="after")
    def _files_are_named(self) -> Endpoints:
        """Raises ValueError unless both files are named for kind files, and none for the others."""
        if (self.kind == "files") != (self.a is not None and self.b is not None) or (
            self.kind != "files" and (self.a, self.b) != (None, None)
        ):
            raise ValueError("kind: files needs both files, a and b; the other kinds have none")
        return self
