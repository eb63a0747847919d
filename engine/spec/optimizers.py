"""Keys of the optimizers. Each follows the rule of torch's optimizer of the same name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, model_validator

from engine.errors import nearest
from engine.part import Fraction, Part

Momentum = Annotated[float, Field(ge=0, lt=1)]

#: The kinds of parameters that weight decay may leave alone.
EXEMPT_KINDS = ("bias", "norm", "vectors")


def is_pattern(exempt: str) -> bool:
    """Tells whether an entry of decay_exempt is a pattern of names rather than a kind."""
    return any(sign in exempt for sign in ".*?[")


def _exempt(text: str) -> str:
    """Returns an entry of decay_exempt. Raises ValueError where it is no kind and no pattern."""
    if text in EXEMPT_KINDS or is_pattern(text):
        return text
    hint = nearest(text, EXEMPT_KINDS)
    raise ValueError(f'is "{text}"; {hint} (a pattern of names has a dot or a star: {text}.*)')


Exempt = Annotated[str, AfterValidator(_exempt)]


class Decaying(Part):
    """The keys of weight decay, which every optimizer has."""

    weight_decay: NonNegativeFloat = 0.0
    """The weight decay: this times the weights is added to the gradient, and with adamw this times
    the learning rate times the weights is taken from the weights."""
    decay_exempt: tuple[Exempt, ...] = ()
    """The parameters without weight decay: bias for those called bias, norm for those of batch,
    layer, group, instance and RMS normalization, vectors for all that have one axis or none, and
    patterns such as embedding.* for those whose names they fit."""


class Sgd(Decaying):
    """The optimizer of stochastic gradient descent, with or without momentum (torch.optim.SGD)."""

    kind: Literal["sgd"]
    """The optimizer's name."""
    lr: PositiveFloat = 1e-2
    """The learning rate."""
    momentum: Momentum = 0.0
    """The share of the previous step that is added to a step."""
    nesterov: bool = False
    """Whether the momentum is Nesterov's, which looks ahead by one step."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Sgd:
        """Raises ValueError where Nesterov's momentum is asked for without momentum."""
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: true needs a momentum above 0")
        return self


class RmsProp(Decaying):
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


class Moments(Decaying):
    """The keys of the optimizers by running means of the gradient and of its square."""

    lr: PositiveFloat = 1e-3
    """The learning rate."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """The shares of their previous values that the two running means keep."""
    eps: PositiveFloat = 1e-8
    """A small number that is added to the root, so that nothing is divided by zero."""


class Adam(Moments):
    """The optimizer by two running means, with weight decay in the gradient (torch.optim.Adam)."""

    kind: Literal["adam"]
    """The optimizer's name."""


class AdamW(Moments):
    """The optimizer by two running means, with weight decay apart from them (torch.optim.AdamW)."""

    kind: Literal["adamw"]
    """The optimizer's name."""
    weight_decay: NonNegativeFloat = 1e-2
    """The weight decay: this times the learning rate times the weights is taken from the weights
    at each step."""


Optimizer = Annotated[Sgd | RmsProp | Adam | AdamW, Field(discriminator="kind")]
