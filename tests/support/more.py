"""Cases of a test of which most runs of the tests take a few, and `pytest -m ''` takes all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def always(few: Collection[T], every: Iterable[T]) -> list[Any]:
    """Every case as a parameter; those that are not among the few are more of the same."""
    cases = list(every)
    assert all(case in cases for case in few), few
    return [case if case in few else more(case) for case in cases]


def more(*case: Any) -> Any:
    """A case that most runs of the tests leave out."""
    return pytest.param(*case, marks=pytest.mark.exhaustive)
