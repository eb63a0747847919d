"""Keys of training: the optimizers, the training block, and the ends that are trained by it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from engine.part import Fraction, Names, Part

BatchSize = Literal["full"] | PositiveInt
Momentum = Annotated[float, Field(ge=0, lt=1)]


class Sgd(Part):
    """The optimizer of stochastic gradient descent, with or without momentum (torch.optim.SGD)."""

    kind: Literal["sgd"]
    """The optimizer's name."""
    lr: PositiveFloat = 1e-2
    """The learning rate."""
    momentum: Momentum = 0.0
    """The share of the previous step that is added to a step."""


class RmsProp(Part):
    """The optimizer that divides by a running root mean square (torch.optim.RMSprop)."""

    kind: Literal["rmsprop"]
    """The optimizer's name."""
    lr: PositiveFloat = 1e-3
    """The learning rate."""
    smoothing: Fraction = 0.99
    """The share of its previous value that the running mean of squared gradients keeps."""
    eps: PositiveFloat = 1e-8
    """A small number that is added to the root, so that nothing is divided by zero."""
    momentum: Momentum = 0.0
    """The share of the previous step that is added to a step."""


class Adam(Part):
    """The optimizer by running means of the gradient and of its square (torch.optim.Adam)."""

    kind: Literal["adam"]
    """The optimizer's name."""
    lr: PositiveFloat = 1e-3
    """The learning rate."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """The shares of their previous values that the two running means keep."""
    eps: PositiveFloat = 1e-8
    """A small number that is added to the root, so that nothing is divided by zero."""


Optimizer = Annotated[Sgd | RmsProp | Adam, Field(discriminator="kind")]


class Training(Part):
    """The training of one weight vector until its objective is at or below a target.

    This training block is the same for the ends and for every method.
    """

    optimizer: Optimizer = RmsProp(kind="rmsprop")
    """The optimizer with its learning rate."""
    batch_size: BatchSize = "full"
    """The number of training samples of a step; full takes all of them."""
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
    batch_size: BatchSize | None = None
    """The number of training samples of a step; full takes all of them."""
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
    """The file of the first model's weights by parameter name, .pt or .safetensors, for kind
    files."""
    b: Annotated[str | None, Names.PATH] = None
    """The file of the second model's weights, for kind files."""
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
