"""Compiled steps of proofs give the models that those written with tensors give, to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("numba")

from engine.backends.disk_cache import folder
from engine.backends.fused.kernels import SOURCES
from engine.path.certificate import compiled
from engine.path.certificate.chord import Chord
from engine.path.certificate.piecewise_linear import relu, relu_by_tensors
from engine.path.certificate.pooling import max_pool, max_pool_by_tensors

#: What random numbers are replaced by here and there: equal numbers, and those that break a proof.
ODD = (0.0, -0.0, 1.0, -1.0, 1e-300, 5e-324, 1e300, torch.inf, -torch.inf, torch.nan)


def numbers(shape: tuple[int, ...], rng: torch.Generator, odd: float) -> Tensor:
    """Returns random numbers, a share of which is odd."""
    found = torch.randn(shape, generator=rng, dtype=torch.float64)
    choice = torch.tensor(ODD, dtype=torch.float64)
    other = choice[torch.randint(len(ODD), shape, generator=rng)]
    return torch.where(torch.rand(shape, generator=rng) < odd, other, found)


def model(seed: int, shape: tuple[int, ...], rest: float, odd: float) -> Chord:
    """Returns random models (cell, sample, …) with bow and remainder of about that size."""
    rng = torch.Generator().manual_seed(seed)
    start, end, bow, low, high = (numbers(shape, rng, odd) for _ in range(5))
    return Chord(start, end, rest * bow, -rest * low.abs(), rest * high.abs())


def assert_same(one: Chord, other: Chord) -> None:
    """Asserts that two models have the same bits, all that is not a number being the same."""
    for part, twin in zip(one.parts, other.parts, strict=True):
        assert part.shape == twin.shape
        assert part.dtype == twin.dtype == torch.float64
        assert torch.equal(part.nan_to_num(7e77), twin.nan_to_num(7e77))


@pytest.fixture(autouse=True, scope="module")
def compiling() -> None:
    """Compiles, or loads, the code before examples are timed."""
    compiled.max_pool(compiled.relu(model(0, (1, 1, 1, 1, 1), 0.0, 0.0)), (1, 1))


models = st.tuples(
    st.integers(0, 10**6), st.sampled_from([0.0, 1e-9, 1e-3, 1.0]), st.sampled_from([0.0, 0.2])
)


@given(models)
def test_a_rectifier(drawn: tuple[int, float, float]) -> None:
    seed, rest, odd = drawn
    x = model(seed, (2, 5, 7), rest, odd)
    assert_same(compiled.relu(x), relu_by_tensors(x))


@given(models, st.sampled_from([(1, 1), (2, 2), (3, 2), (1, 4)]), st.booleans())
def test_a_pooling(drawn: tuple[int, float, float], size: tuple[int, int], after: bool) -> None:
    seed, rest, odd = drawn
    x = model(seed, (2, 3, 2, 7, 5), rest, odd)
    if after:  # a rectifier makes many equal numbers
        x = relu_by_tensors(x)
    assert_same(compiled.max_pool(x, size), max_pool_by_tensors(x, size))


def test_models_in_any_layout() -> None:
    x = model(1, (2, 3, 4, 6, 6), 1e-3, 0.0).map(lambda part: part.transpose(2, 4))
    assert not x.start.is_contiguous()
    assert_same(compiled.max_pool(x, (2, 2)), max_pool_by_tensors(x, (2, 2)))
    assert_same(compiled.relu(x), relu_by_tensors(x))


def test_proofs_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    x = model(2, (1, 2, 1, 4, 4), 1e-3, 0.0)
    expected = compiled.relu(x)
    monkeypatch.setattr(compiled, "relu", lambda x: expected)
    monkeypatch.setattr(compiled, "max_pool", lambda x, size: expected)
    assert relu(x) is expected
    assert max_pool(x, (2, 2)) is expected


CHOICE = """
import sys
import torch
from engine.path.certificate.twins import MANY, twins

few, many = torch.zeros(MANY - 1), torch.zeros(MANY)
assert twins(few) is None and "numba" not in sys.modules
assert twins(many) is not None
assert twins(few) is twins(many)
"""


def test_a_few_numbers_do_not_wait_for_the_compiler_to_be_imported() -> None:
    subprocess.run([sys.executable, "-c", CHOICE], check=True)


def test_they_are_kept_on_the_disk_apart_from_training() -> None:
    proofs, training = Path(compiled.__file__).parent, SOURCES
    assert any(folder(proofs).glob("_relu-*"))
    assert not any(folder(training).glob("_relu-*"))
