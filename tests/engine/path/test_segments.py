"""Profiles and peaks against landscapes whose interpolated loss is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.backends.backend import Backend
from engine.backends.vmapped import VmappedBackend
from engine.path.segments import (
    Along,
    Climb,
    Measured,
    above_chord,
    along,
    audit_grid,
    few_of,
    glimpse,
    measure,
    search_grid,
    split_point,
)
from engine.problem.problem import Problem
from engine.workers.pool import Item, Pool, Result, Task
from tests.support.landscapes import double_well, landscape, ring
from tests.support.workers import Here, vmapped


def segment(problem: Problem, left: list[float], right: list[float], points: int = 33) -> Measured:
    pair = (torch.tensor(left), torch.tensor(right))
    return measure(Here(vmapped(problem)), [pair], search_grid(points), len(problem.train))[0]


def test_the_pass_between_two_wells() -> None:
    found = segment(landscape(double_well), [-1.0, 0.3], [1.0, -0.2])
    t = found.t
    expected = ((2 * t - 1) ** 2 - 1) ** 2 + (0.3 - 0.5 * t) ** 2
    np.testing.assert_allclose(found.losses, expected, atol=1e-6)
    fine = np.linspace(0, 1, 100_001)
    exact = ((2 * fine - 1) ** 2 - 1) ** 2 + (0.3 - 0.5 * fine) ** 2
    assert found.peak == pytest.approx(exact.max(), abs=1e-6)
    assert found.t_star == pytest.approx(fine[exact.argmax()], abs=2e-3)


@pytest.mark.parametrize("cut", [1, 2, 3, 40])
def test_segments_in_more_parts_than_they_have_points_are_measured_alike(cut: int) -> None:
    """Parts are there for somebody to be told of them, however few points there are."""
    problem, grid = landscape(double_well), search_grid(5)
    pair = (torch.tensor([-1.0, 0.3]), torch.tensor([1.0, -0.2]))

    class Watched(Here):
        def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
            one = super().run
            return [result for item in items for result in one(task, [item])]

    workers = Watched(vmapped(problem))
    (found,) = measure(workers, [pair], grid, len(problem.train), cut=cut)
    (whole,) = measure(Here(vmapped(problem)), [pair], grid, len(problem.train))
    np.testing.assert_array_equal(found.losses, whole.losses)
    assert found.peak == whole.peak


@pytest.mark.parametrize("points", [5, 9, 17, 33, 101])
def test_few_points_are_some_of_the_grid_s_with_its_ends(points: int) -> None:
    grid = search_grid(points)
    few = few_of(grid)
    assert set(few) <= set(grid)
    assert (few[0], few[-1]) == (0, 1)
    assert (np.diff(few) > 0).all()
    assert 3 <= len(few) <= min(8, points - 1)


def test_a_glimpse_sees_the_peak_of_a_parabola() -> None:
    t = search_grid(4)
    seen = glimpse(t, 2 - (t - 0.4) ** 2)
    assert seen.peak == pytest.approx(2)
    assert seen.t_star == pytest.approx(0.4)


@pytest.mark.parametrize(
    "losses", [[3.0, 2.0, 1.5], [1.0, 2.0, 4.0], [1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
)
def test_a_glimpse_of_what_has_no_peak_inside_is_the_highest_point(losses: list[float]) -> None:
    seen = glimpse(search_grid(3), np.array(losses))
    assert seen.peak == max(losses)
    assert seen.t_star == search_grid(3)[int(np.argmax(losses))]


def test_a_glimpse_of_what_is_not_finite_is_not() -> None:
    assert not np.isfinite(glimpse(search_grid(3), np.array([1.0, np.nan, 1.0])).peak)


def test_a_peak_between_grid_points_is_found() -> None:
    """A spike of height 2 and width 0.004 at t = 0.31, whose foot alone touches the grid."""

    def spike(w: Tensor) -> Tensor:
        return 2 / (1 + ((w[0] - 0.31) / 0.004).square())

    problem = landscape(spike)
    found = segment(problem, [0.0, 0.5], [1.0, 0.5], points=11)
    assert found.losses.max() < 0.3
    assert found.peak > 1.5
    assert found.t_star == pytest.approx(0.31, abs=0.005)


def test_ends_are_exactly_the_beads() -> None:
    problem = landscape(ring)
    left, right = torch.tensor([0.7, 0.61]), torch.tensor([-0.93, 0.44])
    found = segment(problem, left.tolist(), right.tolist())
    ends = vmapped(problem).losses(torch.stack([left, right])).double().numpy()
    np.testing.assert_array_equal(found.losses[[0, -1]], ends)


@pytest.mark.parametrize("workers", [1, 2])
def test_many_segments_at_once_are_those_alone(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.backends.torch_backend.WORTH_A_THREAD", 1)
    monkeypatch.setattr("engine.backends.torch_backend.INTERPOLATED", 50)  # in pieces of 25 points
    problem = landscape(ring)
    draw = torch.Generator().manual_seed(4)
    points = torch.randn(5, 2, generator=draw)
    pairs = list(pairwise(points))
    with Pool(vmapped(problem), [torch.device("cpu")] * workers) as pool:
        together = measure(pool, pairs, search_grid(17), 3, dtype=torch.float64)
    for pair, found in zip(pairs, together, strict=True):
        (alone,) = measure(Here(vmapped(problem)), [pair], search_grid(17), 3, dtype=torch.float64)
        np.testing.assert_allclose(found.losses, alone.losses, rtol=1e-12)
        assert found.peak == pytest.approx(alone.peak, rel=1e-12)


def test_a_segment_with_a_loss_that_is_not_finite_has_no_peak() -> None:
    found = segment(landscape(lambda w: w[0].log()), [-1.0, 0.2], [1.5, 0.2])
    assert np.isnan(found.peak)
    assert split_point(found, "peak", 0.05) == 0.5


def test_where_a_segment_is_split() -> None:
    found = segment(landscape(double_well), [-1.2, 0.1], [0.8, 0.1])
    assert split_point(found, "peak", 0.05) == pytest.approx(0.6, abs=2e-3)
    assert split_point(found, "half", 0.05) == 0.5
    assert split_point(found, "peak", 0.45) == 0.55
    assert split_point(replace(found, t_star=0.0), "peak", 0.05) == 0.05
    flat = segment(landscape(lambda w: 0 * w[0] + 0.3), [-1.0, 0.1], [1.0, 0.1])
    assert split_point(flat, "peak", 0.05) == 0.5


@pytest.mark.parametrize(("points", "factor"), [(33, 10), (33, 2), (5, 10), (41, 7)])
def test_the_audit_shares_no_inner_point_with_the_search(points: int, factor: int) -> None:
    search, audit = search_grid(points), audit_grid(points, factor)
    assert len(audit) - 1 >= factor * (len(search) - 1)
    assert (audit[0], audit[-1]) == (0.0, 1.0)
    assert abs(search[1:-1, None] - audit[None]).min() > 1e-6


def test_known_and_shared_beads_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = landscape(ring)
    computed: list[int] = []
    objective = VmappedBackend.objective

    def counting(self: VmappedBackend, theta: Tensor, bound: Tensor | None = None) -> Tensor:
        computed.append(len(theta))
        return objective(self, theta, bound)

    monkeypatch.setattr(VmappedBackend, "objective", counting)
    beads = list(torch.randn(4, 2, generator=torch.Generator().manual_seed(2)))
    pairs, grid = list(pairwise(beads)), search_grid(9)
    plain = along(Here(vmapped(problem)), pairs, grid, 3)
    assert sum(computed) == 4 + 3 * 7
    computed.clear()
    known = along(Here(vmapped(problem)), pairs, grid, 3, known={beads[1]: 0.25, beads[3]: 0.75})
    assert sum(computed) == 2 + 3 * 7
    assert [losses[-1] for losses in known] == [0.25, plain[1][-1], 0.75]
    assert known[1][0] == 0.25
    for ours, theirs in zip(known, plain, strict=True):
        np.testing.assert_array_equal(ours[1:-1], theirs[1:-1])


def hills(w: Tensor) -> Tensor:
    """Of height 0.5 at 0.2, and of height 0.8 at 0.7."""
    low, high = ((w[0] - at).square() / 0.01 for at in (0.2, 0.7))
    return 0.5 * (-low).exp() + 0.8 * (-high).exp()


@pytest.mark.parametrize(
    ("level", "climbed"),
    [
        (None, 2),  # all that matters is unknown
        (0.4, 1),  # above the level: where is it highest?
        (1.2, 1),  # the bend of one hill reaches that far
        (2.5, 0),  # surely below
    ],
)
def test_peaks_are_refined_where_they_can_matter(level: float | None, climbed: int) -> None:
    spans: list[object] = []

    class Counting(Here):
        def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
            if isinstance(task, Climb):
                spans.extend(items)
            return super().run(task, items)

    pair = (torch.tensor([0.0, 0.1]), torch.tensor([1.0, 0.1]))
    (found,) = measure(Counting(vmapped(landscape(hills))), [pair], search_grid(12), 3, level=level)
    assert len(spans) == climbed
    assert found.peak == pytest.approx(0.8, abs=1e-3 if climbed else 0.06)
    assert found.t_star == pytest.approx(0.7, abs=0.005 if climbed else 0.05)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("segments", [1, 2, 5])
def test_every_worker_has_as_much_of_a_few_segments(
    workers: int, segments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.backends.torch_backend.WORTH_A_THREAD", 1)
    problem = landscape(ring)
    beads = list(torch.randn(segments + 1, 2, generator=torch.Generator().manual_seed(3)))
    pairs, grid = list(pairwise(beads)), search_grid(33)
    alone = along(Here(vmapped(problem)), pairs, grid, 3)
    sizes: list[int] = []
    with Pool(vmapped(problem), [torch.device("cpu")] * workers) as pool:
        work = Along.__call__

        def counting(self: Along, backend: Backend, lines: Sequence[Any]) -> list[Any]:
            sizes.append(sum(len(t) for *_, t in lines))
            return work(self, backend, lines)

        monkeypatch.setattr(Along, "__call__", counting)
        found = along(pool, pairs, grid, 3)
    assert sum(sizes) == segments * 32 + 1
    assert len(sizes) == workers
    assert max(sizes) - min(sizes) <= 18  # half of a piece
    for ours, theirs in zip(found, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_rise_above_the_chord_is_found_between_the_points() -> None:
    """Of a parabola that lies on a slope, the highest rise is elsewhere than the peak."""
    problem = landscape(lambda w: 0.3 + 2 * w[0] - 3 * w[0] * w[0])
    pair = (torch.tensor([0.1, 0.0]), torch.tensor([0.9, 0.0]))
    found = segment(problem, [0.1, 0.0], [0.9, 0.0], points=5)
    rise = above_chord(Here(vmapped(problem)), pair, found, 3, dtype=torch.float64)
    assert rise == pytest.approx(3 * 0.4**2, rel=1e-5)  # half-way, where the chord's slope is
    assert found.t_star == pytest.approx((1 / 3 - 0.1) / 0.8, abs=1e-2)
    valley = landscape(lambda w: w[0] * w[0])
    found = segment(valley, [-1.0, 0.0], [0.5, 0.0], points=5)
    pair = (torch.tensor([-1.0, 0.0]), torch.tensor([0.5, 0.0]))
    assert above_chord(Here(vmapped(valley)), pair, found, 3, dtype=torch.float64) == 0
    broken = landscape(lambda w: w[0].log())
    found = segment(broken, [-1.0, 0.2], [1.5, 0.2])
    assert np.isnan(above_chord(Here(vmapped(broken)), pair, found, 3, dtype=torch.float64))
