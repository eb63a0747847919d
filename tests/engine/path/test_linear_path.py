"""The closed-form path of deep linear networks, and the method that samples it."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.errors import InputError
from engine.networks.linear import check_linear_sizes
from engine.path.linear_path import LinearPath, Matrix, linear_path, products
from engine.problem.losses import LOSSES
from tests.support.more import always

POINTS = np.linspace(0, 1, 201)


def layers(sizes: list[int], seed: int) -> list[Matrix]:
    random = np.random.default_rng(seed)
    return [random.standard_normal((o, i)) / i**0.5 for i, o in pairwise(sizes)]


def product(weights: list[Matrix]) -> Matrix:
    """W_K … W_1."""
    return reduce(lambda below, layer: layer @ below, weights)


def shapes(seed: int) -> list[int]:
    """2 to 6 layers, hidden ones wider than the smaller end; every other shape is mirrored."""
    random = np.random.default_rng(seed)
    narrow, wide = sorted(random.integers(1, 7, 2).tolist())
    wide = max(wide, narrow + 1)
    hidden = random.integers(narrow + 1, narrow + 6, int(random.integers(1, 6))).tolist()
    first, last = (wide, narrow) if seed % 2 else (narrow, wide)
    return [first, *hidden, last]


def farthest(first: list[Matrix], second: list[Matrix]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("seed", always(range(10), range(50)))
def test_the_product_moves_on_a_straight_line_and_so_losses_stay_below_their_ends(
    seed: int,
) -> None:
    sizes = shapes(seed)
    first, last = layers(sizes, 1000 + seed), layers(sizes, 2000 + seed)
    path = linear_path(first, last, seed)
    assert path.mirrored == (sizes[-1] > sizes[0])
    assert farthest(path.at(0.0), first) < 1e-6
    assert farthest(path.at(1.0), last) < 1e-6
    random = np.random.default_rng(seed)
    x = torch.from_numpy(random.standard_normal((20, sizes[0])))
    y = torch.from_numpy(random.standard_normal((20, sizes[-1])))
    labels = torch.from_numpy(random.integers(0, sizes[-1], 20))
    ends = product(first), product(last)
    outputs = []
    for t in POINTS:
        now = product(path.at(float(t)))
        np.testing.assert_allclose(now, (1 - t) * ends[0] + t * ends[1], atol=1e-6)
        outputs.append(x @ torch.from_numpy(now).T)
    for kind, target in (("mse", y), ("l1", y), ("cross_entropy", labels)):
        losses = [float(LOSSES[kind](output, target).mean()) for output in outputs]
        assert max(losses) <= max(losses[0], losses[-1]) + 1e-6


@pytest.mark.parametrize("seed", always(range(10), range(50)))
def test_the_path_does_not_jump(seed: int) -> None:
    """A step of 1e-6 in t moves no weight far; one through a lost rank would move it by ones."""
    sizes = shapes(seed)
    path = linear_path(layers(sizes, 1000 + seed), layers(sizes, 2000 + seed), seed)
    for t in (*POINTS[:-1:2], 1 - 1e-6):
        assert farthest(path.at(float(t)), path.at(float(t) + 1e-6)) < 0.05


@pytest.mark.parametrize("turned", [True, False], ids=["other sign", "same sign"])
@pytest.mark.parametrize("case", range(10))
def test_no_path_passes_through_a_lost_rank(case: int, turned: bool) -> None:
    """Hidden layers as wide as the smaller end make the products square, with determinants.

    Where those of the two ends differ in sign, no full rank is left between them, and so there
    is no path whose product is the straight line: it must be refused, not returned.
    """
    first, last = layers([3, 2, 2], 10 + case), layers([3, 2, 2], 50 + case)
    same = np.sign(np.linalg.det(first[-1])) == np.sign(np.linalg.det(last[-1]))
    if same == turned:
        last[-1] = last[-1][::-1]
    if turned:
        with pytest.raises(ArithmeticError, match="determinants of different signs"):
            linear_path(first, last, case)
        return
    try:
        path = linear_path(first, last, case)
    except ArithmeticError as error:
        assert "no full rank in" in str(error)
    else:
        signs = {np.sign(np.linalg.det(path.at(float(t))[-1])) for t in np.linspace(0, 1, 5001)}
        assert len(signs) == 1


def test_without_the_null_space_term_a_wide_layer_does_not_come_out() -> None:
    """The draft's W_k = A_{k+1}⁺ A_k has the right product but not the end's own weights."""
    first, last = layers([6, 5, 4, 3], 1), layers([6, 5, 4, 3], 2)
    upper = products(first)
    drafted = [*(np.linalg.pinv(upper[k + 1]) @ upper[k] for k in range(2)), upper[-1]]
    np.testing.assert_allclose(product(drafted), product(first), atol=1e-9)
    assert farthest(drafted, first) > 0.1
    assert farthest(linear_path(first, last, 0).at(0.0), first) < 1e-9


def test_a_single_layer_moves_on_a_straight_line() -> None:
    first, last = layers([4, 3], 1), layers([4, 3], 2)
    path = linear_path(first, last, 0)
    for t in POINTS:
        np.testing.assert_allclose(path.at(t)[0], (1 - t) * first[0] + t * last[0], atol=1e-12)


def test_a_path_follows_its_seed() -> None:
    first, last = layers([4, 6, 6, 3], 1), layers([4, 6, 6, 3], 2)
    one, same, other = (linear_path(first, last, seed).at(0.5) for seed in (5, 5, 6))
    assert farthest(one, same) == 0
    assert farthest(one, other) > 1e-3


@pytest.mark.parametrize(
    ("sizes", "narrow"), [((6, 2, 8, 3), 2), ((3, 8, 2, 6), 2), ((4, 3, 4), 3)]
)
def test_narrow_hidden_layers_are_refused(sizes: tuple[int, ...], narrow: int) -> None:
    for attempt in (
        lambda: check_linear_sizes(sizes),
        lambda: linear_path(layers(list(sizes), 1), layers(list(sizes), 2), 0),
    ):
        with pytest.raises(InputError) as caught:
            attempt()
        sentence = str(caught.value)
        assert sentence.startswith(f"problem.network.sizes: has a hidden width of {narrow}")
        assert "search.method: greedy" in sentence


def test_widths_that_are_not_hidden_are_not_looked_at() -> None:
    check_linear_sizes((6, 2))
    check_linear_sizes((1, 8, 8, 9))


@pytest.mark.parametrize("sizes", [[5, 6, 6, 3], [3, 6, 6, 5]])
def test_an_end_without_full_rank_has_no_path(sizes: list[int]) -> None:
    first, last = layers(sizes, 1), layers(sizes, 2)
    last[1] = np.outer(last[1][:, 0], last[1][0])  # rank 1, so that products have no more
    with pytest.raises(ArithmeticError, match="full rank"):
        linear_path(first, last, 0)
    with pytest.raises(ArithmeticError, match="full rank"):
        linear_path([0 * layer for layer in first], first, 0)


def test_full_rank_is_looked_at_between_the_ends() -> None:
    """Ends that are each other's negative meet at the zero product half-way."""
    first = tuple(layers([4, 3, 2], 1))
    straight = tuple(np.zeros_like(a) for a in products(first))
    assert LinearPath(first, (first[0], -first[1]), straight, False).rank_margin == 0
    assert linear_path(first, (first[0], -first[1]), 0).rank_margin > 0
