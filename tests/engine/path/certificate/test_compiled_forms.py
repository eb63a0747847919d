"""Remainders as linear forms: the same unknowns before and after each step, in longer floats, and
read as plain Python.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

pytest.importorskip("numba")

from engine.path.certificate.network import Segment, bounded, bounded_by_tensors
from tests.support import uncompiled
from tests.support.chords import BLUR, SAMPLES, U, V, beads, models, moving
from tests.support.long_double import LONG, Long, long
from tests.support.provable import provable_of

needs_long = pytest.mark.skipif(not LONG, reason="long doubles are no longer than doubles here")

sizes = st.floats(-3, 3).map(lambda exponent: 10.0**exponent)
rests = st.sampled_from([0.0, 1e-15, 1e-9, 1e-3, 0.1])
seeds = st.integers(0, 2**31)
counts = st.integers(0, 6)

code, forms_code = uncompiled.layers(), uncompiled.forms()
WIDTH = 6


def room_with(seed: int, count: int, size: float, rest: float) -> Any:
    """Returns room with models of WIDTH numbers, the last of them without a remainder.

    Each sample has `count` unknowns, some of which are the remainder of one number alone.
    """
    rng, x = np.random.default_rng(seed), models(seed, WIDTH, size=size, rest=rest * size)
    room = code.room_for(np.array([WIDTH]))
    for made, part in zip(room.models, x.parts, strict=True):
        made[:WIDTH, :SAMPLES] = part[0].T.numpy()
    forms = room.forms
    code.without_unknowns(forms, room.models, WIDTH, SAMPLES)
    forms.counts[:SAMPLES] = count
    forms.factors[:SAMPLES, :count] = rng.normal(size=(SAMPLES, count, WIDTH))
    forms.factors[:SAMPLES, :count, -1] = 0
    forms.ranges[0, :SAMPLES, :count] = -rest * size * rng.uniform(size=(SAMPLES, count))
    forms.ranges[1, :SAMPLES, :count] = rest * size * rng.uniform(size=(SAMPLES, count))
    room.models[3:, WIDTH - 1] = 0
    forms_code.gathered(forms, room.models, WIDTH, SAMPLES)
    forms.born[:SAMPLES, :count] = -1
    forms.rest[WIDTH - 1] = 0
    return room


def factors(forms: Any, width: int, count: int) -> Long:
    """Returns the factors (sample, unknown, value) of the first unknowns, as numbers."""
    found = np.zeros((SAMPLES, count, width), np.longdouble)
    for s in range(SAMPLES):
        for j in range(count):
            if forms.born[s, j] >= 0:
                found[s, j, forms.born[s, j]] = 1
            else:
                found[s, j] = forms.factors[s, j, :width]
    return found


def drawn_unknowns(forms: Any, count: int, rng: np.random.Generator) -> Long:
    """Returns a value (sample, unknown) of each unknown in its range, some of them at its edge."""
    low, high = (forms.ranges[side, :SAMPLES, :count] for side in (0, 1))
    where = np.clip(rng.uniform(-0.5, 1.5, size=low.shape), 0, 1)
    return np.asarray(long(torch.from_numpy(low)) + (high - low) * where.astype(np.longdouble))


def curves(room: Any, width: int, s: Long) -> Long:
    start, end, bow = (part[:width, :SAMPLES].T.astype(np.longdouble) for part in room.models[:3])
    return np.asarray((1 - s) * start + s * end + s * (1 - s) * bow)


def values_of(room: Any, unknowns: Long, s: Long, rng: np.random.Generator) -> Long:
    """Returns numbers (sample, value) with these unknowns, at the edges of the rests as a rule."""
    linear = (factors(room.forms, WIDTH, unknowns.shape[1]) * unknowns[:, :, None]).sum(1)
    rest = room.forms.rest[:WIDTH, :SAMPLES].T * np.clip(rng.uniform(-2, 2, linear.shape), -1, 1)
    low, high = (room.models[side, :WIDTH, :SAMPLES].T for side in (3, 4))
    return np.asarray(curves(room, WIDTH, s) + np.clip(linear + rest, low, high))


def check(room: Any, width: int, values: Long, unknowns: Long, s: Long) -> None:
    """Asserts that the numbers are in the forms with these unknowns, and in the models."""
    rest = values - curves(room, width, s)
    linear = factors(room.forms, width, unknowns.shape[1]) * unknowns[:, :, None]
    size = abs(values) + abs(room.models[:3, :width, :SAMPLES]).sum(0).T + abs(linear).sum(1)
    low, high = (room.models[side, :width, :SAMPLES].T for side in (3, 4))
    assert (np.maximum(low - rest, rest - high) <= BLUR * size).all()
    left = abs(rest - linear.sum(1)) - room.forms.rest[:width, :SAMPLES].T
    assert (left <= BLUR * size).all()


@needs_long
@pytest.mark.parametrize("measure", ["mse", "cross_entropy"])
@settings(max_examples=25, deadline=None)
@given(seed=seeds, size=sizes, rest=rests, count=counts, label=st.integers(0, 3))
def test_a_layer_keeps_the_unknowns(
    measure: str, seed: int, size: float, rest: float, count: int, label: int
) -> None:
    left, bias_left, right, bias_right = beads(seed, 4, WIDTH, size=size)
    theta = [
        torch.cat([w.flatten(), b]).numpy() for w, b in ((left, bias_left), (right, bias_right))
    ]
    network = code.Network(
        np.array([WIDTH, 4]),
        np.array([0]),
        np.array([4 * WIDTH]),
        np.array([0]),
        code.MEASURES[measure],
    )
    _, true = moving(seed, 4, WIDTH, size=size)
    before, room = room_with(seed, count, 1.0, rest), room_with(seed, count, 1.0, rest)
    if count:  # one that has just come from a rectifier
        for each in (before, room):
            each.forms.born[:SAMPLES, 0] = 2
    weights, mass = code.over(*theta, U, V), abs(theta[0]) + abs(theta[1])
    for each in (before, room):
        widen(each)
    code.layer(network, 0, weights, mass, label, room, SAMPLES, False)
    rng = np.random.default_rng(seed)
    for s in np.array([0, 0.25, 0.5, 0.8, 1], np.longdouble):
        unknowns = drawn_unknowns(before.forms, count, rng)
        weight, bias = true(s)
        outputs = (values_of(before, unknowns, s, rng)[:, None, :] * weight).sum(-1) + bias
        if measure == "cross_entropy":
            outputs = outputs - outputs[:, label : label + 1]
        check(room, 4, outputs, unknowns, s)


def widen(room: Any) -> None:
    """Makes the models' remainders hold what an unknown that is one number's remainder may be."""
    ranges, forms = room.forms.ranges, room.forms
    for s in range(SAMPLES):
        for j in range(forms.counts[s]):
            if forms.born[s, j] >= 0:
                room.models[3, forms.born[s, j], s] += ranges[0, s, j]
                room.models[4, forms.born[s, j], s] += ranges[1, s, j]


@needs_long
@settings(max_examples=40, deadline=None)
@given(seed=seeds, rest=rests, count=counts)
def test_rectifiers_keep_unknowns_and_make_new_ones(seed: int, rest: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    before, room = room_with(seed, count, 1.0, rest), room_with(seed, count, 1.0, rest)
    forms_code.rectified(room.forms, room.models, WIDTH, SAMPLES)
    for s in np.linspace(0, 1, 9).astype(np.longdouble):
        unknowns = drawn_unknowns(before.forms, count, rng)
        values = np.maximum(values_of(before, unknowns, s, rng), 0)
        known = np.zeros((SAMPLES, room.forms.counts[:SAMPLES].max(initial=0)), np.longdouble)
        known[:, :count] = unknowns
        rest_of = values - curves(room, WIDTH, s)
        for sample in range(SAMPLES):
            for j in range(count, room.forms.counts[sample]):
                known[sample, j] = rest_of[sample, room.forms.born[sample, j]]
                low, high = room.forms.ranges[:, sample, j]
                assert low - 1e-18 <= known[sample, j] <= high + 1e-18
            room.forms.born[sample, room.forms.counts[sample] : known.shape[1]] = 0
        off = (room.models[3, :WIDTH, :SAMPLES] == 0) & (room.models[4, :WIDTH, :SAMPLES] == 0)
        for sample in range(SAMPLES):  # whose factors no layer reads
            room.forms.factors[sample, :count, off[:, sample]] = 0
        check(room, WIDTH, values, known, s)


def test_more_rectifiers_than_there_are_unknowns_lose_into_the_rest() -> None:
    width = forms_code.MOST + 2
    room = code.room_for(np.array([width]))
    room.models[:, :, 0] = 0
    room.models[0, :width, 0], room.models[1, :width, 0] = -1, 1
    code.without_unknowns(room.forms, room.models, width, 1)
    forms_code.rectified(room.forms, room.models, width, 1)
    assert room.forms.counts[0] == forms_code.MOST
    assert room.forms.born[0].tolist() == list(range(forms_code.MOST))
    lost = room.forms.rest[:width, 0]
    assert not lost[:-2].any() and (lost[-2:] >= 0.5).all() and (lost[-2:] < 0.5 + 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(seed=seeds, count=st.integers(1, 16))
def test_what_forms_may_be_is_not_rounded_inwards(seed: int, count: int) -> None:
    rng, room = np.random.default_rng(seed), code.room_for(np.array([4]))
    forms, x = room.forms, room.models
    forms.counts[:20], x[3:, :4, :20] = count, 0
    forms.factors[:20, :count, :4] = rng.normal(size=(20, count, 4))
    forms.ranges[0, :20, :count] = -rng.uniform(size=(20, count))
    forms.ranges[1, :20, :count] = rng.uniform(size=(20, count))
    forms_code.gathered(forms, x, 4, 20)
    for s in range(20):
        for o in range(4):
            each = [
                sorted(Fraction(forms.factors[s, j, o]) * Fraction(side) for side in sides)
                for j, sides in enumerate(forms.ranges[:, s, :count].T)
            ]
            assert Fraction(x[3, o, s]) <= sum(low for low, _ in each)
            assert sum(high for _, high in each) <= Fraction(x[4, o, s])
            assert x[4, o, s] <= float(sum(high for _, high in each)) * (1 + 1e-12)


def test_what_one_rectifier_lost_cancels() -> None:
    """Two numbers that are the same rectifier and 10 more; the output is their difference, 0."""
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    x, y = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    net = provable_of(network, "l1", x, y)
    rest = [1, 1, 10, 10, 1, -1, 0]
    left, right = (torch.tensor([start, 0, *rest]).double() for start in (-1, 1))
    cell = torch.zeros(1).double(), torch.ones(1).double()
    by_forms = bounded(net, Segment(left, right), *cell).coefficients.max()
    by_intervals = bounded_by_tensors(net, Segment(left, right), *cell).coefficients.max()
    assert 0 <= by_forms < 1e-11 and by_intervals > 0.4
