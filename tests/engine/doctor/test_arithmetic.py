"""Whether wrong arithmetic is noticed: TF32 in products, and wrong gradients."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import pytest
import torch
from torch import Tensor

from engine.doctor import arithmetic
from engine.doctor.arithmetic import (
    PRODUCT,
    PRODUCTS,
    ROUNDING,
    Errors,
    difference,
    errors_of,
    in_plain_torch,
    products,
)
from engine.doctor.findings import State
from engine.doctor.searches import search_of
from engine.run.prepare import Prepared, prepare
from engine.workers.pool import open_pool


def tf32(tensor: Tensor) -> Tensor:
    """Rounds as TF32 does: ten bits behind the leading one."""
    if tensor.dtype != torch.float32:
        return tensor
    bits = (tensor.contiguous().view(torch.int32) + (1 << 12)) & ~((1 << 13) - 1)
    return bits.view(torch.float32)


def test_products_in_float32() -> None:
    (found,) = products("cpu")
    assert found.state is State.OK and found.what == "cpu float32"
    assert set(found.measured) == set(PRODUCTS)
    assert all(isinstance(each, float) and 0 < each < PRODUCT for each in found.measured.values())


@pytest.mark.parametrize("name", PRODUCTS)
def test_tf32_is_noticed_in_each_kind_of_product(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    exact = PRODUCTS[name]

    def rounded(x: Tensor, weight: Tensor) -> Tensor:
        return exact(tf32(x), tf32(weight))

    monkeypatch.setitem(arithmetic.PRODUCTS, name, rounded)
    (found,) = products("cpu")
    assert found.state is State.WRONG and found.found.startswith(f"{name} in float32 differ from")
    assert "NVIDIA_TF32_OVERRIDE" in found.remedy


def test_a_product_that_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: Tensor, weight: Tensor) -> Tensor:
        return PRODUCTS["convolutions"](x, weight) * (nan if x.dtype == torch.float32 else 1.0)

    monkeypatch.setitem(arithmetic.PRODUCTS, "products", broken)
    (found,) = products("cpu")
    assert found.state is State.WRONG and found.found.startswith("products in float32 differ")


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(search_of("mlp", "cpu", "loop"))


def test_gradients_in_plain_torch_are_those_of_finite_differences(prepared: Prepared) -> None:
    problem = prepared.backend.problem.to(dtype=torch.float64)
    theta = torch.stack([problem.initial(seed).double() for seed in (3, 4)])
    losses, grads = in_plain_torch(problem, prepared.spec, theta)
    step = 1e-6
    direction = torch.randn(theta.shape, generator=torch.Generator().manual_seed(5)).double()
    ahead, _ = in_plain_torch(problem, prepared.spec, theta + step * direction)
    behind, _ = in_plain_torch(problem, prepared.spec, theta - step * direction)
    slopes = (grads * direction).sum(1)
    torch.testing.assert_close((ahead - behind) / (2 * step), slopes, rtol=1e-6, atol=1e-9)
    assert losses.shape == (2,) and losses.min() > 0


@pytest.mark.parametrize("what", ["loss", "gradient", "objective"])
def test_what_is_wrong_is_found(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    backend = type(prepared.backend)
    name = "objective" if what == "objective" else "loss_and_grad"
    right: Callable[..., object] = getattr(backend, name)

    def wrong(self: object, theta: Tensor, *rest: object) -> object:
        found = right(self, theta, *rest)
        if isinstance(found, tuple):
            return (found[0] * 1.01, found[1]) if what == "loss" else (found[0], found[1] * 1.01)
        return found * 1.01 if isinstance(found, Tensor) and theta.dtype == torch.float32 else found

    monkeypatch.setattr(backend, name, wrong)
    with open_pool(prepared.backend, prepared.spec) as pool:
        errors = errors_of(pool, prepared.spec)
    found = {name: getattr(errors, name) for name in ("loss", "gradient", "objective")}
    assert found.pop(what) == pytest.approx(0.01, rel=1e-3)
    assert all(0 < each < ROUNDING for each in found.values())


def test_the_worst_of_the_errors() -> None:
    assert Errors(1e-3, 1e-7, 1e-8).worst == ("losses", 1e-3)
    name, worst = Errors(inf, 1.0, nan).worst
    assert worst == inf or name == "judged losses"
    assert difference(torch.tensor([1.0, -4.5]), torch.tensor([1.0, -4.0])) == 0.125
