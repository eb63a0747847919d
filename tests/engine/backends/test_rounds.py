"""Rounds of training with torch: what moves a row, alone or on a string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.backends.backend import Backend
from engine.backends.round_steps import RoundSteps
from engine.backends.rounds import advance
from engine.methods.tied_string import tether_of
from engine.networks.mlp import MlpNetwork
from engine.problem.problem import build_problem
from engine.run.choosing import backend_of
from engine.spec.optimizers import Adam, RmsProp, Sgd
from engine.spec.schedules import Cosine
from engine.spec.search import Constrained
from engine.spec.training import Clip
from engine.steps.groups import Group
from engine.steps.optimizers import build_optimizer
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows, fresh
from engine.steps.tethers import Hard, Off, Several, Soft, Springs, Tether
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.workers import vmapped

DOUBLE = torch.float64


def string_of(
    theta: Tensor,
    training: Constrained,
    backend: Backend,
    level: float,
    held: tuple[bool, bool] = (False, False),
    seed: int = 0,
) -> Group:
    """A string at its start, its losses looked at."""
    slots = build_optimizer(training.optimizer).slots
    seeds = [100 * seed + bead for bead in range(len(theta))]
    rows = fresh(theta, slots, level, training.patience, seeds)
    rows = rows.with_loss(backend.losses(theta))
    target = rows.target.clone()
    for end, holds in zip((0, -1), held, strict=True):
        if holds:
            target[end] = torch.inf
    return Group(tuple(range(3, 3 + len(theta))), rows.aimed(target))


def round_of(
    training: Constrained,
    backend: Backend,
    groups: Sequence[Group],
    tether: Tether | None = None,
) -> list[Rows]:
    """The rows of each string after one round."""
    recipe = Recipe(training, tether or tether_of(training), evaluate="after")
    return [group.rows for group in advance(backend, recipe, groups)]


@dataclass(frozen=True)
class HardOnly(Hard):
    """The hyperplane without respacing, so that a step can be seen alone."""

    def respace(self, theta: Tensor) -> Tensor:
        return theta


def constrained(**values: object) -> Constrained:
    chosen = {"optimizer": Sgd(kind="sgd", lr=0.02), "hyperplane": "off"} | values
    return Constrained.model_validate(chosen)


def rows_around_the_hill(seed: int, beads: int = 7) -> Tensor:
    """A crooked line over the hill of the ring: some beads low, some high."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(-1, 1, beads, dtype=DOUBLE)
    return torch.stack([x, 0.2 * torch.randn(beads, generator=generator, dtype=DOUBLE)], dim=1)


def ring_backend() -> Backend:
    return vmapped(landscape(ring).to(dtype=DOUBLE))


def test_only_beads_above_the_level_move_and_held_ends_never() -> None:
    backend, training = ring_backend(), constrained()
    theta = rows_around_the_hill(0)
    level = float(backend.losses(theta).median())
    (after,) = round_of(training, backend, [string_of(theta, training, backend, level)])
    low = backend.losses(theta) <= level
    moved = (after.theta != theta).any(1)
    assert low.any()
    assert (~low).any()
    assert torch.equal(moved, ~low)
    assert torch.equal(after.steps > 0, ~low)
    torch.testing.assert_close(after.loss, backend.losses(after.theta))
    (held,) = round_of(training, backend, [string_of(theta, training, backend, 1e-9, (True, True))])
    assert (held.theta != theta).any(1).tolist() == [False, *[True] * 5, False]
    (left,) = round_of(
        training, backend, [string_of(theta, training, backend, 1e-9, (True, False))]
    )
    assert (left.theta != theta).any(1).tolist() == [False, *[True] * 6]


def test_a_bead_stops_at_the_step_that_brings_it_to_the_level() -> None:
    backend, level = ring_backend(), 0.1
    string = string_of(rows_around_the_hill(0), constrained(), backend, level)
    many = constrained(check_every=200)
    (after,) = round_of(many, backend, [string])
    assert not after.going.any()
    one = constrained(check_every=1)
    for _ in range(200):
        (rows,) = round_of(one, backend, [string])
        string = replace(string, rows=rows)
    torch.testing.assert_close(after.theta, rows.theta)
    assert torch.equal(after.steps, rows.steps)
    assert len(set(after.steps.tolist())) > 2


@pytest.mark.parametrize(
    "optimizer", [Sgd(kind="sgd", momentum=0.9), RmsProp(kind="rmsprop"), Adam(kind="adam")]
)
def test_hard_takes_the_step_along_the_chord_out(optimizer: Sgd | RmsProp | Adam) -> None:
    backend = ring_backend()
    training = constrained(optimizer=optimizer, check_every=1)
    tether = Several((Springs(0.1), HardOnly()))
    string = string_of(rows_around_the_hill(2), training, backend, 0.2)
    for _ in range(4):  # the optimizer's state has grown by then
        theta, going = string.rows.theta, string.rows.going
        (rows,) = round_of(training, backend, [string], tether)
        moved = rows.theta - theta
        chord = torch.nn.functional.normalize(theta[2:] - theta[:-2])
        size = moved.norm(dim=1).max()
        assert float((moved[1:-1] * chord).sum(1).abs().max()) <= 1e-12 * float(size)
        inner = moved[1:-1].norm(dim=1) > 0
        assert torch.equal(inner, going[1:-1])
        assert inner.any()
        string = replace(string, rows=rows)


def test_without_the_hyperplane_steps_have_a_part_along_the_chord() -> None:
    """And hard changes nothing else: what is left is the free step without that part."""
    backend, theta = ring_backend(), rows_around_the_hill(2)
    moves = {}
    for name, tether in {"off": Off(), "hard": HardOnly()}.items():
        training = constrained(check_every=1)
        string = string_of(theta, training, backend, 0.0)
        (rows,) = round_of(training, backend, [string], tether)
        moves[name] = rows.theta - theta
    chord = torch.nn.functional.normalize(theta[2:] - theta[:-2])
    along = (moves["off"][1:-1] * chord).sum(1, keepdim=True)
    assert float(along.abs().max()) > 1e-3
    torch.testing.assert_close(moves["hard"][1:-1], moves["off"][1:-1] - along * chord)
    torch.testing.assert_close(moves["hard"][[0, -1]], moves["off"][[0, -1]])


def test_tethers_of_coincident_beads_stay_finite() -> None:
    backend = ring_backend()
    theta = rows_around_the_hill(0)
    theta[2] = theta[4] = theta[3]
    for hyperplane in ("hard", "soft", "off"):
        training = constrained(hyperplane=hyperplane, zeta=0.5)
        (after,) = round_of(
            training, backend, [string_of(theta, training, backend, 1e-9, (True, True))]
        )
        assert bool(after.theta.isfinite().all())


@pytest.mark.parametrize("hyperplane", ["hard", "soft", "off"])
def test_strings_in_one_batch_do_what_each_does_alone(hyperplane: str) -> None:
    backend = vmapped(landscape(ring))
    training = constrained(
        optimizer=RmsProp(kind="rmsprop", lr=0.01), hyperplane=hyperplane, zeta=0.05, kappa=0.1
    )
    strings = [
        string_of(rows_around_the_hill(0).float(), training, backend, 0.3),
        string_of(rows_around_the_hill(1, 2).float() + 0.5, training, backend, 0.05),
        string_of(rows_around_the_hill(2, 12).float(), training, backend, 0.1, (True, True)),
        string_of(rows_around_the_hill(3, 3).float(), training, backend, 10.0),  # all are low
    ]
    together, alone = list(strings), list(strings)
    for _ in range(5):
        found = round_of(training, backend, together)
        together = [replace(s, rows=rows) for s, rows in zip(together, found, strict=True)]
        alone = [replace(s, rows=round_of(training, backend, [s])[0]) for s in alone]
    for before, one, other in zip(strings, together, alone, strict=True):
        torch.testing.assert_close(one.rows.theta, other.rows.theta, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(one.rows.loss, other.rows.loss, rtol=1e-5, atol=1e-6)
        assert torch.equal(one.rows.steps, other.rows.steps)
        assert torch.equal(one.rows.best_step, other.rows.best_step)
        assert torch.equal(one.rows.target, before.rows.target)
        assert one.rows.seeds == before.rows.seeds
    assert not torch.equal(together[0].rows.theta, strings[0].rows.theta)


def test_mini_batches_come_from_each_beads_stream() -> None:
    """Two rounds of five steps take the samples of one round of ten; other seeds take others."""
    problem = build_problem(spec_for(0.1).problem)
    backend = vmapped(problem)
    theta = torch.randn(4, problem.parameter_count, generator=torch.Generator().manual_seed(0))
    ten, five = (constrained(batch_size=4, check_every=steps) for steps in (10, 5))
    start = string_of(theta, ten, backend, 0.0, seed=1)
    (whole,) = round_of(ten, backend, [start])
    (again,) = round_of(ten, backend, [start])
    assert torch.equal(whole.theta, again.theta)
    (half,) = round_of(five, backend, [start])
    (halves,) = round_of(five, backend, [replace(start, rows=half)])
    assert torch.equal(whole.theta, halves.theta)
    assert halves.steps.tolist() == [10] * 4
    torch.testing.assert_close(halves.loss, backend.losses(halves.theta))
    (other,) = round_of(
        ten, backend, [replace(start, rows=replace(start.rows, seeds=(7, 8, 9, 10)))]
    )
    assert (other.theta != whole.theta).any(1).all()


TETHERS: dict[str, Tether] = {
    "off": Off(),
    "hard": Hard(),
    "soft": Soft(0.02),
    "springs": Springs(0.02),
    "hard and springs": Several((Springs(0.02), Hard())),
}


@pytest.mark.parametrize("batch_size", ["full", 8])
@pytest.mark.parametrize("name", TETHERS)
def test_large_strings_take_a_step_a_few_beads_at_a_time_to_the_same_bits(
    name: str, batch_size: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step of a network is for more beads than fit, and none sees a neighbour that has moved."""
    spec = spec_for(0.1).problem
    backend = backend_of("loop", spec, build_problem(spec))
    training = constrained(
        optimizer=Sgd(kind="sgd", lr=0.02, momentum=0.9), batch_size=batch_size, check_every=6
    )
    theta = crooked(backend, 9)
    level = float(backend.losses(theta).median())
    strings = [
        string_of(theta, training, backend, level),
        string_of(theta[:5], training, backend, level / 2, (True, True)),
        string_of(theta[:2], training, backend, level / 2),
    ]
    rows_of_a_step: list[int] = []
    step = RoundSteps._step

    def noted(self: RoundSteps, rows: Rows, *rest: Any, **named: Any) -> Rows:
        rows_of_a_step.append(len(rows))
        return step(self, rows, *rest, **named)

    monkeypatch.setattr(RoundSteps, "_step", noted)
    found = []
    for beads in (99, 2):
        monkeypatch.setattr("engine.steps.pieces.PIECE", beads * theta[0].nbytes)
        rows_of_a_step.clear()
        groups = strings
        for _ in range(3):
            parts = round_of(training, backend, groups, TETHERS[name])
            groups = [replace(s, rows=rows) for s, rows in zip(groups, parts, strict=True)]
        assert (max(rows_of_a_step) <= 2) == (beads == 2)
        found.append(groups)
    for one, other, before in zip(*found, strings, strict=True):
        for a, b in zip(one.rows.tensors, other.rows.tensors, strict=True):
            assert torch.equal(a, b)
        assert not torch.equal(one.rows.theta, before.rows.theta)
    assert torch.equal(strings[0].rows.theta, theta)


# ---------------------------------------------------------------- compiled strings


def small_problem() -> tuple[Backend, Backend]:
    """A small network, compiled and by torch."""
    spec = spec_for(0.1).problem
    spec = spec.model_copy(
        update={"network": MlpNetwork(kind="mlp", sizes=(1, 4, 1), activation="tanh")}
    )
    problem = build_problem(spec)
    return backend_of("fused", spec, problem), vmapped(problem)


def crooked(backend: Backend, beads: int = 6) -> Tensor:
    first, last = (backend.problem.initial(seed) for seed in (1, 2))
    line = torch.lerp(first, last, torch.linspace(0, 1, beads)[:, None])
    noise = torch.randn(line.shape, generator=torch.Generator().manual_seed(3))
    noise[[0, -1]] = 0
    return line + 0.2 * noise


PLAIN: dict[str, Any] = {"optimizer": Adam(kind="adam", lr=0.01)}
#: All that a training block may have.
RECIPE: dict[str, Any] = {
    "optimizer": Sgd(
        kind="sgd",
        lr=0.02,
        momentum=0.7,
        nesterov=True,
        weight_decay=0.02,
        decay_exempt=("bias",),
    ),
    "schedule": Cosine(kind="cosine", length=20, warmup=4, floor=0.1),
    "clip": Clip(norm=0.2, value=0.15),
    "drop_last": True,
}


@pytest.mark.parametrize("keys", [PLAIN, RECIPE], ids=["plain", "recipe"])
@pytest.mark.parametrize("batch_size", ["full", 16])
@pytest.mark.parametrize("name", TETHERS)
def test_a_compiled_round_of_a_string_is_that_of_torch(
    name: str, batch_size: str | int, keys: dict[str, Any]
) -> None:
    compiled, with_torch = small_problem()
    training = constrained(batch_size=batch_size, check_every=7, **keys)
    theta = crooked(compiled)
    level = float(with_torch.losses(theta).median())
    strings = [
        string_of(theta, training, with_torch, level),
        string_of(theta, training, with_torch, level / 2, (True, True)),
    ]
    ours, theirs = strings, strings
    for _ in range(4):
        groups = compiled.advance(Recipe(training, TETHERS[name], evaluate="after"), ours)
        ours = [replace(s, rows=group.rows) for s, group in zip(ours, groups, strict=True)]
        found = round_of(training, with_torch, theirs, TETHERS[name])
        theirs = [replace(s, rows=rows) for s, rows in zip(theirs, found, strict=True)]
    for one, other, start in zip(ours, theirs, strings, strict=True):
        assert torch.equal(one.rows.steps, other.rows.steps)
        assert torch.equal(one.rows.end, other.rows.end)
        torch.testing.assert_close(one.rows.theta, other.rows.theta, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one.rows.loss, other.rows.loss, rtol=1e-3, atol=1e-6)
        assert not torch.equal(one.rows.theta, start.rows.theta)
    assert torch.equal(ours[1].rows.theta[[0, -1]], theta[[0, -1]])  # its ends are held


@dataclass(frozen=True)
class Strange(Hard):
    """A tether that compiled code does not know: every update is halved."""

    def project(self, theta: Tensor, update: Tensor, loss: Tensor) -> Tensor:
        return update / 2

    def respace(self, theta: Tensor) -> Tensor:
        return theta


def test_a_tether_without_a_compiled_twin_takes_the_compiled_gradients() -> None:
    compiled, _ = small_problem()
    training = constrained(optimizer=Sgd(kind="sgd", lr=0.05), check_every=1)
    string = string_of(crooked(compiled), training, compiled, 0.0)
    _, grad = compiled.loss_and_grad(string.rows.theta)
    (group,) = compiled.advance(Recipe(training, Strange(), evaluate="after"), [string])
    torch.testing.assert_close(group.rows.theta, string.rows.theta - 0.025 * grad)
