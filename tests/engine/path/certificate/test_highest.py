"""The highest value of a segment, bounded from above without a level."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.path.certificate.highest import Asked, Bounding, Highest, highest
from engine.path.certificate.network import Provable
from engine.problem.problem import build_problem
from engine.shapes import Weights
from engine.workers.pool import Pool
from presets import load_preset
from tests.support.products import ENDS, chain_of_products, peak_of_products
from tests.support.provable import provable_of
from tests.support.workers import vmapped


def bounded(net: Provable, left: Weights, right: Weights, effort: int = 4096) -> Highest:
    (found,) = highest(_pool(), [Asked(net, (left, right), effort)])
    return found


def _pool() -> Pool:
    problem = build_problem(load_preset("quadratic", ["problem.data.points=4"]).problem)
    return Pool(vmapped(problem), [torch.device("cpu")])


@pytest.mark.parametrize(("left", "right"), ENDS)
def test_the_bound_comes_as_near_to_the_true_peak_as_it_is_to_come(
    left: Weights, right: Weights
) -> None:
    found = bounded(chain_of_products(len(left)), left, right)
    peak = peak_of_products(left, right)
    assert peak * (1 - 1e-12) <= found.bound <= peak * (1 + 3e-4)
    assert found.reached == pytest.approx(peak, rel=3e-4)


def test_a_bound_after_few_cells_holds_too_and_more_of_them_lower_it() -> None:
    left, right = ENDS[2]
    net, peak = chain_of_products(len(left)), peak_of_products(left, right)
    bounds = [bounded(net, left, right, effort).bound for effort in (1, 3, 9, 4096)]
    assert bounds == sorted(bounds, reverse=True) and bounds[0] > bounds[-1] >= peak * (1 - 1e-12)


def classifier() -> tuple[Provable, nn.Module, Tensor, Tensor]:
    """Three classes by a small network, on which many samples change their class on the way."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    x, y = torch.randn(60, 4).double(), torch.arange(60) % 3
    return provable_of(network, "error_rate", x, y), network, x, y


def errors_at(network: nn.Module, theta: Weights, x: Tensor, y: Tensor) -> int:
    nn.utils.vector_to_parameters(theta, network.parameters())
    with torch.no_grad():
        return int((network(x).argmax(1) != y).sum())


@pytest.mark.parametrize("seed", range(3))
def test_errors_are_bounded_by_whole_samples(seed: int) -> None:
    net, network, x, y = classifier()
    draw = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(51, generator=draw).double() for _ in range(2))
    found = bounded(net, left, right)
    seen = max(
        errors_at(network, (1 - t) * left + t * right, x, y)
        for t in torch.linspace(0, 1, 4001).double()
    )
    assert round(60 * found.bound) == 60 * found.bound == pytest.approx(60 * found.reached)
    assert seen == 60 * found.bound
    assert 60 * found.ends[0] == errors_at(network, left, x, y)


def test_the_share_of_the_effort_is_told() -> None:
    left, right = ENDS[2]
    shares: list[float] = []
    asked = Asked(chain_of_products(len(left)), (left, right), 50, shares.append)
    (found,) = Bounding()(_pool().backend, [asked])
    assert found.cells <= 51 and shares == sorted(shares) and shares[-1] == 1.0
