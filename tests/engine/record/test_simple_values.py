"""Plain values of JSON that hold no others: what stands for what, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.record.simple_values import SIMPLE
from engine.record.unfit import Unfit


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [(int, 7, 7), (float, 7, 7.0), (float, 0.5, 0.5), (str, "a", "a"), (bool, False, False)],
)
def test_a_value_of_its_kind_is_kept(kind: type, value: Any, made: Any) -> None:
    found = SIMPLE[kind](value)
    assert found == made and type(found) is kind


def test_null_is_a_number_that_is_not_finite() -> None:
    assert math.isnan(SIMPLE[float](None))
    assert SIMPLE[type(None)](None) is None


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (int, True, "is true, but must be a whole number"),
        (int, 1.0, "is 1.0, but must be a whole number"),
        (float, "1", "is '1', but must be a number"),
        (float, False, "is false, but must be a number"),
        (float, 2**1000, "is a huge number, but must be a number"),
        (str, None, "is null, but must be a text"),
        (bool, 0, "is 0, but must be true or false"),
        (type(None), [], "is an empty list, but must be null"),
        (str, {"a": 1}, "is an object, but must be a text"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: type, value: Any, why: str) -> None:
    with pytest.raises(Unfit) as refused:
        SIMPLE[kind](value)
    assert str(refused.value) == why
