"""Whole strings in training: even spacing, and what moves a bead in a round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.problem.problem import Problem, build_problem
from engine.spec.keys import Adam, Constrained, RmsProp, Sgd
from engine.steps.optimizers import build_optimizer
from engine.training.strings import EVEN, StringRound, TrainedString, _Batch, evenly_spaced, spread
from engine.training.strings import unevenness as spacing_error
from tests.support.landscapes import landscape, ring, spec_for

DOUBLE = torch.float64


def bent(seed: int, beads: int = 9, size: int = 3) -> Tensor:
    """A smooth arc with beads at uneven places."""
    generator = torch.Generator().manual_seed(seed)
    steps = 0.2 + torch.rand(beads - 1, generator=generator, dtype=DOUBLE)
    angle = 2 * torch.cat([torch.zeros(1, dtype=DOUBLE), steps.cumsum(0) / steps.sum()])
    rest = [0.1 * angle * (k + seed + 1) for k in range(size - 2)]
    return torch.stack([angle.cos(), angle.sin(), *rest], dim=1)


def ends_of(*strings: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the first and of the last rows of strings that are joined."""
    counts = np.array([len(string) for string in strings])
    last = counts.cumsum() - 1
    return last - counts + 1, last


def spread_one(theta: Tensor) -> Tensor:
    return spread(theta, *ends_of(theta))


def spread_together(strings: list[Tensor]) -> list[Tensor]:
    first, last = ends_of(*strings)
    spaced = spread(torch.cat(strings), first, last)
    return [spaced[a : b + 1] for a, b in zip(first, last, strict=True)]


def distance_to_polyline(point: Tensor, line: Tensor) -> float:
    start, along = line[:-1], line[1:] - line[:-1]
    t = ((point - start) * along).sum(1) / along.square().sum(1)
    return float((start + t.clamp(0, 1)[:, None] * along - point).norm(dim=1).min())


# ---------------------------------------------------------------- even spacing


@pytest.mark.parametrize("seed", range(5))
def test_evenly_spaced_beads_are_equally_far_apart_and_the_ends_stay(seed: int) -> None:
    before = bent(seed)
    after = evenly_spaced(before)
    lengths = (after[1:] - after[:-1]).norm(dim=1)
    assert spacing_error(before) > 0.01
    assert float((lengths - lengths.mean()).abs().max() / lengths.mean()) <= EVEN == 1e-6
    assert torch.equal(after[[0, -1]], before[[0, -1]])
    chord = after[2:] - after[:-2]
    off = ((after[1:-1] - (after[2:] + after[:-2]) / 2) * chord).sum(1)
    assert float((off / chord.square().sum(1)).abs().max()) < 1e-6  # equidistant from both


def test_one_pass_keeps_beads_on_the_old_polyline_in_even_shares_of_its_length() -> None:
    before = bent(1)
    after = spread_one(before)
    assert torch.equal(after[[0, -1]], before[[0, -1]])
    assert not torch.equal(after, before)
    assert max(distance_to_polyline(bead, before) for bead in after) < 1e-12
    arc = torch.cat([torch.zeros(1, dtype=DOUBLE), (before[1:] - before[:-1]).norm(dim=1)])
    arc = arc.cumsum(0)
    for number, bead in enumerate(after[1:-1], 1):
        target = arc[-1] * number / (len(before) - 1)
        left = int((arc <= target).sum()) - 1
        assert float((bead - before[left]).norm()) == pytest.approx(float(target - arc[left]))


def test_strings_in_one_call_do_not_touch_each_other() -> None:
    strings = [bent(0, 7), 3 + bent(1, 2), bent(2, 12), torch.ones(4, 3, dtype=DOUBLE), bent(3, 3)]
    together = spread_together(strings)
    for string, part in zip(strings, together, strict=True):
        torch.testing.assert_close(part, spread_one(string), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_diverged_string_does_not_touch_those_beside_it(bad: float) -> None:
    diverged, healthy = bent(0, 5), bent(1, 6)
    diverged[2, 0] = bad
    _, after = spread_together([diverged, healthy])
    before, _ = spread_together([healthy, diverged])
    for found in (after, before):
        torch.testing.assert_close(found, spread_one(healthy), rtol=0, atol=1e-12)


def test_degenerate_strings_stay_finite() -> None:
    two = bent(0, 2)
    assert torch.equal(evenly_spaced(two), two)
    assert torch.equal(spread_one(two), two)
    point = torch.ones(5, 3)
    assert torch.equal(spread_one(point), point)
    assert torch.equal(evenly_spaced(point), point)
    doubled = bent(0, 6)
    doubled[3] = doubled[2]
    doubled[1] = doubled[0]
    assert bool(spread_one(doubled).isfinite().all())
    assert spacing_error(evenly_spaced(doubled)) <= EVEN
    closed = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert bool(evenly_spaced(closed).isfinite().all())


def test_spacing_keeps_the_precision_of_the_weights() -> None:
    assert spread_one(bent(0).float()).dtype == torch.float32


# ---------------------------------------------------------------- rounds


def string_of(
    theta: Tensor,
    training: Constrained,
    problem: Problem,
    level: float,
    held: tuple[bool, bool] = (False, False),
    seed: int = 0,
) -> TrainedString:
    """A string at its start, its losses looked at."""
    count = torch.zeros(len(theta), dtype=torch.int64)
    loss = problem.losses(theta)
    slots = build_optimizer(training.optimizer).slots
    return TrainedString(
        theta=theta,
        state={slot: torch.zeros_like(theta) for slot in slots},
        steps=count,
        loss=loss,
        best=torch.full_like(loss, torch.inf),
        best_step=count.clone(),
        seeds=tuple(100 * seed + bead for bead in range(len(theta))),
        level=level,
        held=held,
    )


def constrained(**values: object) -> Constrained:
    chosen = {"optimizer": Sgd(kind="sgd", lr=0.02), "hyperplane": "off"} | values
    return Constrained.model_validate(chosen)


def rows_around_the_hill(seed: int, beads: int = 7) -> Tensor:
    """A crooked line over the hill of the ring: some beads low, some high."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(-1, 1, beads, dtype=DOUBLE)
    return torch.stack([x, 0.2 * torch.randn(beads, generator=generator, dtype=DOUBLE)], dim=1)


def ring_problem() -> Problem:
    return landscape(ring).to(dtype=DOUBLE)


def test_only_beads_above_the_level_move_and_held_ends_never() -> None:
    problem, training = ring_problem(), constrained()
    theta = rows_around_the_hill(0)
    level = float(problem.losses(theta).median())
    (after,) = StringRound(training, 3)(problem, [string_of(theta, training, problem, level)])
    low = problem.losses(theta) <= level
    moved = (after.theta != theta).any(1)
    assert low.any()
    assert (~low).any()
    assert torch.equal(moved, ~low)
    assert torch.equal(after.steps > 0, ~low)
    torch.testing.assert_close(after.loss, problem.losses(after.theta))
    (held,) = StringRound(training, 3)(
        problem, [string_of(theta, training, problem, 1e-9, (True, True))]
    )
    assert (held.theta != theta).any(1).tolist() == [False, *[True] * 5, False]
    (left,) = StringRound(training, 3)(
        problem, [string_of(theta, training, problem, 1e-9, (True, False))]
    )
    assert (left.theta != theta).any(1).tolist() == [False, *[True] * 6]


def test_a_bead_stops_at_the_step_that_brings_it_to_the_level() -> None:
    problem, level = ring_problem(), 0.1
    string = string_of(rows_around_the_hill(0), constrained(), problem, level)
    many = constrained(check_every=200)
    (after,) = StringRound(many, 3)(problem, [string])
    assert after.settled
    one = constrained(check_every=1)
    steps = []
    for _ in range(200):
        (string,) = StringRound(one, 3)(problem, [string])
        steps.append(string.moving)
    torch.testing.assert_close(after.theta, string.theta)
    assert torch.equal(after.steps, string.steps)
    assert len(set(after.steps.tolist())) > 2


@pytest.mark.parametrize(
    "optimizer", [Sgd(kind="sgd", momentum=0.9), RmsProp(kind="rmsprop"), Adam(kind="adam")]
)
def test_hard_takes_the_step_along_the_chord_out(optimizer: Sgd | RmsProp | Adam) -> None:
    problem = ring_problem()
    training = constrained(optimizer=optimizer, hyperplane="hard", check_every=1, zeta=0.1)
    string = string_of(rows_around_the_hill(2), training, problem, 0.2)
    for _ in range(4):  # the optimizer's state has grown by then
        theta = string.theta
        batch = _Batch(problem, training, [string])
        batch.steps_on_all_data()
        moved = batch.theta - theta
        chord = torch.nn.functional.normalize(theta[2:] - theta[:-2])
        size = moved.norm(dim=1).max()
        assert float((moved[1:-1] * chord).sum(1).abs().max()) <= 1e-12 * float(size)
        inner = moved[1:-1].norm(dim=1) > 0
        assert torch.equal(inner, string.moving[1:-1])
        assert inner.any()
        (string,) = batch.unstack([string])


def test_without_the_hyperplane_steps_have_a_part_along_the_chord() -> None:
    """And hard changes nothing else: what is left is the free step without that part."""
    problem, theta = ring_problem(), rows_around_the_hill(2)
    moves = {}
    for hyperplane in ("off", "hard"):
        training = constrained(hyperplane=hyperplane, check_every=1)
        batch = _Batch(problem, training, [string_of(theta, training, problem, 0.0)])
        batch.steps_on_all_data()
        moves[hyperplane] = batch.theta - theta
    chord = torch.nn.functional.normalize(theta[2:] - theta[:-2])
    along = (moves["off"][1:-1] * chord).sum(1, keepdim=True)
    assert float(along.abs().max()) > 1e-3
    torch.testing.assert_close(moves["hard"][1:-1], moves["off"][1:-1] - along * chord)
    torch.testing.assert_close(moves["hard"][[0, -1]], moves["off"][[0, -1]])


@pytest.mark.parametrize(
    ("hyperplane", "zeta", "kappa"),
    [("off", 0.7, 1.0), ("soft", 0.0, 0.3), ("soft", 0.4, 0.3), ("off", 0.0, 1.0)],
)
def test_tethers_are_the_gradients_of_their_losses(
    hyperplane: str, zeta: float, kappa: float
) -> None:
    """The step of plain SGD at rate 1, less the loss's own gradient, is what tethers add."""
    problem, theta = ring_problem(), bent(4, 8, 2) * 1.3
    training = constrained(
        optimizer=Sgd(kind="sgd", lr=1.0),
        hyperplane=hyperplane,
        zeta=zeta,
        kappa=kappa,
        check_every=1,
    )
    batch = _Batch(problem, training, [string_of(theta, training, problem, 0.0)])
    batch.steps_on_all_data()
    _, own = problem.loss_and_grad(theta)
    found = theta - batch.theta - own
    expected = torch.zeros_like(theta)
    for row in range(1, len(theta) - 1):
        left, right = theta[row - 1], theta[row + 1]
        x = theta[row].clone().requires_grad_()
        chord = (right - left) / (right - left).norm()
        cost = zeta * ((left - x).norm() + (right - x).norm())
        if hyperplane == "soft":
            cost = cost + kappa * ((x - (left + right) / 2) @ chord).abs()
        (expected[row],) = torch.autograd.grad(cost, x)
    assert bool(expected.any()) == (zeta > 0 or hyperplane == "soft")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_tethers_of_coincident_beads_stay_finite() -> None:
    problem = ring_problem()
    theta = rows_around_the_hill(0)
    theta[2] = theta[4] = theta[3]
    for hyperplane in ("hard", "soft", "off"):
        training = constrained(hyperplane=hyperplane, zeta=0.5)
        (after,) = StringRound(training, 3)(
            problem, [string_of(theta, training, problem, 1e-9, (True, True))]
        )
        assert bool(after.theta.isfinite().all())


@pytest.mark.parametrize("hyperplane", ["hard", "soft", "off"])
def test_strings_in_one_batch_do_what_each_does_alone(hyperplane: str) -> None:
    problem = landscape(ring)
    training = constrained(
        optimizer=RmsProp(kind="rmsprop", lr=0.01), hyperplane=hyperplane, zeta=0.05, kappa=0.1
    )
    one_round = StringRound(training, 3)
    strings = [
        string_of(rows_around_the_hill(0).float(), training, problem, 0.3),
        string_of(rows_around_the_hill(1, 2).float() + 0.5, training, problem, 0.05),
        string_of(rows_around_the_hill(2, 12).float(), training, problem, 0.1, (True, True)),
        string_of(rows_around_the_hill(3, 3).float(), training, problem, 10.0),  # all are low
    ]
    together, alone = strings, strings
    for _ in range(5):
        together = one_round(problem, together)
        alone = [one_round(problem, [string])[0] for string in alone]
    for before, one, other in zip(strings, together, alone, strict=True):
        torch.testing.assert_close(one.theta, other.theta, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(one.loss, other.loss, rtol=1e-5, atol=1e-6)
        assert torch.equal(one.steps, other.steps)
        assert torch.equal(one.best_step, other.best_step)
        assert (one.level, one.held, one.seeds) == (before.level, before.held, before.seeds)
    assert not torch.equal(together[0].theta, strings[0].theta)


def test_mini_batches_come_from_each_beads_stream() -> None:
    """Two rounds of five steps take the samples of one round of ten; other seeds take others."""
    problem = build_problem(spec_for(0.1).problem)
    theta = torch.randn(4, problem.parameter_count, generator=torch.Generator().manual_seed(0))
    ten, five = (constrained(batch_size=4, check_every=steps) for steps in (10, 5))
    start = string_of(theta, ten, problem, 0.0, seed=1)
    (whole,) = StringRound(ten, 4)(problem, [start])
    (again,) = StringRound(ten, 4)(problem, [start])
    assert torch.equal(whole.theta, again.theta)
    (half,) = StringRound(five, 4)(problem, [start])
    (halves,) = StringRound(five, 4)(problem, [half])
    assert torch.equal(whole.theta, halves.theta)
    assert halves.steps.tolist() == [10] * 4
    torch.testing.assert_close(halves.loss, problem.losses(halves.theta))
    (other,) = StringRound(ten, 4)(problem, [replace(start, seeds=(7, 8, 9, 10))])
    assert (other.theta != whole.theta).any(1).all()
