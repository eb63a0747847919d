"""The base of all backends that compute with torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor

from engine.backends import rounds
from engine.backends.backend import Function, Tensors, Way
from engine.backends.models import (
    InPlace,
    InTurn,
    Model,
    Models,
    OfModel,
    Statistics,
    Together,
    joined,
    normalize,
)
from engine.backends.precision import measuring, stepping
from engine.backends.torch_step import loss_of_step, pieces_of, samples_of_step, weights_of
from engine.networks.modules.calls import Inputs, picked
from engine.networks.modules.dropout import in_training_mode
from engine.networks.modules.widened import Widened
from engine.problem.batch_norm import STATISTICS, Mode, batch_norms, collect
from engine.problem.losses import counted, never_negative
from engine.problem.problem import Problem, Split
from engine.shapes import Batches, Beads, Pairs, PerBead, Points, Rows
from engine.spec.level import LevelOn
from engine.steps.groups import Group
from engine.steps.practice import PLAIN, Practice
from engine.steps.recipe import Recipe

#: The bytes of layers' outputs that one call may hold. Larger calls go in pieces.
PIECE_BYTES = 256 * 2**20
#: The number of weights that are interpolated at once.
INTERPOLATED = 2**25
#: The number of values to compute with from which on a second CPU thread pays. With fewer it waits
#: for the interpreter's lock longer than it computes.
WORTH_A_THREAD = 1_000_000
#: The products of a sample from which on torch may use threads that would otherwise be idle.
WORTH_MORE_THREADS = 500_000
NO_STATISTICS: Statistics = MappingProxyType({})


class TorchBackend(ABC):
    """The base of a backend that computes with torch.

    Each subclass decides which weight vectors share a call.
    """

    name: Way
    steps_at_once = False

    def __init__(
        self,
        problem: Problem,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
    ) -> None:
        """Makes the backend of a problem, in pieces of at most `piece_bytes`.

        `networks` are those of another backend of the same thread, to share them.
        """
        self.problem, self.piece_bytes = problem, piece_bytes
        self._networks = {} if networks is None else networks
        """The networks to which models are lent, by precision, each made when first needed."""

    # ------------------------------------------------------------ variants

    def to(self, dtype: torch.dtype) -> Self:
        """Returns the backend in another precision, itself where nothing changes."""
        if dtype == self.problem.dtype:
            return self
        return self.on(self.problem.to(dtype=dtype))

    def on(self, problem: Problem) -> Self:
        """Returns the backend of another problem with the same network on the same device."""
        return self._made(problem, self.piece_bytes, self._networks)

    def replica(self, device: torch.device) -> Self:
        """Returns the backend on a device, with a network of its own for a thread of its own."""
        return self._made(self.problem.to(device), self.piece_bytes)

    def within(self, piece_bytes: int) -> Self:
        """Returns the backend with calls that go in pieces of at most so many bytes."""
        return self._made(self.problem, piece_bytes, self._networks)

    def _made(
        self, problem: Problem, piece_bytes: int, networks: dict[torch.dtype, InPlace] | None = None
    ) -> Self:
        """Returns a backend of the same kind; see `__init__`."""
        return type(self)(problem, piece_bytes, networks)

    # ------------------------------------------------------------ measuring

    def objective(self, theta: Beads, bound: PerBead | None = None) -> PerBead:
        """Returns the objective of each weight vector. `bound` is as in `Backend.values`."""
        return self.values(theta, self.problem.objective, bound)

    def interpolated_losses(self, left: Pairs, right: Pairs, rows: Rows, t: Points) -> Points:
        """Returns the objective at (1 − t[i])·left[rows[i]] + t[i]·right[rows[i]] for all i."""
        size = max(1, INTERPOLATED // left.shape[1])
        losses = [
            self.objective(torch.lerp(left[some], right[some], at[:, None]))
            for some, at in zip(torch.split(rows, size), torch.split(t, size), strict=True)
        ]
        return torch.cat(losses)

    def values(self, theta: Beads, measure: LevelOn, bound: PerBead | None = None) -> PerBead:
        """Returns a metric of each weight vector over a split. `bound` is as in `Backend`."""
        match measure.metric:
            case "loss":
                return self.losses(theta, measure.split, bound)
            case "perplexity":
                bound = None if bound is None else bound.log()
                return self.losses(theta, measure.split, bound).exp()
            case "error_rate":
                return self.error_rates(theta, measure.split, bound)

    def losses(self, theta: Beads, split: Split = "train", bound: PerBead | None = None) -> PerBead:
        """Returns the mean loss of each weight vector over a split. `bound` is as in `Backend`."""
        # A sum of losses that may be negative is not certain to stay above a bound.
        certain = bound if never_negative(self.problem.sample_loss) else None
        return self._mean(self._summed_loss, theta, split, certain, self.problem.weights)

    def error_rates(
        self, theta: Beads, split: Split = "train", bound: PerBead | None = None
    ) -> PerBead:
        """Returns the error rate of each weight vector over a split, for problems with classes."""

        def misses(model: Model, x: Inputs, y: Tensor) -> Tensor:
            labels = y.argmax(1) if y.is_floating_point() else y
            wrong = (picked(model(x))[0].argmax(1) != labels) & (labels >= 0)
            return wrong.to(self.problem.dtype).sum() / prod(labels.shape[1:])

        def shares(y: Tensor) -> Tensor:
            labels = y.argmax(1) if y.is_floating_point() else y
            return counted(labels).to(self.problem.dtype)

        return self._mean(misses, theta, split, bound, shares)

    def _mean(
        self,
        of_samples: OfModel,
        theta: Beads,
        split: Split,
        bound: PerBead | None,
        weights: Callable[[Tensor], Tensor],
    ) -> PerBead:
        """Returns the mean over a split of what a function sums over samples, without gradients.

        `weights` gives from targets what each sample counts for, (sample,). One pass over the
        samples serves all weight vectors. Sums over pieces are kept in float64, because float32
        loses digits where there are thousands of them.
        """
        samples = self.problem.samples(split)
        if not len(samples):
            return torch.full_like(theta[:, 0], torch.nan)
        in_turn = self._one_by_one(theta)
        total, seen = (torch.zeros_like(theta[:, 0], dtype=torch.float64) for _ in range(2))
        going = torch.arange(len(theta), device=theta.device)
        at_once, size, least = self._piece(
            len(samples), copies=1, together=self._by_batch, measuring=True
        )
        whole = weights(samples.y).sum()
        mode: Mode = "batch" if self._by_batch else "given"
        with torch.no_grad(), self._widening, measuring(self.problem.device):
            statistics = self._statistics(theta, in_turn)
            models = self._models(theta, mode, statistics, in_turn)
            left = len(samples)
            for x, y in samples.pieces(size, self.problem.dtype, least):
                total[going] += models.each(of_samples, (x, y), at_once).double()
                seen[going] += weights(y).sum().double()
                left -= len(y)
                if bound is None or not left:  # after the last piece there is nothing to save
                    continue
                below = ~(total[going] > bound[going] * whole)
                if not below.any():
                    break
                if not below.all():
                    going = going[below]
                    theirs = {name: values[going] for name, values in statistics.items()}
                    models = self._models(theta[going], mode, theirs, in_turn)
        return (total / seen).to(theta.dtype)

    # ------------------------------------------------------------ training

    def loss_and_grad(self, theta: Beads) -> tuple[PerBead, Beads]:
        """Returns F_e of each weight vector and its gradient, on all training samples."""
        return self._on_all(theta)

    def _on_all(self, theta: Beads, practice: Practice = PLAIN) -> tuple[PerBead, Beads]:
        """Returns losses and gradients on all training samples, of all weight vectors together.

        Of the practice only its precision counts.
        """
        train = self.problem.train
        at_once, size, least = self._piece(len(train), copies=3, together=self.problem.normalizes)
        models = self._models_of_step(theta, practice)
        loss = torch.zeros_like(theta[:, 0], dtype=torch.float64)
        grad = torch.zeros_like(theta)
        of_samples = loss_of_step(self.problem, models.network, practice)
        weight = self.problem.weights(train.y).sum()
        with stepping(practice.precision, theta.device):
            for x, y in train.pieces(size, self.problem.dtype, least):
                of_some, slopes = models.loss_and_grad(of_samples, (x, y), at_once)
                loss += of_some
                grad += slopes
        return (loss / weight.double()).to(theta.dtype), grad / weight

    def loss_and_grad_on(self, theta: Beads, batches: Batches) -> tuple[PerBead, Beads]:
        """Returns the mean loss of each weight vector, and its gradient, on its own mini-batch."""
        if self._steps_one_by_one(theta):
            rows = zip(torch.split(theta, 1), torch.split(batches, 1), strict=True)
            return joined([self.loss_and_grad_on(*row) for row in rows])
        return self._on(theta, batches)

    def _on(
        self,
        theta: Beads,
        batches: Batches,
        practice: Practice = PLAIN,
        keys: Tensor | None = None,
    ) -> tuple[PerBead, Beads]:
        """Returns losses and gradients on mini-batches, of all weight vectors together."""
        problem, count = self.problem, batches.shape[1]
        at_once, size, _ = self._piece(count, copies=5 if practice.dropout else 3)
        size = count if problem.normalizes else size
        models = self._models_of_step(theta, practice)
        of_samples = loss_of_step(problem, models.network, practice)
        loss, grad = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta)
        least = 2 if problem.normalizes else 1
        with (
            in_training_mode(models.network, practice.dropout),
            stepping(practice.precision, theta.device),
        ):
            for numbers in pieces_of(batches, min(size, practice.micro_batch or size), least):
                parts = samples_of_step(problem, numbers, practice, keys)
                of_some, slopes = models.loss_and_grad(of_samples, parts, at_once, own=True)
                loss += of_some
                grad += slopes
        weight = weights_of(problem, batches)
        return loss / weight, grad / weight[:, None]

    def practised(
        self,
        theta: Beads,
        batches: Batches | None,
        practice: Practice,
        keys: Tensor | None = None,
    ) -> tuple[PerBead, Beads]:
        """Returns the loss that a step computes at each weight vector, and its gradient.

        See `Backend.practised`.
        """
        if practice == PLAIN:
            if batches is None:
                return self.loss_and_grad(theta)
            return self.loss_and_grad_on(theta, batches)
        if batches is None and practice.on_all:
            return self._on_all(theta, practice)
        if batches is None:
            every = torch.arange(len(self.problem.train), device=theta.device)
            batches = every.expand(len(theta), -1)
        if self._steps_one_by_one(theta):
            each = [None] * len(theta) if keys is None else torch.split(keys, 1)
            rows = zip(torch.split(theta, 1), torch.split(batches, 1), each, strict=True)
            return joined([self._on(row, some, practice, key) for row, some, key in rows])
        return self._on(theta, batches, practice, keys)

    def recorded(
        self, key: Hashable, function: Function, each: Tensors, whole: Tensors = ()
    ) -> Tensors:
        """Returns what the function gives; this backend records nothing. See `Backend.recorded`."""
        return function(*each, *whole)

    def advance(self, recipe: Recipe, groups: Sequence[Group]) -> list[Group]:
        """Returns the groups after one round: at most `check_every` steps of each row that goes."""
        return rounds.advance(self, recipe, groups)

    def paced(self, recipe: Recipe) -> Recipe:
        """Returns the recipe as it is: rounds are as long as the preset has them."""
        return recipe

    # ------------------------------------------------------------ sharing out

    @property
    def worth_a_thread(self) -> int:
        """The number of values to compute with from which on a second CPU thread pays."""
        return WORTH_A_THREAD

    @property
    def takes_idle_threads(self) -> bool:
        """Whether a call may use CPU threads that would otherwise be idle."""
        return self.problem.cost.products >= WORTH_MORE_THREADS

    # ------------------------------------------------------------ models

    @property
    def _widening(self) -> AbstractContextManager[object]:
        """The context in which models are measured in the problem's precision."""
        wide = self.problem.widens and self.problem.dtype == torch.float64
        return Widened() if wide else nullcontext()

    @abstractmethod
    def _one_by_one(self, theta: Beads) -> bool:
        """Returns whether these weight vectors are computed one after another."""

    def _steps_one_by_one(self, theta: Beads) -> bool:
        """Returns whether steps of these weight vectors are computed one after another."""
        return self._one_by_one(theta)

    def _models_of_step(self, theta: Beads, practice: Practice) -> Models:
        """Returns the models whose losses and gradients a step computes."""
        return self._models(theta, "batch", in_turn=self._one_by_one(theta))

    def _models(
        self,
        theta: Beads,
        mode: Mode,
        statistics: Statistics = NO_STATISTICS,
        in_turn: bool = False,
    ) -> Models:
        """Returns one model in place, or many in turn or under vmap.

        Their batch normalization is in that mode.
        """
        models: Models
        if self.problem.carried is not None:
            statistics = {**statistics, **self.problem.carried.at(theta)}
        if len(theta) == 1:
            models = self._network.lend(theta[0], statistics)
        elif in_turn:
            models = InTurn(self._network, theta, statistics)
        else:
            network = self._network.network
            own = theta.clone() if self.problem.handing.rewrites else theta
            models = Together(network, self.problem.named, own, statistics)
        if self.problem.normalizes:
            normalize(models, mode)
        return models

    @property
    def _network(self) -> InPlace:
        """The network to which a model is lent in the problem's precision."""
        problem = self.problem
        if problem.dtype not in self._networks:
            self._networks[problem.dtype] = self._made_network(problem)
        return self._networks[problem.dtype]

    def _made_network(self, problem: Problem) -> InPlace:
        """Returns a new network to which models of a problem are lent."""
        return InPlace(problem)

    def _summed_loss(self, model: Model, x: Inputs, y: Tensor) -> Tensor:
        """Returns the sum of a model's losses over samples."""
        return self.problem.sample_loss(model(x), y).sum()

    def _most_bytes(self, sample_bytes: int, measuring: bool) -> int:
        """Returns the bytes that a piece may take, where a sample takes `sample_bytes`."""
        return self.piece_bytes

    def _piece(
        self, samples: int, copies: int, together: bool = False, measuring: bool = False
    ) -> tuple[int, int, int]:
        """Returns how many weight vectors and samples a call takes, and its fewest samples.

        The layers' outputs of such a call fit a piece. `copies` says how often they are kept. The
        result depends on nothing but the problem, so that batch mates do not change a bead's sums.
        `together` means that samples are normalized by each other's statistics: they then stay
        together whatever memory they need, and at least two of them.
        """
        if together:
            samples = min(samples, self.problem.batch_norm.samples)
        sample_bytes = copies * self.problem.cost.values * self.problem.dtype.itemsize
        at_once = max(1, self._most_bytes(sample_bytes, measuring) // sample_bytes)
        size = samples if together else min(samples, at_once)
        return max(1, at_once // size), size, 2 if together else 1

    # ------------------------------------------------------------ batch normalization

    @property
    def _by_batch(self) -> bool:
        """Whether models are also measured with each batch normalized by its own statistics."""
        return self.problem.batch_norm.statistics == "batch" and self.problem.normalizes

    def _statistics(self, theta: Beads, in_turn: bool) -> dict[str, Tensor]:
        """Returns each model's own mean and variance of each normalized layer, by buffer name.

        They come from one pass over the problem's `estimate` in one batch, as
        `engine.problem.batch_norm` defines them. The result is empty without such layers, and where
        each batch is normalized by its own statistics.
        """
        estimate = self.problem.estimate
        if estimate is None or self._by_batch:
            return {}
        x, y = estimate.part(slice(None), self.problem.dtype)
        models = self._models(theta, "collect", in_turn=in_turn)
        names, layers = zip(*batch_norms(models.network), strict=True)

        def collected(model: Model, x: Inputs, y: Tensor) -> Tensor:
            return torch.cat(collect(model, layers, x))

        at_once, *_ = self._piece(len(y), copies=1)
        found = models.each(collected, (x, y), at_once)  # (bead, channel of all layers)
        buffers = [f"{name}.{part}".lstrip(".") for name in names for part in STATISTICS]
        sizes = [layer.num_features for layer in layers for _ in STATISTICS]
        return dict(zip(buffers, torch.split(found, sizes, dim=1), strict=True))
