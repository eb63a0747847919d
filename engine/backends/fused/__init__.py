"""Compiled code for fully connected networks on the CPU, with numpy arrays in and out.

Neither numba nor torch is imported before there is something to compute. Every bead is computed
alone and in a fixed order, so its bits depend neither on the other beads of a call nor on threads.
"""

from __future__ import annotations

import threading
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
"""An array of float32 or float64."""
Split = Literal["train", "held_out"]


@dataclass(frozen=True)
class Layout(DenseLayout):
    """A fully connected network and its loss."""

    loss: Literal["mse", "l1", "cross_entropy"]
    """The loss of a sample."""


@dataclass(frozen=True)
class Tie:
    """The tethers of a string as compiled code takes them (see `engine.steps.tethers`)."""

    hard: bool = False
    """Whether inner beads keep to the hyperplane equidistant from their neighbours."""
    kappa: float = 0.0
    """The loss per unit of distance from the equidistant hyperplane."""
    zeta: float = 0.0
    """The loss per unit of distance between neighbours."""


def fused_layout(network: NetworkKeys, loss: object) -> Layout | None:
    """Returns the layout of a spec's network and loss, or None without compiled code for them."""
    layout = network.layout
    if layout is None or loss not in ("mse", "l1", "cross_entropy"):
        return None
    return Layout(layout.sizes, layout.bias, layout.activation, layout.output_activation, loss)


@cache
def available() -> bool:
    """Returns whether numba is installed and can be imported."""
    try:
        from engine.backends.fused import kernels  # noqa: F401
    except ImportError:
        return False
    return True


class FusedProblem:
    """A problem for compiled code, in the precision of x, float32 or float64.

    Weights and everything else that a method takes are numpy arrays or CPU tensors of that
    precision. Compiled code does not check whether they fit, so the methods do, and raise
    ValueError.
    """

    def __init__(
        self,
        layout: Layout,
        x: ArrayLike,
        y: ArrayLike,
        x_held_out: ArrayLike | None = None,
        y_held_out: ArrayLike | None = None,
    ) -> None:
        """Takes the samples of a problem.

        x is (sample, feature …). y is (sample, output), or class numbers (sample,) for
        cross_entropy. Raises ValueError where they do not fit the layout.
        """
        from engine.backends.fused import kernels

        self.layout = layout
        self._kernels = kernels
        self._net = kernels.net(
            layout.sizes, layout.bias, layout.activation, layout.output_activation, layout.loss
        )
        self._given = np.asarray(x), np.asarray(y), x_held_out, y_held_out
        self.dtype = self._given[0].dtype
        self._elsewhere: dict[str, FusedProblem] = {}
        """The problem in other precisions, made when first asked for."""
        self._rooms = threading.local()
        """The arrays that each thread computes in."""
        self._table = self._samples(x, y)
        self._train = kernels.cut(self._table)
        self._held_out: kernels.Blocks | None = None
        if x_held_out is not None and y_held_out is not None and np.size(y_held_out):
            self._held_out = kernels.cut(self._samples(x_held_out, y_held_out))

    def to(self, dtype: DTypeLike) -> FusedProblem:
        """Returns the problem in another precision, or itself where nothing changes."""
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
        """Returns the mean loss of each weight vector, (bead,); NaN for a split without samples."""
        return self._at(self._weights(theta), split=split)

    def interpolated(
        self,
        left: ArrayLike,
        right: ArrayLike,
        rows: ArrayLike,
        t: ArrayLike,
        split: Split = "train",
    ) -> Floats:
        """Returns the mean loss at (1 − t[i])·left[rows[i]] + t[i]·right[rows[i]] for all i."""
        starts, ends = self._weights(left), self._weights(right)
        segments, places = _array(rows, np.int64), _array(t, self.dtype)
        if starts.shape != ends.shape or segments.ndim != 1 or segments.shape != places.shape:
            raise ValueError(f"{starts.shape}, {ends.shape} at {segments.shape}, {places.shape}")
        _check_numbers(segments, len(starts))
        return self._between(starts, ends, segments, places, split)

    def loss_and_grad(self, theta: ArrayLike) -> tuple[Floats, Floats]:
        """Returns the mean loss on all training samples, (bead,), and gradients (bead, param)."""
        weights = self._weights(theta)
        grads = np.empty_like(weights)
        return self._at(weights, grads=grads), grads

    def loss_and_grad_on(self, theta: ArrayLike, batches: ArrayLike) -> tuple[Floats, Floats]:
        """Returns losses and gradients of each bead on its own sample numbers (bead, sample)."""
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
        """Takes at most `check_every` steps of every row, and changes the rows in place.

        On all samples each step sees the loss, and a row stops at the very step that reaches its
        target. On `batches`, sample numbers (bead, step, sample), the loss on all samples is
        evaluated once, before the steps. A loss counts as lower when it is lower by the share
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
        """Takes at most `check_every` steps of the rows of one string, and changes them in place.

        The rows that go at the beginning take each step together, on samples as in `advance`. Then
        the loss on all samples is evaluated where it is not known from a step. Where the tie is
        hard, the beads are spread along the string, and those that moved are evaluated again.
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
        """Returns the arguments of a compiled round."""
        beads = len(rows.theta)
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
            self._room(theta),
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
        """Returns the mean losses at weight vectors, and writes gradients to `grads` if given."""
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
        """Returns mean losses at points of segments, and writes gradients to `grads` if given."""
        blocks = self._train if split == "train" else self._held_out
        losses = np.full(len(rows), np.nan, self.dtype)
        if batches is None:
            batches = np.empty((len(rows), 0), np.int64)
        if blocks is not None:
            scratch = self._room(left)
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

    def _room(self, theta: Floats) -> kernels.Scratch:
        """Returns the arrays that a call computes in, those of this thread's calls before."""
        if not hasattr(self._rooms, "own"):
            self._rooms.own = self._kernels.room(self._net, self._table, theta)
        own: kernels.Scratch = self._rooms.own
        return own

    def _weights(self, theta: ArrayLike) -> Floats:
        """Returns weight vectors as compiled code takes them. Raises ValueError."""
        weights: Floats = np.require(_plain(theta), requirements=["C", "W"])
        _check(weights, self.dtype, (len(weights), self.layout.parameter_count))
        return weights

    def _numbers(self, batches: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Returns sample numbers as compiled code takes them, (*shape, sample). Raises ValueError.

        `shape` is that of all axes but the last one.
        """
        numbers = _array(batches, np.int64)
        if numbers.shape[:-1] != shape or not numbers.shape[-1]:
            raise ValueError(f"batches are {numbers.shape}, not {shape} and samples")
        _check_numbers(numbers, len(self._table.x))
        return numbers

    def _rule(
        self, training: Training, state: Mapping[str, ArrayLike], theta: Floats
    ) -> tuple[kernels.Rule, Floats, Floats]:
        """Returns the optimizer and two arrays of its state, (bead, param) or (bead, 0)."""
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
        """Returns samples as compiled code takes them. Raises ValueError where they do not fit."""
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
    """Returns whether an earlier process has left the compiled code on the disk."""
    from engine.backends.fused.disk_cache import DiskCache

    return DiskCache("advance").is_filled()


def warm_up() -> None:
    """Compiles the code that searches use, or loads it from the disk."""
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
    """Returns a contiguous, writeable array of that type, as compiled code needs it."""
    return np.require(_plain(values), dtype, ["C", "W"])


def _in_place(values: ArrayLike, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns an array that shares the memory of `values`, so that compiled code can change them.

    Raises ValueError where type, shape or layout do not fit.
    """
    array = np.asarray(_plain(values))
    _check(array, dtype, shape)
    if not (array.flags.c_contiguous and array.flags.writeable):
        raise ValueError("an array to update is not contiguous and writeable")
    return array


def _plain(values: Any) -> Any:
    """Returns a tensor as an array of the same memory, which numpy finds slowly by itself."""
    return values.numpy() if hasattr(values, "numpy") else values


def _check(array: NDArray[Any], dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Raises ValueError where an array has another type or shape."""
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"an array is {array.dtype} {array.shape}, not {dtype} {shape}")


def _check_numbers(numbers: NDArray[Any], end: int) -> None:
    """Raises ValueError where numbers are not from 0 to end − 1."""
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < end:
        raise ValueError(f"numbers go from {numbers.min()} to {numbers.max()}, not below {end}")
