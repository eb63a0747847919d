"""Compiled networks against torch in float64, torch.optim and the trainer's own rounds."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.backends.fused.layout import Layout
from engine.backends.fused.problem import FusedProblem
from engine.backends.rounds import advance
from engine.networks.modules.mlp import ACTIVATIONS
from engine.problem.losses import LOSSES
from engine.problem.problem import Problem, build_problem
from engine.spec.optimizers import Adam, Optimizer
from engine.spec.problem import ProblemSpec
from engine.spec.training import Training
from engine.spec.validation import validated
from engine.steps.groups import Group
from engine.steps.judge import IMPROVEMENT
from engine.steps.mini_batches import mini_batches
from engine.steps.optimizers import build_optimizer
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Rows, fresh
from engine.steps.walks import walks
from tests.support.torch_recipes import BLOCKS, OPTIMIZERS, TorchRecipe
from tests.support.workers import vmapped

pytest.importorskip("numba")

Floats = NDArray[Any]
PRECISIONS: list[Any] = [np.float32, np.float64]
#: Relative, of losses and gradients.
ROUNDING = {np.float32: 1e-5, np.float64: 1e-12}


@dataclass(frozen=True)
class Case:
    layout: Layout
    x: NDArray[np.float64]
    y: NDArray[Any]

    def problem(self, dtype: Any, held_out: int = 0) -> FusedProblem:
        """With the last samples held out."""
        x, y, end = self.x.astype(dtype), self.y, len(self.x) - held_out
        return FusedProblem(self.layout, x[:end], y[:end], x[end:], y[end:])

    def weights(self, beads: int, seed: int = 3) -> NDArray[np.float64]:
        """Exact in float32."""
        rng = np.random.default_rng(seed)
        drawn = rng.normal(0, 0.6, (beads, self.layout.parameter_count))
        return drawn.astype(np.float32).astype(np.float64)


def case(layout: Layout, samples: int, seed: int = 8) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.2, 1.0, (samples, layout.sizes[0])).astype(np.float32)
    if layout.loss == "cross_entropy":
        y: NDArray[Any] = rng.integers(0, layout.sizes[-1], samples)
    else:
        y = rng.normal(0.1, 1.0, (samples, layout.sizes[-1])).astype(np.float32)
    return Case(layout, x.astype(np.float64), y)


def reference(of: Case, theta: Floats, numbers: Any = slice(None)) -> tuple[float, Floats]:
    """Mean loss and gradient of one weight vector in float64, by autograd."""
    layout, at = of.layout, 0
    leaf = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    values = torch.from_numpy(of.x[numbers])
    layers = list(pairwise(layout.sizes))
    for number, (i, o) in enumerate(layers):
        weight, at = leaf[at : at + i * o].view(o, i), at + i * o
        values = values @ weight.T
        if layout.bias:
            values, at = values + leaf[at : at + o], at + o
        last = number == len(layers) - 1
        values = ACTIVATIONS[layout.output_activation if last else layout.activation](values)
    assert at == layout.parameter_count
    y = torch.from_numpy(of.y[numbers])
    loss = LOSSES[layout.loss](values, y.double() if y.is_floating_point() else y).mean()
    (grad,) = torch.autograd.grad(loss, leaf)
    return loss.item(), grad.numpy()


def assert_near(found: Floats, expected: Floats, rounding: float) -> None:
    """In proportion to the largest entry."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding * np.abs(expected).max())


# ---------------------------------------------------------------- losses and gradients


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("loss", ["mse", "l1", "cross_entropy"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_losses_and_gradients_are_those_of_autograd(
    dtype: Any,
    loss: Literal["mse", "l1", "cross_entropy"],
    bias: bool,
    activation: Literal["relu", "sigmoid", "tanh"],
) -> None:
    """Sizes with and without a rest by four; one sample, a part of a block, several blocks."""
    for sizes in ((1, 4, 4, 1), (3, 9, 6, 5), (64, 32, 10), (7, 2)):
        if loss == "cross_entropy" and sizes[-1] == 1:
            continue
        for samples in (1, 37, 256, 700):
            of = case(Layout(sizes, bias, activation, "identity", loss), samples)
            theta = of.weights(2)
            problem = of.problem(dtype)
            losses, grads = problem.loss_and_grad(theta.astype(dtype))
            assert losses.dtype == grads.dtype == dtype
            assert losses.tobytes() == problem.losses(theta.astype(dtype)).tobytes()
            for bead in range(2):
                expected, slope = reference(of, theta[bead])
                assert losses[bead] == pytest.approx(expected, rel=ROUNDING[dtype])
                assert_near(grads[bead], slope, ROUNDING[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("output", ["relu", "sigmoid", "tanh"])
def test_activations_of_the_outputs(dtype: Any, output: Literal["relu", "sigmoid", "tanh"]) -> None:
    of = case(Layout((2, 5, 3), True, "tanh", output, "mse"), 90)
    theta = of.weights(1)
    losses, grads = of.problem(dtype).loss_and_grad(theta.astype(dtype))
    expected, slope = reference(of, theta[0])
    assert losses[0] == pytest.approx(expected, rel=ROUNDING[dtype])
    assert_near(grads[0], slope, ROUNDING[dtype])


def test_dead_units_get_no_gradient() -> None:
    of = case(Layout((3, 6, 2), True, "relu", "identity", "mse"), 300)
    theta = of.weights(1)
    theta[0, 18:22] = -1e3  # the biases of four hidden units
    losses, grads = of.problem(np.float32).loss_and_grad(theta.astype(np.float32))
    expected, slope = reference(of, theta[0])
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert_near(grads[0], slope, 1e-5)
    assert not grads[0, :12].any() and not grads[0, 18:22].any()
    assert grads[0, 12:18].any()


def test_sums_over_many_samples_stay_accurate() -> None:
    """A hundred thousand like terms: float32 alone would lose three digits."""
    of = case(Layout((1, 1), True, "relu", "identity", "mse"), 100_001)
    of = replace(of, y=of.y * np.float32(1e-3) + np.float32(7.3))
    theta = np.array([[0.01, 0.3]], np.float32)
    losses, grads = of.problem(np.float32).loss_and_grad(theta)
    expected, slope = reference(of, theta[0])
    assert losses[0] == pytest.approx(expected, rel=5e-7)
    np.testing.assert_allclose(grads[0], slope, rtol=2e-6)


def test_each_bead_on_a_mini_batch_of_its_own() -> None:
    of = case(Layout((5, 7, 4), True, "sigmoid", "identity", "cross_entropy"), 400)
    theta = of.weights(3)
    batches = np.random.default_rng(4).integers(0, 400, (3, 301))  # two blocks, one ragged
    losses, grads = of.problem(np.float32).loss_and_grad_on(theta.astype(np.float32), batches)
    for bead in range(3):
        expected, slope = reference(of, theta[bead], batches[bead])
        assert losses[bead] == pytest.approx(expected, rel=1e-5)
        assert_near(grads[bead], slope, 1e-5)


def test_held_out_losses() -> None:
    of = case(Layout((2, 4, 1), True, "relu", "identity", "l1"), 333)
    theta = of.weights(2)
    problem = of.problem(np.float64, held_out=40)
    assert problem.losses(theta, "held_out") == pytest.approx(
        [reference(of, row, slice(293, None))[0] for row in theta], rel=1e-12
    )
    assert problem.losses(theta) == pytest.approx(
        [reference(of, row, slice(0, 293))[0] for row in theta], rel=1e-12
    )
    assert np.isnan(of.problem(np.float64).losses(theta, "held_out")).all()


def test_losses_between_weights() -> None:
    of = case(Layout((2, 4, 1), False, "tanh", "identity", "mse"), 60)
    left, right = of.weights(3, seed=1), of.weights(3, seed=2)
    rows, t = np.array([2, 0, 0, 1, 2]), np.array([0.3, 0.0, 0.9, 1.0, 0.5])
    problem = of.problem(np.float64)
    points = left[rows] + t[:, None] * (right[rows] - left[rows])
    found = problem.interpolated(left, right, rows, t)
    assert found == pytest.approx(problem.losses(points), rel=1e-13)
    assert found[1] == problem.losses(left)[0]
    assert found[3] == problem.losses(right)[1]


def test_another_precision_of_the_same_problem() -> None:
    of = case(Layout((2, 4, 1), False, "tanh", "identity", "mse"), 60)
    theta = of.weights(2)
    single = of.problem(np.float32, held_out=10)
    double = single.to("float64")
    assert single.to(np.float32) is single
    for split in ("train", "held_out"):
        expected = of.problem(np.float64, held_out=10).losses(theta, split)
        assert double.losses(theta, split).tobytes() == expected.tobytes()


def test_tensors_are_looked_at_where_they_lie() -> None:
    of = case(Layout((2, 3, 1), True, "relu", "identity", "mse"), 20)
    x, y = torch.from_numpy(of.x).float(), torch.from_numpy(of.y)
    theta = torch.from_numpy(of.weights(2)).float()
    found = FusedProblem(of.layout, x, y).losses(theta)
    assert found == pytest.approx(of.problem(np.float64).losses(of.weights(2)), rel=1e-5)


# ---------------------------------------------------------------- training


def how(optimizer: Optimizer, **keys: Any) -> Training:
    keys = {"max_steps": 10_000, "patience": 10_000, "check_every": 50} | keys
    return Training(optimizer=optimizer, **keys)


def rows_of(theta: Floats, training: Training, target: float = 1e-12) -> Rows:
    slots = build_optimizer(training.optimizer).slots
    start = torch.from_numpy(theta.copy())
    return fresh(start, slots, target, training.patience, range(30, 30 + len(theta)))


def some_of(rows: Rows, which: slice) -> Rows:
    """Copies of some rows."""
    return rows.part(list(range(len(rows)))[which])


def bits(rows: Rows) -> list[bytes]:
    return [part.numpy().tobytes() for part in (*parts_of(rows), *rows.state.values())]


def parts_of(rows: Rows) -> list[Tensor]:
    return [values for values in vars(rows).values() if isinstance(values, Tensor)]


@pytest.fixture(scope="module")
def wave() -> Case:
    """y = sin 3x."""
    of = case(Layout((1, 6, 3, 1), True, "tanh", "identity", "mse"), 130)
    return replace(of, y=np.sin(3 * of.x).astype(np.float32))


@pytest.mark.parametrize("on_batches", [False, True], ids=["all", "batches"])
@pytest.mark.parametrize("name", BLOCKS)
def test_fifty_steps_are_those_of_torch_optim(wave: Case, name: str, on_batches: bool) -> None:
    """Two rounds of 25 steps. The last ten weights do not decay."""
    optimizer, keys = BLOCKS[name]
    training = how(optimizer, check_every=25, **keys)
    theta, decays = wave.weights(2), np.ones(wave.layout.parameter_count)
    decays[-10:] = 0
    batches = np.random.default_rng(6).integers(0, 130, (2, 50, 17)) if on_batches else None
    rows, problem = rows_of(theta.astype(np.float32), training), wave.problem(np.float32)
    for first in (0, 25):
        some = None if batches is None else batches[:, first : first + 25]
        problem.advance(training, rows, IMPROVEMENT, some, decays)
    assert np.asarray(rows.steps).tolist() == [50, 50]
    for bead in range(2):
        leaves = [torch.from_numpy(part.copy()) for part in np.split(theta[bead], [-10])]
        theirs = TorchRecipe(training, leaves, [True, False])
        for step in range(50):
            numbers = slice(None) if batches is None else batches[bead, step]
            _, grad = reference(wave, torch.cat(leaves).numpy(), numbers)
            theirs.step(*torch.split(torch.from_numpy(grad), [len(leaf) for leaf in leaves]))
        moved = torch.cat(leaves).numpy()
        assert np.abs(moved - theta[bead]).max() > 1e-3
        np.testing.assert_allclose(np.asarray(rows.theta)[bead], moved, rtol=0, atol=2e-5)


def polynomial() -> Problem:
    tree = {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 50},
        "network": {"kind": "mlp", "sizes": [1, 4, 4, 1], "activation": "tanh"},
        "loss": "mse",
    }
    return build_problem(validated(ProblemSpec, tree))


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_rounds_end_as_those_of_the_trainer(batch_size: Any) -> None:
    """Rows that reach their target, run out of steps, get stuck, and go on."""
    problem = polynomial()
    layout = Layout((1, 4, 4, 1), True, "tanh", "identity", "mse")
    ours = FusedProblem(layout, problem.train.x, problem.train.y)
    training = how(
        Adam(kind="adam", lr=0.02),
        batch_size=batch_size,
        max_steps=150,
        patience=60,
        check_every=20,
    )
    starts = torch.stack([problem.initial(seed) for seed in (4, 5, 6, 7)])
    rows = rows_of(starts.numpy(), training)
    rows.target[:] = torch.tensor([2e-2, 1e-12, 1e-12, 4e-3])
    rows.patience[:] = torch.tensor([60, 60, 5, 60])
    theirs = [Group((n,), rows.part(slice(n, n + 1))) for n in range(4)]
    backend, recipe = vmapped(problem), Recipe(training)
    ended: dict[int, int] = {}
    for _ in range(10):
        batches = None
        if batch_size != "full":
            batches = mini_batches(rows.seeds, rows.steps.tolist(), 20, 16, 50)
        going = [group for group in theirs if group.going]
        moved = advance(backend, recipe, going) if going else []
        after = {group.beads: group for group in moved}
        theirs = [after.get(group.beads, group) for group in theirs]
        ours.advance(training, rows, IMPROVEMENT, batches)
        for n, group in enumerate(theirs):
            row = group.rows
            assert rows.steps[n].item() == pytest.approx(row.steps.item(), abs=1)
            assert rows.best_step[n].item() == pytest.approx(row.best_step.item(), abs=1)
            assert rows.loss[n].item() == pytest.approx(row.loss.item(), rel=1e-3)
            assert rows.best[n].item() == pytest.approx(row.best.item(), rel=1e-3)
            assert rows.end[n] == row.end
            if not group.going:
                ended.setdefault(n, int(row.steps))
    assert len(ended) == 4
    assert len(set(ended.values())) > 2
    assert 150 in ended.values()


def test_a_row_stops_at_the_very_step_that_reaches_its_target(wave: Case) -> None:
    """One round of 200 steps against 200 rounds of one."""
    spec = Adam(kind="adam", lr=0.02)
    start, problem = wave.weights(1).astype(np.float32), wave.problem(np.float32)
    target = 0.3 * float(problem.losses(start)[0])
    once = rows_of(start, how(spec), target)
    problem.advance(how(spec, check_every=200), once, IMPROVEMENT)
    each, path = rows_of(start, how(spec), target), []
    for _ in range(200):
        path.append(float(problem.losses(each.theta)[0]))
        problem.advance(how(spec, check_every=1), each, IMPROVEMENT)
        assert np.asarray(each.loss)[0] == np.float32(path[-1])
    (steps,) = np.asarray(once.steps).tolist()
    assert 5 < steps < 200
    assert path[steps] <= target < min(path[:steps])
    assert once.end[0] == End.REACHED
    assert bits(once) == bits(each)


@pytest.mark.parametrize("on_batches", [False, True], ids=["all", "batches"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bits_depend_neither_on_the_batch_nor_on_the_threads(
    wave: Case, name: str, on_batches: bool
) -> None:
    training, problem = how(OPTIMIZERS[name], check_every=30), wave.problem(np.float32)
    start = rows_of(wave.weights(5).astype(np.float32), training)
    numbers = np.random.default_rng(6).integers(0, 130, (5, 30, 17)) if on_batches else None

    def trained(which: slice) -> list[bytes]:
        rows = some_of(start, which)
        batches = None if numbers is None else numbers[which]
        problem.advance(training, rows, IMPROVEMENT, batches)
        _, grads = problem.loss_and_grad(rows.theta)
        return [*bits(some_of(rows, slice(-1, None))), grads[-1].tobytes()]

    together = trained(slice(0, 5))
    assert trained(slice(4, 5)) == together
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(trained, [slice(1, 5), slice(4, 5), slice(0, 5)])) == [together] * 3


def test_bits_do_not_depend_on_where_rounds_are_cut(wave: Case) -> None:
    spec, problem = OPTIMIZERS["rmsprop-momentum"], wave.problem(np.float32)
    once = rows_of(wave.weights(2).astype(np.float32), how(spec))
    pieces = some_of(once, slice(None))
    problem.advance(how(spec, check_every=35), once, IMPROVEMENT)
    for steps in (20, 1, 14):
        problem.advance(how(spec, check_every=steps), pieces, IMPROVEMENT)
    assert bits(once) == bits(pieces)


@pytest.mark.parametrize("on_batches", [False, True], ids=["all", "batches"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_weights_that_are_not_finite_end_their_row_alone(
    activation: Literal["relu", "sigmoid", "tanh"], bad: float, on_batches: bool
) -> None:
    of = case(Layout((2, 4, 4, 1), True, activation, "identity", "mse"), 50)
    training, problem = how(OPTIMIZERS["adam"], check_every=9), of.problem(np.float32)
    batches = np.random.default_rng(6).integers(0, 50, (3, 9, 17)) if on_batches else None
    theta = of.weights(3).astype(np.float32)
    expected = rows_of(theta, training)
    problem.advance(training, expected, IMPROVEMENT, batches)
    theta[1, -3] = bad  # a weight of the last layer
    assert np.isfinite(problem.losses(theta)).tolist() == [True, False, True]
    rows = rows_of(theta, training)
    problem.advance(training, rows, IMPROVEMENT, batches)
    assert rows.end.tolist() == [End.GOING, End.DIVERGED, End.GOING]
    assert np.asarray(rows.steps).tolist() == [9, 0, 9]
    assert np.asarray(rows.theta)[1].tobytes() == theta[1].tobytes()
    for which in (slice(0, 1), slice(2, 3)):
        assert bits(some_of(rows, which)) == bits(some_of(expected, which))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("loss", ["mse", "l1", "cross_entropy"])
def test_a_nan_comes_through_every_activation_and_loss(
    activation: Literal["relu", "sigmoid", "tanh"], loss: Literal["mse", "l1", "cross_entropy"]
) -> None:
    of = case(Layout((2, 4, 3), True, activation, activation, loss), 50)
    for place in (0, 9, 14, -1):  # a first weight, a first bias, a last weight, a last bias
        theta = of.weights(1).astype(np.float32)
        theta[0, place] = np.nan
        assert np.isnan(of.problem(np.float32).losses(theta)[0])


COMPUTED = """
import numpy as np
from engine.backends.fused.layout import Layout
from engine.backends.fused.problem import FusedProblem
rng = np.random.default_rng(1)
layout = Layout((7, 5, 3), True, "tanh", "identity", "l1")
x = rng.normal(size=(700, 7)).astype("float32")
problem = FusedProblem(layout, x, rng.normal(size=(700, 3)).astype("float32"))
theta = rng.normal(size=(20, layout.parameter_count)).astype("float32")
for part in problem.loss_and_grad(theta):
    print(part.tobytes().hex())
"""


def test_the_session_that_compiles_computes_the_same_bits_as_later_ones(tmp_path: Path) -> None:
    environment = os.environ | {"DSS_TUI_CACHE": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", COMPUTED],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        for _ in range(2)
    )
    assert list(tmp_path.rglob("measure-*"))
    assert len(first) > 8 * 20 * 58
    assert first == second


# ---------------------------------------------------------------- what does not fit


def test_what_does_not_fit_is_refused_before_compiled_code_sees_it(wave: Case) -> None:
    problem, theta = wave.problem(np.float32), wave.weights(2).astype(np.float32)
    training = how(OPTIMIZERS["adam"])
    rows = rows_of(theta, training)
    batches = np.zeros((2, 50, 3), np.int64)
    stateless = replace(rows, state=dict.fromkeys(rows.state, torch.zeros(1)))
    for wrong in (
        lambda: problem.losses(theta[:, 1:]),
        lambda: problem.losses(theta.astype(np.float64)),
        lambda: problem.loss_and_grad_on(theta, np.array([[0, 130], [1, 2]])),
        lambda: problem.loss_and_grad_on(theta, np.array([[0, -1], [1, 2]])),
        lambda: problem.loss_and_grad_on(theta, np.array([[0, 1]])),
        lambda: problem.interpolated(theta, theta[:1], [0], [0.5]),
        lambda: problem.interpolated(theta, theta, [2], [0.5]),
        lambda: problem.interpolated(theta, theta, [0, 1], [0.5]),
        lambda: problem.advance(training, replace(rows, theta=rows.theta.T), 0.0),
        lambda: problem.advance(training, replace(rows, steps=rows.steps[[0, 1, 1]]), 0.0),
        lambda: problem.advance(training, replace(rows, best=rows.best.double()), 0.0),
        lambda: problem.advance(training, stateless, 0.0),
        lambda: problem.advance(training, rows, 0.0, batches[:, :49]),
        lambda: problem.advance(training, rows, 0.0, batches + 130),
        lambda: problem.advance(training, rows, 0.0, walks([1], [0], 3, 130)),
        lambda: problem.advance(training, rows, 0.0, walks([1, 2], [0, 0], 3, 131)),
        lambda: problem.advance(
            training, rows, 0.0, replace(walks([1, 2], [0, 0], 3, 130), size=4)
        ),
        lambda: FusedProblem(wave.layout, wave.x[:, :0], wave.y),
        lambda: FusedProblem(wave.layout, wave.x, wave.y[1:]),
        lambda: FusedProblem(wave.layout, wave.x[:0], wave.y[:0]),
        lambda: FusedProblem(replace(wave.layout, loss="cross_entropy"), wave.x, wave.y[:, 0] * 9),
    ):
        with pytest.raises(ValueError, match=r"\d|no samples|contiguous"):
            wrong()
    assert np.asarray(rows.theta).tobytes() == theta.tobytes()


def test_importing_it_costs_neither_numba_nor_torch() -> None:
    code = (
        "import sys, engine.backends.fused.problem\n"
        "print({'numba', 'llvmlite', 'torch'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
