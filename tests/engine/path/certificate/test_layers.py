"""Fully connected networks in compiled code: each of its steps, read as plain Python, encloses what
it should, and whole bounds are those of the tensors' code up to rounding.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

pytest.importorskip("numba")

from engine.networks.steps import Activation
from engine.path.certificate.chord import Chord
from engine.path.certificate.layers import WIDEST, Layers, _blocks, layers_of
from engine.path.certificate.losses import of_chords, of_squares
from engine.path.certificate.network import bounded, bounded_by_tensors
from tests.support import long_double, uncompiled
from tests.support.chords import (
    SAMPLES,
    U,
    V,
    beads,
    members,
    models,
    moving,
    outside,
    straight,
)
from tests.support.long_double import LONG, Long, computed, long, losses
from tests.support.provable import Case, cases, provable_of

needs_long = pytest.mark.skipif(not LONG, reason="long doubles are no longer than doubles here")

sizes = st.floats(-3, 3).map(lambda exponent: 10.0**exponent)
rests = st.sampled_from([0.0, 1e-15, 1e-9, 1e-3, 0.1])
seeds = st.integers(0, 2**31)

#: The code as plain Python, in which numpy would warn of infinities.
code = uncompiled.layers()
sums_code = uncompiled.losses()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def room_of(x: Chord, widest: int) -> Any:
    """Returns room in which the models are those of x (1, sample, value), without unknowns."""
    room = code.room_for(np.array([widest]))
    room.models[:] = np.nan
    for made, part in zip(room.models, x.parts, strict=True):
        made[: part.shape[2], : part.shape[1]] = part[0].T.numpy()
    code.without_unknowns(room.forms, room.models, x.start.shape[2], x.start.shape[1])
    return room


def made(room: Any, width: int) -> Chord:
    """Returns the models (1, sample, value) in a room."""
    parts = (torch.from_numpy(part[:width, :SAMPLES].T.copy())[None] for part in room.models)
    return Chord(*parts)


@needs_long
@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("sigmoid", long_double.sigmoid),
        ("tanh", np.tanh),
    ],
)
@settings(max_examples=30, deadline=None)
@given(seed=seeds, size=sizes, rest=rests)
def test_activations(kind: str, truth: Any, seed: int, size: float, rest: float) -> None:
    x = models(seed, 5, size=size, rest=rest * size)
    room = room_of(x, 5)
    code.activate(code.ACTIVATIONS[kind], room, 5, SAMPLES)
    found = made(room, 5)
    for s, value in members(x, seed):
        assert outside(found, s, truth(value)) <= 0


def layer_of(
    x: Chord, seed: int, size: float, measure: str, label: int = 0, exact: bool = False
) -> Chord:
    """Returns the models that a layer of 4 outputs with the weights of `beads` makes of x."""
    left, bias_left, right, bias_right = beads(seed, 4, 6, size=size)
    theta = [
        torch.cat([w.flatten(), b]).numpy() for w, b in ((left, bias_left), (right, bias_right))
    ]
    network = code.Network(
        np.array([6, 4]), np.array([0]), np.array([24]), np.array([0]), code.MEASURES[measure]
    )
    room = room_of(x, 6)
    mass = abs(theta[0]) + abs(theta[1])
    code.layer(network, 0, code.over(*theta, U, V), mass, label, room, SAMPLES, exact)
    return made(room, 4)


@needs_long
@settings(max_examples=30, deadline=None)
@given(seed=seeds, size=sizes, rest=rests, input_size=st.sampled_from([1.0, 1e-9]))
def test_layers(seed: int, size: float, rest: float, input_size: float) -> None:
    """Of faint inputs that have no remainders, only the bias has errors that count."""
    x = models(seed, 6, size=input_size, rest=rest)
    x = x if input_size == 1 else straight(x)
    _, true = moving(seed, 4, 6, size=size)
    found = layer_of(x, seed, size, "mse")
    for s, value in members(x, seed):
        if np.ptp(s):
            continue
        weight, bias = true(s.flat[0])
        assert outside(found, s.flat[0], (value[:, None, :] * weight).sum(-1) + bias) <= 0


@needs_long
@settings(max_examples=30, deadline=None)
@given(seed=seeds, size=sizes, rest=rests, label=st.integers(0, 3))
def test_margins_of_classes(seed: int, size: float, rest: float, label: int) -> None:
    x = models(seed, 6, size=1.0, rest=rest)
    _, true = moving(seed, 4, 6, size=size)
    found = layer_of(x, seed, size, "cross_entropy", label)
    for s, value in members(x, seed):
        if np.ptp(s):
            continue
        weight, bias = true(s.flat[0])
        outputs = (value[:, None, :] * weight).sum(-1) + bias
        assert outside(found, s.flat[0], outputs - outputs[:, label : label + 1]) <= 0
    assert not any(part[..., label].any() for part in found.parts)


def test_data_lose_nothing_but_rounding_in_the_first_layer() -> None:
    x = torch.randn(1, SAMPLES, 6, dtype=torch.float64)
    exact = Chord(x, torch.full_like(x, torch.nan), x, x, x)  # of which only the start is read
    for measure in ("mse", "cross_entropy"):
        _, _, bow, low, high = layer_of(exact, 3, 1.0, measure, exact=True).parts
        assert not bow.any() and float((high - low).max()) < 1e-11


# ---------------------------------------------------------------- sums of losses


def drawn(seed: int, *size: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=rng, dtype=torch.float64)


def summed(values: Tensor, y: Tensor, measure: str) -> Tensor:
    """Returns the sums (1, SUMS) of outputs (sample, out) that are the same all over a cell."""
    x = np.zeros((5, *values.T.shape))
    x[0] = x[1] = values.T.numpy()
    found = np.zeros(code.SUMS)
    if measure == "cross_entropy":
        code.entropies(x, np.zeros((6, *x.shape[1:])), len(values), found)
    else:
        add = {"mse": code.squares, "l1": code.distances}[measure]
        add(x, y.T.numpy(), found)
    return torch.from_numpy(found)[None]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, count=st.integers(1, 60), outputs=st.integers(1, 3))
def test_sums_of_squares_and_of_distances_are_not_rounded_down(
    seed: int, count: int, outputs: int
) -> None:
    values, y = drawn(seed, count, outputs), drawn(seed + 1, count, outputs)
    apart = [
        Fraction(a) - Fraction(b)
        for a, b in zip(values.flatten().tolist(), y.flatten().tolist(), strict=True)
    ]
    one, other = summed(values, y, "mse"), summed(values, y, "l1")
    for bound, truth in (
        (
            of_squares(one[:, :5], one[:, 5], one[:, 6], one[:, 7:], len(apart)),
            sum(a * a for a in apart),
        ),
        (
            of_chords(
                other[:, :2], other[:, 2], other[:, 5], other[:, 6], other[:, 7:], len(apart)
            ),
            sum(abs(a) for a in apart),
        ),
    ):
        found = bound.coefficients[0].tolist()
        assert all(truth <= Fraction(each) <= truth * (1 + Fraction(1, 10**9)) for each in found)


@needs_long
@settings(max_examples=60, deadline=None)
@given(seed=seeds, count=st.integers(1, 40), classes=st.integers(2, 12), size=st.floats(-2, 2))
def test_cross_entropies_are_not_rounded_down(
    seed: int, count: int, classes: int, size: float
) -> None:
    """Those of single samples, which go into a sum."""
    scores = 10**size * drawn(seed, count, classes)
    margins = scores - scores[:, :1]
    truth = losses("cross_entropy", long(margins), np.zeros(count, int))
    for sample in range(count):
        found = summed(margins[sample : sample + 1], margins, "cross_entropy")
        assert float(found[0, 0]) >= truth[sample]
        assert float(found[0, 0]) <= truth[sample] * (1 + 1e-12) + 1e-12 * (1 + 10**size)


def shares(least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the bounds (sample, class) of the softmax that bows of one class at a time meet."""
    low, high = torch.zeros_like(least), torch.zeros_like(least)
    for sample in range(len(least)):
        for k in range(least.shape[1]):
            for sign, into in ((1.0, high), (-1.0, low)):
                bow = np.zeros((least.shape[1], 1))
                bow[k] = sign
                scores = (part[sample : sample + 1].T.numpy().copy() for part in (least, most))
                into[sample, k] = sign * sums_code.share_of_bows(*scores, bow, least.shape[1], 0)
    return low, high


@needs_long
@settings(max_examples=30, deadline=None)
@given(seed=seeds, classes=st.integers(2, 6), size=st.floats(-2, 2))
def test_a_softmax_of_scores_without_a_range_is_enclosed(
    seed: int, classes: int, size: float
) -> None:
    scores = 10**size * drawn(seed, 20, classes)
    low, high = shares(scores, scores)
    exact = np.exp(long(scores) - long(scores).max(1, keepdims=True))
    exact /= exact.sum(1, keepdims=True)
    assert (long(low) <= exact).all() and (exact <= long(high)).all()
    assert float((high - low).max()) < 1e-12


def test_shares_that_cancel_or_are_faint() -> None:
    """As in the tensors' code (test_losses)."""
    least, most = ([[-46.0, -41.5]], [[0.0, -41.4]])
    low, high = shares(*(torch.tensor(part, dtype=torch.float64) for part in (least, most)))
    assert float(low[0, 0]) <= 1 / (1 + np.exp(46.0 - 41.4))
    assert float(high[0, 0]) >= 1 / (1 + np.exp(-41.5))
    assert float(high[0, 1]) >= 1 / (1 + np.exp(41.4 - 46.0))
    faint = torch.tensor([[0.0, -900.0, -2000.0]], dtype=torch.float64)
    low, high = shares(torch.full_like(faint, -3000.0), faint)
    assert (high[0] >= 1).all() and not low[0].any()


def test_samples_count_as_wrong_where_a_margin_may_reach_zero() -> None:
    x = np.zeros((5, 2, 5))
    x[0, 1] = [-1.0, -1.0, -1e-3, 0.0, np.nan]
    x[1, 1] = [-2.0, 1.0, -1e-3, 0.0, -1.0]
    x[4, 1, 2] = 2e-3
    found = np.zeros(code.SUMS)
    code.errors(x[:, :, :4], 0, 4, found)
    assert found[0] == 3 and found[7:].tolist() == [0, 1]  # ties and roundings are not certain
    found[:] = 0
    code.errors(x[:, :, 4:], 0, 1, found)
    assert found[0] == 1


# ---------------------------------------------------------------- whole networks


@needs_long
@settings(max_examples=60, deadline=None)
@given(cases())
def test_every_number_between_layers_is_inside_its_model(case: Case) -> None:
    """The margins of the last layer included."""
    assume(case.net.layers)
    net = case.net.layers[0]
    network, theta = (
        net._network,
        [side.numpy() for side in (case.segment.left, case.segment.right)],
    )
    weights, mass = code.over(*theta, case.u, case.v), abs(theta[0]) + abs(theta[1])
    truths = [values_after_layers(case, s) for s in np.linspace(0, 1, 9).astype(np.longdouble)]
    for sample, label in enumerate(case.y.tolist() if case.y.ndim == 1 else [0] * len(case.y)):
        room = room_of(Chord(*[torch.zeros(1, SAMPLES, 1)] * 5), int(network.widths.max()))
        room.models[0, : network.widths[0], 0] = case.x[sample].flatten().numpy()
        for number in range(len(network.weights)):
            code.layer(network, number, weights, mass, label, room, 1, number == 0)
            found = room.models[:, : network.widths[number + 1], 0]
            for s, truth in zip(np.linspace(0, 1, 9).astype(np.longdouble), truths, strict=True):
                value = truth[number][sample]
                if network.measure >= 2 and number == len(network.weights) - 1:
                    value = value - value[label]
                start, end, bow, low, high = long(found)
                rest = value - ((1 - s) * start + s * end + s * (1 - s) * bow)
                blur = 1e-17 * (1 + abs(value) + abs(start) + abs(end) + abs(bow))
                assert (np.maximum(low - rest, rest - high) <= blur).all()


def values_after_layers(case: Case, s: Long) -> list[Long]:
    """Returns what each layer with its activation gives at a place of the cell."""
    t = np.longdouble(case.u) + s * (np.longdouble(case.v) - np.longdouble(case.u))
    theta = (1 - t) * long(case.segment.left) + t * long(case.segment.right)
    weights = {
        name: theta[part[0].long().flatten()].reshape(part.shape[1:])
        for name, part in case.net.named(torch.arange(len(theta))[None]).items()
    }
    values = computed(case.net.taken, weights, long(case.x))
    steps = case.net.taken.nodes
    layers = [number for number, node in enumerate(steps, 1) if hasattr(node.step, "weight")]
    lasts = [
        number + 1 if number < len(steps) and hasattr(steps[number].step, "kind") else number
        for number in layers
    ]
    return [values[number] for number in lasts]


@settings(max_examples=150, deadline=None)
@given(cases())
def test_bounds_are_those_of_the_tensors_up_to_rounding(case: Case) -> None:
    """Where rectifiers follow rectifiers, compiled code has closer bounds (test_compiled_forms).

    Steep layers widen a bound to many times the values, and the rounding within it as much: of
    seven thousand cells, the two differ by up to 1.3e-11 of the largest coefficient where weights
    are below 6, and by up to 5.5e-8 above.
    """
    assume(case.net.layers and rectifier_layers(case) < 2)
    u = torch.tensor([case.u, case.u, 0.0]).double()
    v = torch.tensor([case.v, (case.u + case.v) / 2, 1.0]).double()
    found = bounded(case.net, case.segment, u, v)
    other = bounded_by_tensors(case.net, case.segment, u, v)
    assert found.counted == other.counted
    value = 1 + other.ends.abs().amax(1, keepdim=True)
    scale = 1 + other.coefficients.abs().amax(1, keepdim=True)
    steep = max(side.abs().max() for side in (case.segment.left, case.segment.right)) > 6
    rounding = 1e-5 if steep else 1e-9
    assert ((found.coefficients - other.coefficients).abs() <= rounding * scale).all()
    assert ((found.ends - other.ends).abs() <= 1e-9 * value).all()


def rectifier_layers(case: Case) -> int:
    steps = [node.step for node in case.net.taken.nodes]
    return sum(isinstance(step, Activation) and step.kind == "relu" for step in steps)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_cell_is_bounded_alike_in_whatever_company(case: Case) -> None:
    assume(case.net.layers)
    u = torch.tensor([case.u, 0.0]).double()
    v = torch.tensor([case.v, 1.0]).double()
    both = bounded(case.net, case.segment, u, v)
    alone = bounded(case.net, case.segment, u[:1], v[:1])
    assert torch.equal(both.coefficients[:1], alone.coefficients)
    assert torch.equal(both.ends[:1], alone.ends)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(1, 50))
def test_blocks(labels: list[int], most: int) -> None:
    ordered = np.sort(np.array(labels))
    blocks = _blocks(ordered, most)
    assert blocks[0, 0] == 0 and blocks[-1, 1] == len(labels)
    assert (blocks[1:, 0] == blocks[:-1, 1]).all()
    for first, last in blocks:
        assert 0 < last - first <= most and len(set(ordered[first:last])) == 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("measure", ["mse", "l1", "cross_entropy", "error_rate"])
def test_weights_that_are_not_numbers_have_no_bound(measure: str, value: float) -> None:
    x = torch.ones(3, 2, dtype=torch.float64)
    y: Tensor = x if measure in ("mse", "l1") else torch.tensor([0, 1, 1])
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    net = provable_of(network, measure, x, y)
    assert net.layers
    left = torch.ones(net.parameters, dtype=torch.float64)
    for place in range(net.parameters):
        right = left.clone()
        right[place] = value
        found = net.layers[0].bounded(left, right, torch.zeros(1).double(), torch.ones(1).double())
        if measure == "error_rate":
            assert found.coefficients[0, 0] == 3 or place >= net.parameters - 2
        else:
            assert not found.coefficients.isfinite().all()


# ---------------------------------------------------------------- which networks


def taken_layers(network: nn.Module, *shape: int, measure: str = "mse") -> Layers | None:
    x = torch.ones(2, *shape, dtype=torch.float64)
    y = network.double()(x).detach() if measure == "mse" else torch.zeros(2, dtype=torch.long)
    return next(iter(provable_of(network, measure, x, y).layers), None)


def test_chains_of_layers_are_taken_and_nothing_else() -> None:
    line, relu = nn.Linear(4, 4), nn.ReLU()
    assert taken_layers(nn.Sequential(nn.Flatten(), line, relu, line, nn.Tanh()), 2, 2) is not None
    assert taken_layers(nn.Sequential(line, relu), 4) is not None
    for network in (nn.Sequential(relu, line), nn.Sequential(line, relu, nn.Tanh())):
        assert taken_layers(network, 4) is None
    assert taken_layers(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), 1, 2, 2) is None
    assert taken_layers(nn.Linear(WIDEST + 1, 1), WIDEST + 1) is None
    for measure in ("cross_entropy", "error_rate"):  # margins of what is no linear step
        assert taken_layers(nn.Sequential(line, relu), 4, measure=measure) is None
        assert taken_layers(nn.Sequential(relu, line), 4, measure=measure) is None
        assert taken_layers(nn.Sequential(line, relu, line), 4, measure=measure) is not None


def test_layers_know_their_places() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid(), nn.Linear(2, 5, bias=False))
    net = provable_of(network, "mse", torch.ones(1, 3).double(), torch.ones(1, 5).double())
    first, second = layers_of(
        net.taken, net.named(torch.arange(net.parameters, dtype=torch.float64)[None])
    )
    assert (first.inputs, first.outputs, first.weight, first.bias) == (3, 2, 0, 6)
    assert (second.inputs, second.outputs, second.weight, second.bias) == (2, 5, 8, -1)
    assert (first.activation, second.activation) == ("sigmoid", None)


WITHOUT = """
import sys
sys.modules["numba"] = None
import torch
from torch import nn
from tests.support.provable import provable_of

x = torch.ones(1, 1, dtype=torch.float64)
assert provable_of(nn.Linear(1, 1), "mse", x, x).layers == ()
"""


def test_without_a_compiler_tensors_bound_everything() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)
