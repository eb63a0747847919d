"""A problem for compiled code, with numpy arrays in and out.

Neither numba nor torch is imported before there is something to compute. Every bead is computed
alone and in a fixed order, so its bits depend neither on the other beads of a call nor on threads.
"""

from __future__ import annotations

import threading
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from engine.backends.fused.kernels import arrays
from engine.backends.fused.kernels.arrays import Floats
from engine.backends.fused.layout import Layout, Tie
from engine.backends.fused.rules import rates_of, rule_of, slots_of
from engine.spec.training import GROWTH_PARTS, Training
from engine.steps.walks import Walks

if TYPE_CHECKING:
    from engine.steps.rows import Rows

Split = Literal["train", "held_out"]


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
        from engine.backends.fused.kernels import calls

        self.layout = layout
        self._calls = calls
        self._net = arrays.net(
            layout.sizes, layout.bias, layout.activation, layout.output_activation, layout.loss
        )
        self._given = np.asarray(x), np.asarray(y), x_held_out, y_held_out
        self.dtype = self._given[0].dtype
        self._elsewhere: dict[str, FusedProblem] = {}
        """The problem in other precisions, made when first asked for."""
        self._rooms = threading.local()
        """The arrays that each thread computes in."""
        self._table = self._samples(x, y)
        self._train = arrays.cut(self._table)
        self._held_out: arrays.Blocks | None = None
        if x_held_out is not None and y_held_out is not None and np.size(y_held_out):
            self._held_out = arrays.cut(self._samples(x_held_out, y_held_out))

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
        batches: ArrayLike | Walks | None = None,
        decays: ArrayLike | None = None,
        checks: int = 1,
    ) -> None:
        """Takes `checks` times `check_every` steps of every row at most, and changes rows in place.

        On all samples each step sees the loss, and a row stops at the very step that reaches its
        target. On `batches`, sample numbers (bead, step, sample) or walks, the loss on all samples
        is evaluated before every `check_every` steps. The round of a row ends once the row has
        ended or its mini-batch is to double. A loss counts as lower when it is lower by the share
        `improvement`. `decays` (param,) is 1 for each weight that decays and 0 for the others; all
        decay where it is left out.
        """
        self._calls.advance(*self._call(training, rows, improvement, batches, decays, checks))

    def advance_string(
        self,
        training: Training,
        rows: Rows,
        improvement: float,
        tie: Tie,
        batches: ArrayLike | None = None,
        decays: ArrayLike | None = None,
    ) -> None:
        """Takes at most `check_every` steps of the rows of one string, and changes them in place.

        The rows that go at the beginning take each step together, on samples as in `advance`. Then
        the loss on all samples is evaluated where it is not known from a step. Where the tie is
        hard, the beads are spread along the string, and those that moved are evaluated again.
        """
        call = self._call(training, rows, improvement, batches, decays)
        beads, theta = len(rows), np.asarray(rows.theta)
        work = arrays.Work(
            np.empty_like(theta),
            np.empty_like(theta),
            np.empty(beads),
            np.empty(beads, np.bool_),
            np.empty(beads, np.bool_),
        )
        how = arrays.Tie(int(tie.hard), float(tie.kappa), float(tie.zeta))
        call = (*call, how, work)
        self._calls.advance_string(*call)

    def _call(
        self,
        training: Training,
        rows: Rows,
        improvement: float,
        batches: ArrayLike | Walks | None,
        decays: ArrayLike | None,
        checks: int = 1,
    ) -> tuple[Any, ...]:
        """Returns the arguments of a compiled round."""
        beads = len(rows.theta)
        theta = _in_place(rows.theta, self.dtype, (beads, self.layout.parameter_count))
        count, samples = training.check_every * checks, len(self._table.x)
        drawn = self._drawn(batches, beads, count)
        rates = rates_of(training, rows.steps, count, drawn.size or samples, samples)
        which = np.empty(0, self.dtype) if decays is None else _array(decays, self.dtype)
        if which.shape not in ((0,), theta.shape[1:]):
            raise ValueError(f"decays are {which.shape}, not {theta.shape[1:]}")
        rule = rule_of(training, rates, which)
        slow, square = (self._slot(name, rows, theta) for name in slots_of(training.optimizer))

        def column(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
            return _in_place(values, dtype, (beads,))

        return (
            self._net,
            self._train,
            self._table,
            self._room(theta),
            rule,
            arrays.Budget(
                training.check_every,
                training.max_steps,
                float(improvement),
                checks,
                GROWTH_PARTS if training.grow_batch else 0,
            ),
            arrays.Rows(
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
            drawn,
            np.empty(0, np.int64),
        )

    def _drawn(self, batches: ArrayLike | Walks | None, beads: int, steps: int) -> arrays.Drawn:
        """Returns the sample numbers of a round of `steps` steps. Raises ValueError."""
        if batches is None:
            return arrays.Drawn(np.empty(0, np.int64), np.zeros(beads, np.int64), 0, 1)
        if isinstance(batches, Walks):
            order, places = _array(batches.order, np.int64), _array(batches.starts, np.int64)
            _check_numbers(order, len(self._table.x))
            if places.shape != (beads,) or len(order) < batches.samples + batches.size:
                raise ValueError(f"walks of {places.shape} rows on {len(order)} places")
            return arrays.Drawn(order, places, batches.size, batches.samples)
        numbers = self._numbers(batches, (beads, steps))
        size = numbers.shape[2]
        return arrays.Drawn(
            numbers.reshape(-1), np.arange(beads) * (steps * size), size, numbers.size
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
            self._calls.measure(
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

    def _room(self, theta: Floats) -> arrays.Scratch:
        """Returns the arrays that a call computes in, those of this thread's calls before."""
        if not hasattr(self._rooms, "own"):
            self._rooms.own = arrays.room(self._net, self._table, theta)
        own: arrays.Scratch = self._rooms.own
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

    def _slot(self, name: str | None, rows: Rows, theta: Floats) -> Floats:
        """Returns an array of the optimizer's state, (bead, param); (bead, 0) without a name."""
        if name is None:
            return np.empty((len(theta), 0), self.dtype)
        return _in_place(rows.state[name], self.dtype, theta.shape)

    def _samples(self, x: ArrayLike, y: ArrayLike) -> arrays.Table:
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
        return arrays.Table(_array(rows, self.dtype), targets)


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
