"""Functions that a preset names, and those that a cell may run beside its plan's."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.spec.keys import Spec
from engine.spec.trust import check_of_plan, functions_of
from engine.spec.yaml_file import parse


def spec(factory: str | None) -> Spec:
    """A preset with a function, or with data of a kind that needs none."""
    own: dict[str, object] = {"kind": "custom", "factory": factory}
    if factory is None:
        own = {"kind": "polynomial", "coefficients": [0.3], "points": 9}
    network = {"kind": "mlp", "sizes": [1, 2, 1]}
    problem = {"data": own, "network": network, "loss": "mse"}
    return parse({"problem": problem, "search": {"level": 0.05}})


def test_functions_are_found_but_for_those_that_the_command_line_names() -> None:
    assert functions_of(spec("mine.py:points")) == ["mine.py:points"]
    assert functions_of(spec("mine.py:points"), ["problem.data={}"]) == []
    assert functions_of(spec(None)) == []


def test_a_cell_runs_no_other_functions_than_the_plan(tmp_path: Path) -> None:
    plan = spec("mine.py:points")
    check_of_plan(spec("mine.py:points"), plan, tmp_path)
    check_of_plan(spec(None), plan, tmp_path)
    with pytest.raises(InputError, match="runs other functions than the plan does"):
        check_of_plan(spec("os:abort"), plan, tmp_path)
