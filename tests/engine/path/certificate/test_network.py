"""Enclosures of whole networks, held against the same networks in longer floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.path.certificate.bernstein import highest
from engine.path.certificate.chord import Chord, fixed
from engine.path.certificate.losses import Bound
from engine.path.certificate.network import (
    AT_ONCE,
    Provable,
    Segment,
    bounded,
    bounded_by_tensors,
    differences,
    enclosed,
    moving,
)
from tests.support.long_double import LONG, Long, computed, long, losses
from tests.support.provable import Case, cases

pytestmark = pytest.mark.skipif(not LONG, reason="long doubles are no longer than doubles here")

#: Points of a cell on which everything is compared.
POINTS = np.linspace(0, 1, 41).astype(np.longdouble)
#: Relative error of what is compared with, which is computed in long doubles.
BLUR = 1e-17


def values_at(case: Case, s: Long) -> list[Long]:
    """Returns what each step gives at a place s of the cell, by other code in longer floats."""
    t = np.longdouble(case.u) + s * (np.longdouble(case.v) - np.longdouble(case.u))
    left, right = long(case.segment.left), long(case.segment.right)
    shapes = case.net.named(case.segment.left[None])
    theta = (1 - t) * left + t * right
    sizes = [part[0].numel() for part in shapes.values()]
    parts = np.split(theta, np.cumsum(sizes)[:-1])
    weights = {
        name: part.reshape(shape.shape[1:])
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
    return computed(case.net.taken, weights, long(case.x))


def models(case: Case) -> list[Chord]:
    u, v = torch.tensor([case.u]).double(), torch.tensor([case.v]).double()
    weights = moving(case.net, case.segment, u, v)
    found = [fixed(case.x[None])]
    for node in case.net.taken.nodes:
        found.append(enclosed(node.step, [found[place] for place in node.inputs], weights))
    return found


def outside(model: Chord, value: Long, s: Long) -> Long:
    """Returns how far values (sample, …) are outside of their models, at most 0 where inside."""
    start, end, bow, low, high = (long(part[0]) for part in model.parts)
    rest = value - ((1 - s) * start + s * end + s * (1 - s) * bow)
    blur = BLUR * (1 + abs(value) + abs(start) + abs(end) + abs(bow))
    return np.maximum(low - rest, rest - high) - blur


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_number_of_a_network_is_inside_its_model(case: Case) -> None:
    found = models(case)
    for s in POINTS:
        for model, value in zip(found, values_at(case, s), strict=True):
            assert outside(model, value, s).max() <= 0


@pytest.mark.parametrize("by", [bounded, bounded_by_tensors])
@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_the_objective_is_nowhere_above_its_bound(
    by: Callable[[Provable, Segment, Tensor, Tensor], Bound], case: Case
) -> None:
    """In compiled code, where there is some for the network, and with tensors."""
    u, v = torch.tensor([case.u]).double(), torch.tensor([case.v]).double()
    found = by(case.net, case.segment, u, v)
    top = float(highest(found.coefficients)[0].max())
    y = case.y.numpy()
    sums = [
        losses(case.net.measure, values_at(case, s)[-1], y).sum()
        for s in POINTS  # (point,)
    ]
    assert max(sums) <= top * (1 + 1e-17)
    coefficients = long(found.coefficients[0])
    for s, value in zip(POINTS, sums, strict=True):
        assert value <= bernstein(coefficients, s) + 1e-17 * (1 + abs(coefficients).max())
    for value, end in zip((sums[0], sums[-1]), found.ends[0].tolist(), strict=True):
        assert case.net.measure == "error_rate" or abs(value - end) <= 1e-9 * (1 + abs(value))


@pytest.mark.parametrize("by", [bounded, bounded_by_tensors])
@settings(max_examples=30, deadline=None)
@given(case=cases(), data=st.data())
def test_samples_that_count_differently_are_nowhere_above_their_bound(
    by: Callable[[Provable, Segment, Tensor, Tensor], Bound], case: Case, data: st.DataObject
) -> None:
    """Those of one weight are a group, which compiled code takes by itself."""
    assume(case.net.measure != "error_rate")
    each = st.sampled_from([0.1, 1.0, 1 / 3, 12.5])
    weights = [data.draw(each) for _ in range(len(case.x))]
    net = replace(case.net, weights=torch.tensor(weights, dtype=torch.float64))
    assert sum(len(group.samples) for group in net.groups) == len(weights)
    assert float(net.mass) == pytest.approx(sum(weights), rel=1e-15)
    u, v = torch.tensor([case.u]).double(), torch.tensor([case.v]).double()
    found = by(net, case.segment, u, v)
    exact = np.array(weights, np.longdouble)
    sums = [
        (losses(net.measure, values_at(case, s)[-1], case.y.numpy()) * exact).sum() for s in POINTS
    ]
    coefficients = long(found.coefficients[0])
    for s, value in zip(POINTS, sums, strict=True):
        assert value <= bernstein(coefficients, s) + 1e-17 * (1 + abs(coefficients).max())
    for value, end in zip((sums[0], sums[-1]), found.ends[0].tolist(), strict=True):
        assert abs(value - end) <= 1e-9 * (1 + abs(value))


def test_margins_of_outputs_that_are_no_linear_step_are_hardly_wider_than_they_must_be() -> None:
    """The rest of a difference lies between the differences of the rests, but for rounding."""
    drawn = np.random.default_rng(8).uniform(0.1, 1.0, (5, 2, 3, 4))  # (part, cell, sample, class)
    start, end, bow, low, high = torch.from_numpy(drawn)
    labels = torch.tensor([3, 0, 2])
    found = differences(Chord(start, end, bow, -low, high), labels)
    rows = np.arange(3)
    for part, whole in zip((found.start, found.end, found.bow), drawn[:3], strict=True):
        assert part is not None
        own = whole[:, rows, labels.numpy()][..., None]
        np.testing.assert_allclose(part.numpy(), whole - own, rtol=1e-14, atol=0)
    least, most = -drawn[3], drawn[4]
    own_least, own_most = (x[:, rows, labels.numpy()][..., None] for x in (least, most))
    others = np.arange(4) != labels.numpy()[:, None]
    assert found.low is not None and found.high is not None
    for bound, exact in ((-found.low, own_most - least), (found.high, most - own_least)):
        wider = (bound.numpy() - exact)[:, others]
        assert (wider > 0).all() and (wider < 1e-14).all()
        assert (bound.numpy()[:, ~others] == 0).all()


def bernstein(coefficients: Long, s: Long) -> Long:
    """The polynomial's value, by de Casteljau's construction."""
    row = list(coefficients)
    while len(row) > 1:
        row = [(1 - s) * one + s * other for one, other in pairwise(row)]
    return row[0]


@given(cases())
def test_as_many_cells_at_once_as_fit(case: Case) -> None:
    numbers = case.net.widest * len(case.net.samples)
    assert case.net.cells_at_once == 1 or case.net.cells_at_once * numbers <= AT_ONCE
    assert (case.net.cells_at_once + 1) * numbers > AT_ONCE
