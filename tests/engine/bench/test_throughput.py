"""How fast the engine trains and measures: what is counted is what was done."""

from __future__ import annotations

import pytest
import torch

from engine.backends.vmapped import VmappedBackend
from engine.bench.measures import (
    Effort,
    Profiles,
    Spread,
    Step,
    TooLong,
    TrainingRow,
)
from engine.bench.throughput import (
    GRID,
    Throughput,
    endless,
    our_profiles,
    our_training,
    pairs_of,
    shortened,
    step_of,
)
from engine.workers.pool import open_pool
from tests.support.benches import EFFORT, Ticks, prepared
from tests.support.workers import Here


@pytest.mark.parametrize("batching", ["vmap", "fused"])
def test_bead_steps_are_those_of_the_beads(batching: str) -> None:
    """Every bead takes its ten steps in each round of every repeat."""
    spec, backend = prepared("digits", f"search.batching={batching}")
    clock = Ticks(*100 * [0.25])  # by which nothing takes too long
    bench = Throughput(spec, backend, Effort(repeats=2, seconds=1.0), clock)
    rows = list(bench.training_rows([5, 2]))
    assert [row.beads for row in rows] == [2, 5]
    for row in rows:
        assert isinstance(row, TrainingRow)
        assert row.steps == spec.endpoints.check_every == 10
        assert row.rounds == 4
        assert row.bead_steps.units == 2 * 4 * 10 * row.beads
        assert row.samples_per_s == pytest.approx(100 * row.bead_steps.ours.median)
        ratio = row.bead_steps.ratio
        assert 0 < ratio.low <= ratio.median <= ratio.high


def test_beads_that_diverge_begin_anew() -> None:
    spec, backend = prepared("quadratic", "endpoints.optimizer={kind: sgd, lr: 1e+20}")
    with open_pool(backend, spec) as pool:
        ours = our_training(endless(spec.endpoints), pool, 3, -1.0)
        steps = ours(4)()
    assert 4 * 3 <= steps < 4 * 3 * 20


def test_large_networks_are_measured_in_short_rounds_or_not_at_all() -> None:
    """By a clock by which all takes a second: with 3 s at most, a step of 32 beads is too much."""
    spec, backend = prepared("digits")
    one, eight, many = Throughput(spec, backend, EFFORT, Ticks()).training_rows([1, 8, 32])
    assert isinstance(one, TrainingRow) and isinstance(eight, TrainingRow)
    assert (one.steps, one.rounds) == (3, 1)  # a step takes 1 s
    assert one.bead_steps.ours == Spread(3, 3, 3)  # 3 bead-steps in a second
    assert one.bead_steps.plain == Spread(1, 1, 1)
    assert one.bead_steps.ratio == Spread(3, 3, 3)
    assert (eight.steps, eight.rounds) == (1, 1)  # 8/3 s
    assert eight.bead_steps.units == 3 * 8
    assert many == TooLong(32, "a step would take about 4 s")


@pytest.mark.parametrize(
    ("judge", "train", "held_out"),
    [("{split: held_out}", 1437, 72), ("{split: train}", 288, 360)],
)
def test_short_rounds_look_at_as_many_fewer_samples(judge: str, train: int, held_out: int) -> None:
    """2 of 10 steps: a fifth of the samples, so that a step costs the same."""
    spec, backend = prepared("digits", f"search.level_on={judge}")
    training, fewer = shortened(spec.endpoints, backend, 2)
    short = fewer.problem
    assert training == spec.endpoints.model_copy(update={"check_every": 2})
    assert (len(short.train), len(short.held_out)) == (train, held_out)
    assert shortened(spec.endpoints, backend, 10) == (spec.endpoints, backend)


def test_short_rounds_take_statistics_of_as_many_fewer_samples() -> None:
    network = "{kind: resnet, input: [1, 8, 8], widths: [2], blocks: 1, norm: batch, outputs: 10}"
    spec, backend = prepared(
        "digits",
        f"problem.network={network}",
        "problem.batch_norm.samples=500",
        "search.certify=off",
    )
    full, fewer = (shortened(spec.endpoints, backend, steps)[1].problem for steps in (10, 2))
    assert full.estimate is not None and fewer.estimate is not None
    assert (len(full.estimate), len(fewer.estimate)) == (500, 100)


def test_short_rounds_keep_the_samples_of_a_step() -> None:
    for size, kept in ((700, 700), ("full", 1437)):
        spec, backend = prepared("digits", f"endpoints.batch_size={size}")
        assert len(shortened(spec.endpoints, backend, 1)[1].problem.train) == kept


def test_points_of_a_profile_are_those_that_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, backend = prepared("digits", "problem.network.sizes=[64, 3, 10]")
    problem = backend.problem
    computed: list[int] = []
    objective = VmappedBackend.objective

    def counting(self: VmappedBackend, theta: torch.Tensor) -> torch.Tensor:
        computed.append(len(theta))
        return objective(self, theta)

    monkeypatch.setattr(VmappedBackend, "objective", counting)
    our_profiles(problem, Here(backend), pairs_of(problem, 3))(1)()
    assert sum(computed) == 3 * (GRID - 1) + 1
    found = Throughput(spec, backend, Effort(2, 0.5), Ticks(1, 1 / 32, 7)).profiles()
    assert isinstance(found, Profiles)
    # 256 samples of a point took 1/32 s, so that a segment fits into 5 s on 1 241 of them.
    assert (found.samples, found.of_samples) == (1241, 1437)
    assert found.segments == 5  # a second each
    assert found.points.units == 2 * (5 * (GRID - 1) + 1)
    assert found.points.ours.median == 5 * (GRID - 1) + 1


def test_profiles_are_not_of_so_few_samples_that_calls_count() -> None:
    """A point on 256 samples takes a second, a segment 33; at most 3 are given."""
    spec, backend = prepared("digits")
    assert Throughput(spec, backend, EFFORT, Ticks()).profiles() == TooLong(
        None, "a segment on 256 samples would take about 33 s"
    )


def test_profiles_of_small_networks_are_of_64_segments() -> None:
    spec, backend = prepared("permutation-control")
    ticks = Ticks(1, 2**-20, 1, 2**-20)
    found = Throughput(spec, backend, Effort(2, 1.0), ticks).profiles()
    assert isinstance(found, Profiles)
    assert (found.segments, found.samples, found.of_samples) == (64, 3, 3)


def test_compiled_beads_end_within_a_round_as_in_a_search() -> None:
    """Rounds would be of 155 344 steps, were there so many."""
    never = "search.level=1e-30"
    spec, backend = prepared("permutation-control", "search.batching=fused", never)
    (row,) = Throughput(spec, backend, Effort(2, 0.25), Ticks()).training_rows([3])
    assert isinstance(row, TrainingRow)
    assert (row.steps, row.rounds) == (spec.endpoints.max_steps, 1)
    assert row.bead_steps.units == 2 * 3 * row.steps


def test_what_a_step_cannot_do_without() -> None:
    """64-32-10 with biases, 100 of 1 437 samples of 64 floats and a class; Adam has two slots."""
    spec, backend = prepared("digits")
    problem = backend.problem
    weights = 64 * 32 + 32 + 32 * 10 + 10
    assert step_of(spec.endpoints, problem) == Step(
        samples=100,
        flop=6 * 100 * weights,
        evaluation_flop=2 * 1437 * weights // 10,
        bytes=100 * (64 * 4 + 8) + 3 * 2 * 4 * weights,
    )
    spec, backend = prepared("quadratic")
    problem = backend.problem
    assert step_of(spec.endpoints, problem).evaluation_flop == 0  # each step sees the loss
    spec, backend = prepared("quadratic", "search.level_on.split=held_out")
    problem = backend.problem
    assert step_of(spec.endpoints, problem).evaluation_flop > 0
