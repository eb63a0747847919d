"""What a run is asked to do: the preset's keys, validated once and frozen. No torch here.

`yaml_file` reads them from YAML. Everything inside the engine trusts a `Spec`.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

import engine.data
import engine.networks
from engine.data import DataKeys
from engine.networks import NetworkKeys
from engine.part import Fraction, FunctionName, Names, Part

Margin = Annotated[float, Field(gt=0, lt=0.5)]

# A key that holds one of the kinds is validated as whichever of the registered kinds it names.
if TYPE_CHECKING:
    Data = DataKeys
    Network = NetworkKeys
else:
    Data = engine.data.KINDS.union()
    Network = engine.networks.KINDS.union()


# ---------------------------------------------------------------- problem: data, network, loss


LossName = Literal["mse", "l1", "cross_entropy"]


class CustomLoss(Part):
    """A function of (output, target) that a function of the user's own returns.

    It gives the loss of each sample, (sample,); F_e is their mean.
    """

    factory: FunctionName
    args: dict[str, Any] = Field(default={})


class BatchNorm(Part):
    """How models with batch normalization are measured: each by statistics of its own."""

    statistics: Literal["reestimated", "batch"] = "reestimated"
    """reestimated: from some training samples, then held fixed; batch: each batch's own."""
    samples: Annotated[int, Field(ge=2)] = 1024
    """Training samples of the estimate, or samples of a batch."""
    seed: NonNegativeInt | None = None
    """Draws the samples of the estimate from all training samples; null: the first ones. A new run
    of a preset that leaves it out gets 0 (`Spec.of_a_new_run`)."""

    def words(self, samples: int) -> str:
        """Says what models are normalized by, where there are so many training samples.

        Such as "statistics of 1024 of 60000 training samples, drawn by seed 0".
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


class ProblemSpec(Part):
    data: Data
    network: Network
    loss: LossName | CustomLoss
    batch_norm: BatchNorm = BatchNorm()


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


class PartialTraining(Part):
    """A training block of which any key may be left out, or be null.

    What is left out is taken from elsewhere; the block's own description says from where.
    """

    optimizer: Optimizer | None = None
    """The optimizer and its learning rate."""
    batch_size: Literal["full"] | PositiveInt | None = None
    """Training samples of a step; full: all of them."""
    max_steps: PositiveInt | None = None
    """Steps of one weight vector from one start, at most."""
    patience: PositiveInt | None = None
    """Steps without a loss at least 0.1 % lower after which training is given up as stuck."""
    check_every: PositiveInt | None = None
    """Steps between looks at the loss on all the data."""

    def over(self, base: Training) -> Training:
        """Returns a whole training block: what is left out here is as it is in `base`."""
        own = {name: getattr(self, name) for name in Training.model_fields}
        return Training(
            **{name: getattr(base, name) if own[name] is None else own[name] for name in own}
        )


class Endpoints(Training):
    kind: Literal["random", "permuted", "files"] = "random"
    """random: two random models; permuted: one, and its copy with two hidden units swapped;
    files: two models trained elsewhere."""
    a: Annotated[str | None, Names.PATH] = None
    """Of kind files: the first model's weights by parameter name, .pt or .safetensors."""
    b: Annotated[str | None, Names.PATH] = None
    """Of kind files: those of the second."""
    swap: tuple[NonNegativeInt, NonNegativeInt] = (0, 1)
    """Of kind permuted: the units of the first hidden layer, counted from 0."""
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    """The ends are trained to this share of the level; null: search.alpha. With 1.0 they stop at
    the level itself, less a millionth of it that is left to rounding."""
    restarts: NonNegativeInt = 5
    """New random initialisations of an endpoint that misses its target."""

    @model_validator(mode="after")
    def _files_are_named(self) -> Endpoints:
        if (self.kind == "files") != (self.a is not None and self.b is not None) or (
            self.kind != "files" and (self.a, self.b) != (None, None)
        ):
            raise ValueError("kind: files needs both files, a and b; the other kinds have none")
        return self


# ---------------------------------------------------------------- how a path is searched for


class Greedy(Training):
    """Algorithm 1 of the paper."""

    t_star: Literal["peak", "half"] = "peak"
    grid: Annotated[int, Field(ge=5)] = 33
    """Points t = 0 … 1 on which a segment's interpolated loss is looked at."""
    margin: Margin = 0.05
    """A new bead starts no nearer to either end of its segment, in t."""
    max_depth: PositiveInt = 14
    slots: PositiveInt = 128
    """Beads that train at the same time."""


class Constrained(Training):
    """Constrained breadth-first DSS (§6): the whole string trains at once, from a high level."""

    check_every: PositiveInt = 10
    patience: PositiveInt = 300
    hyperplane: Literal["hard", "soft", "off"] = "hard"
    """Inner beads keep to the plane equidistant from their neighbours; soft: at a cost."""
    kappa: PositiveFloat = 1e-3
    """Of hyperplane soft: loss per unit of distance from that plane."""
    zeta: NonNegativeFloat = 0.0
    """Of the springs: loss per unit of distance between neighbours."""
    alpha1: PositiveFloat = 0.25
    """A segment gets a bead where its peak exceeds (1 + alpha1) × the level held now."""
    rho: Fraction = 0.7
    """Factor by which the level falls when every bead and peak is below it."""
    margin: Margin | None = None
    """A new bead starts no nearer to either end of its segment, in t; null: as in search.greedy."""
    max_beads: Annotated[int, Field(ge=2)] = 400
    grid: Annotated[int, Field(ge=5)] = 33
    start_distance: PositiveFloat | None = None
    """The two random models start no farther apart than this."""
    on_stuck: Literal["report", "reinit", "greedy"] = "reinit"
    """What follows where a bead stops above the level. report: the run ends with a diagnosis;
    reinit: a stuck endpoint begins anew, `endpoints.restarts` times, and a stuck inner bead is
    taken out; greedy: that, and then greedy DSS goes on between the beads that are good."""
    take_out: NonNegativeInt = 30
    """Stuck inner beads that are taken out before the string as a whole counts as stuck. Where a
    peak still needs a bead, a new one starts there, with the string in another place by then."""


class Auto(Part):
    """Little patience with endpoints; greedy DSS, constrained DSS where it got stuck, detours."""

    patience: PositiveInt = 200
    """Steps without progress after which an endpoint begins anew; attempt k has this times the
    k-th number of the Luby sequence 1, 1, 2, 1, 1, 2, 4, … Steps, not attempts, are counted out:
    (endpoints.restarts + 1) × endpoints.max_steps for each endpoint."""
    detours: NonNegativeInt = 2
    """New models by way of which a stretch that greedy DSS could not cross is gone around."""


class Release(PartialTraining):
    """How the beads of a string that got stuck are trained once they are freed from it.

    What is left out is taken from search.greedy, but the patience from search.constrained.
    """


class Detour(PartialTraining):
    """How the models are trained by way of which a failed stretch is gone around.

    What is left out is taken from endpoints, but the patience from search.auto.
    """

    patience: PositiveInt | None = None
    """Steps without progress after which a model begins anew; attempt k has this times the k-th
    number of the Luby sequence, as in search.auto."""
    restarts: NonNegativeInt | None = None
    """A model's steps are counted out after (restarts + 1) × max_steps; null: as in endpoints."""


class Shortening(Part):
    sweeps: PositiveInt = 60
    """Passes over all beads at most."""
    gain: Fraction = 1e-3
    """A pass that shortens the string by less than this share is followed by more beads."""
    doublings: NonNegativeInt = 2
    """Times that a bead is put on the middle of every segment, so that the string can bend."""


class Audit(Part):
    """The re-measurement before a run may be called connected."""

    grid: Literal["auto", "fine", "coarse"] = "auto"
    """fine: 10× the search's grid in float64; coarse: 2× in float32; auto: fine where that is
    cheap beside the run. The neighbourhoods of the highest peaks are refined in either."""
    share: Fraction = 0.2
    """Of grid auto: the share of the run's own cost up to which a fine audit counts as cheap."""
    batch_size: Literal["full"] | PositiveInt | None = None
    """Training samples of a step by which the run's cost is reckoned; null: as in search.greedy."""


class LevelOn(Part):
    """What is held against the level. Beads are trained on the training loss all the same."""

    metric: Literal["loss", "error_rate", "perplexity"] = "loss"
    """error_rate: share of samples, or tokens, that get the wrong class; perplexity: of the
    cross-entropy."""
    split: Literal["train", "held_out"] = "train"

    @property
    def words(self) -> str:
        """Such as "held-out error rate"."""
        split = "training" if self.split == "train" else "held-out"
        return f"{split} {self.metric.replace('_', ' ')}"


class Search(Part):
    method: Literal["greedy", "constrained", "auto", "linear"] = "greedy"
    level: PositiveFloat
    """L0: what no point of the path may exceed, a training loss unless level_on says otherwise."""
    tolerance: NonNegativeFloat = 0.0
    """A segment counts as closed up to (1 + tolerance) × level. Beads are trained to a share of
    the level all the same; where it is not 0, both numbers are told."""
    level_on: LevelOn = LevelOn()
    alpha: Fraction = 0.8
    """Beads are trained to alpha times the level."""
    min_inner_beads: NonNegativeInt = 0
    """Of methods greedy and auto: so many beads, evenly spaced on the line between the ends, are
    trained first, even where that line is below the level; one that misses its target in every
    start is left out. Greedy DSS then closes the segments between them, and they are audited like
    any other bead. Shortening moves them, but leaves so many on the string. A search that starts
    from a string file takes the beads of that file."""
    grid: Annotated[int, Field(ge=5)] | None = None
    """Points t = 0 … 1 on which every stage looks at a segment. null: search.constrained.grid
    with method constrained, search.greedy.grid with the others."""
    greedy: Greedy = Greedy()
    constrained: Constrained = Constrained()
    release: Release = Release()
    auto: Auto = Auto()
    detour: Detour = Detour()
    shorten: bool = False
    """Whether a string that connects is then pulled tight below the level."""
    shortening: Shortening = Shortening()
    string: Annotated[str | None, Names.PATH] = None
    """A string file to start from, in place of random endpoints and a first search."""
    audit: Audit = Audit()
    batching: Literal["auto", "fused", "vmap", "graph", "loop"] = "auto"
    """How beads are computed together. fused: compiled code for small fully connected networks
    on the CPU; vmap: one call for all; graph: that, recorded as a CUDA graph; loop: one after
    another. auto: fused where it applies, else the fastest of the others, measured once and
    written to run.yaml."""


class Limits(Part):
    beads: Annotated[int, Field(ge=2)] | None = 2000
    steps: PositiveInt | None = None
    """Bead-steps of the whole run."""
    seconds: PositiveFloat | None = None
    """Running time of the whole run, resumed parts included."""
    memory: PositiveFloat | None = None
    """GiB that the layers' outputs may take at a time; null: 0.25 for each thread on the CPU, a
    quarter of a GPU."""


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
    precision: Literal["float32", "tf32"] = "float32"
    """Of products on a GPU. tf32 keeps ten bits of each factor: faster, and losses that near the
    level may be on its other side; the audit in float64 is not touched by it."""
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

    def of_a_new_run(self) -> Spec:
        """Returns the spec as a new run writes it down.

        Where a preset leaves out `problem.batch_norm.seed`, the samples that statistics are taken
        from are drawn, because the first ones may all be of one class. A spec read from the folder
        of a run keeps what that run did: there the key is given, or means the first samples.
        """
        batch_norm = self.problem.batch_norm
        if "seed" in batch_norm.model_fields_set:
            return self
        drawn = {"batch_norm": batch_norm.model_copy(update={"seed": 0})}
        return self.model_copy(update={"problem": self.problem.model_copy(update=drawn)})

    def fingerprint(self) -> str:
        """Returns a sum that is equal for two specs whose searches take the same steps.

        Only keys that differ from their defaults are summed, so a new key with a default leaves
        the sums of older runs as they are. A renamed key is summed under its first name, which
        its field keeps as `serialization_alias`. The keys in ASIDE do not count.
        """
        told = self.model_dump(mode="json", exclude=ASIDE, exclude_defaults=True, by_alias=True)
        return digest(told)


#: Keys of a spec that do not change which steps a search takes: its limits, words and pace.
ASIDE = {"limits", "description", "task", "checkpoint_seconds"}


def digest(tree: dict[str, Any]) -> str:
    """Returns the SHA-256 of a plain tree, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
