"""What a run is asked to do: the preset's keys, validated once and frozen. No torch here.

`preset_file` reads them from YAML. Everything inside the engine trusts a `Spec`.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

Model = TypeVar("Model", bound=BaseModel)
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# ---------------------------------------------------------------- problem: data, network, loss


class PolynomialData(Part):
    """y = Σ c_k x^k on [0, 1]; held-out points lie between (grid) or are drawn anew (random)."""

    kind: Literal["polynomial"]
    coefficients: Annotated[tuple[float, ...], Field(min_length=1)]
    """Lowest degree first."""
    points: Annotated[int, Field(ge=2)] = 1000
    sampling: Literal["grid", "random"] = "grid"
    seed: NonNegativeInt = 0
    """Of the random sampling. The run's own seed does not change the data."""


class DigitsData(Part):
    """The 1 797 handwritten 8×8 digits that ship with the package: 1 437 to train, 360 held out."""

    kind: Literal["digits"]


class ArraysData(Part):
    """A user's .npz with x and y, and optionally x_test and y_test."""

    kind: Literal["arrays"]
    path: str
    held_out: Fraction = 0.2
    """Share of samples held out where the file has no x_test."""
    seed: NonNegativeInt = 0
    """Of that split."""


class LinearNetwork(Part):
    """Deep linear network W_K … W_1 x (Eq. 4)."""

    kind: Literal["linear"]
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]


class MlpNetwork(Part):
    """Fully connected network (Eq. 5)."""

    kind: Literal["mlp"]
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]
    activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    bias: bool = True
    output_activation: Literal["identity", "relu", "sigmoid", "tanh"] = "identity"
    init: Literal["default", "paper"] = "default"
    """default: torch's; paper: weights uniform in [-1, 1], biases standard normal."""


Data = Annotated[PolynomialData | DigitsData | ArraysData, Field(discriminator="kind")]
Network = Annotated[LinearNetwork | MlpNetwork, Field(discriminator="kind")]


class ProblemSpec(Part):
    data: Data
    network: Network
    loss: Literal["mse", "l1", "cross_entropy"]


# ---------------------------------------------------------------- how weights are trained


class Sgd(Part):
    kind: Literal["sgd"]
    lr: PositiveFloat = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0


class RmsProp(Part):
    kind: Literal["rmsprop"]
    lr: PositiveFloat = 1e-3
    smoothing: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Adam(Part):
    kind: Literal["adam"]
    lr: PositiveFloat = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


Optimizer = Annotated[Sgd | RmsProp | Adam, Field(discriminator="kind")]


class Training(Part):
    """How one weight vector is trained until its loss is at or below a target."""

    optimizer: Optimizer = RmsProp(kind="rmsprop")
    batch_size: Literal["full"] | PositiveInt = "full"
    max_steps: PositiveInt = 20000
    patience: PositiveInt = 2000
    """Steps without a loss at least 0.1 % lower after which training is given up as stuck."""
    check_every: PositiveInt = 20
    """Steps between looks at the loss on all the data (with batch_size full every step looks)."""


class Endpoints(Training):
    restarts: NonNegativeInt = 5
    """New random initialisations of an endpoint that misses its target."""


# ---------------------------------------------------------------- how a path is searched for


class Greedy(Training):
    """Algorithm 1 of the paper."""

    t_star: Literal["peak", "half"] = "peak"
    grid: Annotated[int, Field(ge=5)] = 33
    """Points t = 0 … 1 on which a segment's interpolated loss is looked at."""
    margin: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """A new bead starts no nearer to either end of its segment, in t."""
    max_depth: PositiveInt = 14
    slots: PositiveInt = 128
    """Beads that train at the same time."""


class Audit(Part):
    """The re-measurement before a run may be called connected."""

    grid: Literal["auto", "fine", "coarse"] = "auto"
    """fine: 10× the search's grid in float64; coarse: 2× in float32; auto: fine where that is
    cheap beside the run. The neighbourhoods of the highest peaks are refined in either."""


class Search(Part):
    method: Literal["greedy"] = "greedy"
    level: PositiveFloat
    """L0: the loss that no point of the path may exceed."""
    alpha: Fraction = 0.8
    """Beads are trained to alpha times the level."""
    greedy: Greedy = Greedy()
    audit: Audit = Audit()


class Limits(Part):
    beads: Annotated[int, Field(ge=2)] | None = 2000
    steps: PositiveInt | None = None
    """Bead-steps of the whole run."""
    seconds: PositiveFloat | None = None
    """Running time of the whole run, resumed parts included."""


class Spec(Part):
    """A preset with every key in place."""

    description: str = ""
    task: str = ""
    """What the menu groups presets by."""
    problem: ProblemSpec
    endpoints: Endpoints = Endpoints()
    search: Search
    limits: Limits = Limits()
    seed: NonNegativeInt = 0
    device: str = "auto"
    """auto, cpu, cuda, or a list such as cuda:0,cuda:1."""
    checkpoint_seconds: PositiveFloat = 5.0
    """Between checkpoints; more where writing one takes over a twentieth of that."""
    workers: PositiveInt | None = None
    """Threads on the CPU; null: one a core. Rounding depends on it, so a run keeps its number."""

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*", device):
            raise ValueError(f"is {device!r}; choose auto, cpu, cuda, or a list: cuda:0,cuda:1")
        return device

    def fingerprint(self) -> str:
        """Equal for two specs whose searches take the same steps: not so limits, words, pace."""
        aside = {"limits", "description", "task", "checkpoint_seconds"}
        same = self.model_dump(mode="json", exclude=aside)
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
