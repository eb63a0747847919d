"""Fully connected networks on the CPU, compiled: small ones train at the pace of arithmetic.

Neither numba nor torch is imported before there is something to compute. Every bead is computed
alone and in a fixed order: its bits depend neither on who shares the call nor on the threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from engine.networks import DenseLayout, NetworkKeys
from engine.spec.training import Adam, RmsProp, Sgd, Training

if TYPE_CHECKING:
    from engine.backends.fused import kernels
    from engine.steps.rows import Rows

Floats = NDArray[Any]
"""float32 or float64."""
Split = Literal["train", "held_out"]


@dataclass(frozen=True)
class Layout(DenseLayout):
    """A fully connected network and its loss."""

    loss: Literal["mse", "l1", "cross_entropy"]
    """The loss of a sample."""


@dataclass(frozen=True)
class Tie:
    """What ties the beads of a string to each other: see `engine.steps.tethers`."""

    hard: bool = False
    """Whether inner beads keep to the hyperplane equidistant from their neighbours."""
    kappa: float = 0.0
    """Loss per unit of distance from that hyperplane."""
    zeta: float = 0.0
    """Loss per unit of distance between neighbours."""


def fused_layout(network: NetworkKeys, loss: object) -> Layout | None:
    """Returns what a spec's network and loss are here, or None where they are not covered."""
    layout = network.layout
    if layout is None or loss not in ("mse", "l1", "cross_entropy"):
        return None
    return Layout(layout.sizes, layout.bias, layout.activation, layout.output_activation, loss)


@cache
def available() -> bool:
    """Whether numba is installed and can be imported."""
    try:
        from engine.backends.fused import kernels  # noqa: F401
    except ImportError:
        return False
    return True


class FusedProblem:
    """Data, network and loss in the precision of x, float32 or float64.

    x is (sample, feature …), y (sample, output), or (sample,) class numbers for cross_entropy.
    Weights, and all that goes in with them, are numpy arrays or CPU tensors of that precision.
    Compiled code does not look whether they fit, so this does, and raises ValueError.
    """

    def __init__(
        self,
        layout: Layout,
        x: ArrayLike,
        y: ArrayLike,
        x_held_out: ArrayLike | None = None,
        y_held_out: ArrayLike | None = None,
    ) -> None:
        from engine.backends.fused import kernels

        self.layout = layout
        self._kernels = kernels
        self._net = kernels.net(
            layout.sizes, layout.bias, layout.activation, layout.output_activation, layout.loss
        )
        self._given = np.asarray(x), np.asarray(y), x_held_out, y_held_out
        self.dtype = self._given[0].dtype
        self._elsewhere: dict[str, FusedProblem] = {}
        """The same in other precisions, made when first asked for."""
        self._table = self._samples(x, y)
        self._train = kernels.cut(self._table)
        self._held_out: kernels.Blocks | None = None
        if x_held_out is not None and y_held_out is not None and np.size(y_held_out):
            self._held_out = kernels.cut(self._samples(x_held_out, y_held_out))

    def to(self, dtype: DTypeLike) -> FusedProblem:
        """The same problem in another precision; itself where nothing changes."""
        if self.dtype == dtype:
            return self
        name = str(np.dtype(dtype))
        if name not in self._elsewhere:
            x, y, x_held_out, y_held_out = self._given
            if x_held_out is not None:
                x_held_out = np.asarray(x_held_out).astype(dtype)
            self._elsewhere[name] = FusedProblem(
                self.layout, x.astype(dtype), y, x_held_out, y_held_out
            )
        return self._elsewhere[name]

    def losses(self, theta: ArrayLike, split: Split = "train") -> Floats:
        """Mean loss of each weight vector (bead, param); nan where the split has no samples."""
        return self._at(self._weights(theta), split=split)

    def interpolated(
        self,
        left: ArrayLike,
        right: ArrayLike,
        rows: ArrayLike,
        t: ArrayLike,
        split: Split = "train",
    ) -> Floats:
        """Mean loss at left[rows[i]] + t[i] · (right[rows[i]] − left[rows[i]]) for all i."""
        starts, ends = self._weights(left), self._weights(right)
        segments, places = _array(rows, np.int64), _array(t, self.dtype)
        if starts.shape != ends.shape or segments.ndim != 1 or segments.shape != places.shape:
            raise ValueError(f"{starts.shape}, {ends.shape} at {segments.shape}, {places.shape}")
        _check_numbers(segments, len(starts))
        return self._between(starts, ends, segments, places, split)

    def loss_and_grad(self, theta: ArrayLike) -> tuple[Floats, Floats]:
        """Mean loss on all training samples, (bead,), and its gradient, (bead, param)."""
        weights = self._weights(theta)
        grads = np.empty_like(weights)
        return self._at(weights, grads=grads), grads

    def loss_and_grad_on(self, theta: ArrayLike, batches: ArrayLike) -> tuple[Floats, Floats]:
        """The same, each bead on its own mini-batch: sample numbers (bead, sample)."""
        weights = self._weights(theta)
        grads = np.empty_like(weights)
        numbers = self._numbers(batches, (len(weights),))
        return self._at(weights, batches=numbers, grads=grads), grads

    def advance(
        self,
        training: Training,
        rows: Rows,
        improvement: float,
        batches: ArrayLike | None = None,
    ) -> None:
        """At most `check_every` steps of every row.

        On all samples each step sees the loss, and a row stops at the very step that reaches its
        target. On `batches`, sample numbers (bead, step, sample), the loss on all samples is
        looked at once, before the steps. A loss counts as lower when it is lower by the share
        `improvement`.
        """
        self._kernels.advance(*self._call(training, rows, improvement, batches))

    def advance_string(
        self,
        training: Training,
        rows: Rows,
        improvement: float,
        tie: Tie,
        batches: ArrayLike | None = None,
    ) -> None:
        """At most `check_every` steps of the rows of one string, in their order, and a look.

        The rows that go at the beginning take steps, all of them at a time, as `advance` has it.
        Then the loss on all samples is looked at of those that moved, and where the tie is hard the
        beads are spread along the string.
        """
        call = self._call(training, rows, improvement, batches)
        beads, theta = len(rows), np.asarray(rows.theta)
        work = self._kernels.Work(
            np.empty_like(theta),
            np.empty_like(theta),
            np.empty(beads),
            np.empty(beads, np.bool_),
            np.empty(beads, np.bool_),
        )
        how = self._kernels.Tie(int(tie.hard), float(tie.kappa), float(tie.zeta))
        call = (*call, how, work)
        self._kernels.advance_string(*call)

    def _call(
        self, training: Training, rows: Rows, improvement: float, batches: ArrayLike | None
    ) -> tuple[Any, ...]:
        """What the compiled rounds are called with."""
        beads = len(np.asarray(rows.theta))
        theta = _in_place(rows.theta, self.dtype, (beads, self.layout.parameter_count))
        if batches is None:
            numbers = np.empty((beads, training.check_every, 0), np.int64)
        else:
            numbers = self._numbers(batches, (beads, training.check_every))
        rule, slow, square = self._rule(training, rows.state, theta)

        def column(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
            return _in_place(values, dtype, (beads,))

        return (
            self._net,
            self._train,
            self._table,
            self._kernels.room(self._net, self._table, theta),
            rule,
            self._kernels.Budget(training.check_every, training.max_steps, float(improvement)),
            self._kernels.Rows(
                theta,
                slow,
                square,
                column(rows.target, self.dtype),
                column(rows.patience, np.int64),
                column(rows.steps, np.int64),
                column(rows.loss, self.dtype),
                column(rows.best, self.dtype),
                column(rows.best_step, np.int64),
                column(rows.end, np.int8),
            ),
            numbers,
            np.empty(0, np.int64),
        )

    def _at(
        self,
        theta: Floats,
        split: Split = "train",
        batches: NDArray[np.int64] | None = None,
        grads: Floats | None = None,
    ) -> Floats:
        beads = len(theta)
        starts = np.zeros(beads, self.dtype)
        return self._between(theta, theta, np.arange(beads), starts, split, batches, grads)

    def _between(
        self,
        left: Floats,
        right: Floats,
        rows: NDArray[np.int64],
        t: Floats,
        split: Split,
        batches: NDArray[np.int64] | None = None,
        grads: Floats | None = None,
    ) -> Floats:
        blocks = self._train if split == "train" else self._held_out
        losses = np.full(len(rows), np.nan, self.dtype)
        if batches is None:
            batches = np.empty((len(rows), 0), np.int64)
        if blocks is not None:
            scratch = self._kernels.room(self._net, self._table, left)
            self._kernels.measure(
                self._net,
                blocks,
                self._table,
                scratch,
                left,
                right,
                rows,
                t,
                batches,
                losses,
                grads,
            )
        return losses

    def _weights(self, theta: ArrayLike) -> Floats:
        weights = np.require(theta, requirements=["C", "W"])
        _check(weights, self.dtype, (len(weights), self.layout.parameter_count))
        return weights

    def _numbers(self, batches: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Sample numbers, (*shape, sample)."""
        numbers = _array(batches, np.int64)
        if numbers.shape[:-1] != shape or not numbers.shape[-1]:
            raise ValueError(f"batches are {numbers.shape}, not {shape} and samples")
        _check_numbers(numbers, len(self._table.x))
        return numbers

    def _rule(
        self, training: Training, state: Mapping[str, ArrayLike], theta: Floats
    ) -> tuple[kernels.Rule, Floats, Floats]:
        """The optimizer, and the two arrays of its state; without entries where not needed."""
        none = np.empty((len(theta), 0), self.dtype)

        def slot(name: str) -> Floats:
            return _in_place(state[name], self.dtype, theta.shape)

        how, spec = self._kernels, training.optimizer
        match spec:
            case Sgd():
                rule = how.Rule(how.SGD, spec.lr, spec.momentum, 0.0, 0.0, 0.0)
                return rule, slot("momentum") if spec.momentum else none, none
            case RmsProp():
                rule = how.Rule(how.RMSPROP, spec.lr, spec.momentum, spec.smoothing, 0.0, spec.eps)
                return rule, slot("momentum") if spec.momentum else none, slot("square")
            case Adam():
                first, second = spec.betas
                rule = how.Rule(how.ADAM, spec.lr, 0.0, second, first, spec.eps)
                return rule, slot("mean"), slot("square")

    def _samples(self, x: ArrayLike, y: ArrayLike) -> kernels.Table:
        rows, targets = np.asarray(x), np.asarray(y)
        samples, outputs = len(rows), self.layout.sizes[-1]
        if not samples:
            raise ValueError("there are no samples")
        rows = rows.reshape(samples, prod(rows.shape[1:]))
        if self.layout.loss == "cross_entropy":
            _check_numbers(targets, outputs)
            targets, outputs = targets[:, None], 1
        targets = _array(targets, self.dtype)
        _check(rows, self.dtype, (samples, self.layout.sizes[0]))
        _check(targets, self.dtype, (samples, outputs))
        return self._kernels.Table(_array(rows, self.dtype), targets)


def compiled() -> bool:
    """Whether an earlier process has left the compiled code on the disk."""
    from engine.backends.fused.disk_cache import DiskCache

    return DiskCache("advance").is_filled()


def warm_up() -> None:
    """Compiles what searches use, or takes it from the disk."""
    layout = Layout((1, 1), True, "relu", "identity", "mse")
    one = np.ones((1, 1), np.float32)
    problem = FusedProblem(layout, one, one)
    theta = np.ones((1, 2), np.float32)
    problem.losses(theta)
    problem.to(np.float64).losses(theta.astype(np.float64))
    import torch

    from engine.steps.rows import fresh

    rows = fresh(torch.ones(1, 2), (), target=0.0, patience=1, seeds=[0])
    training = Training(optimizer=Sgd(kind="sgd"), check_every=1)
    problem.advance(training, rows, 0.0)
    problem.advance_string(training, rows, 0.0, Tie())


def _array(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Of that type, contiguous and writeable: all that there is compiled code for."""
    return np.require(values, dtype, ["C", "W"])


def _in_place(values: ArrayLike, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """The same memory, which compiled code may write to."""
    array = np.asarray(values)
    _check(array, dtype, shape)
    if not (array.flags.c_contiguous and array.flags.writeable):
        raise ValueError("an array to update is not contiguous and writeable")
    return array


def _check(array: NDArray[Any], dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"an array is {array.dtype} {array.shape}, not {dtype} {shape}")


def _check_numbers(numbers: NDArray[Any], end: int) -> None:
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < end:
        raise ValueError(f"numbers go from {numbers.min()} to {numbers.max()}, not below {end}")
