"""The list of quantities, and that each has its file."""

from __future__ import annotations

from pathlib import Path

import pytest

import engine.quantities
from engine.quantities import QUANTITIES, quantity
from engine.quantities.base import Kind
from tests.support.imports import imported_by
from tests.support.paths import drawn_beads, drawn_problem, measurement, path_through


def test_the_list_needs_no_torch() -> None:
    assert "torch" not in imported_by("from engine.quantities import QUANTITIES")


@pytest.mark.parametrize("name", QUANTITIES)
def test_each_quantity_is_a_file_that_measures(name: str) -> None:
    kind = quantity(name)
    assert isinstance(kind, Kind)
    problem = drawn_problem()
    beads = drawn_beads(problem, 2)
    assert kind.refusal(problem) is None
    assert kind.samples(path_through(problem, beads, between=1), problem) > 0
    found = kind.measured(measurement(problem, beads, between=1))
    assert found.series and {len(each.values) for each in found.series} == {3}
    keys = [each.key for each in found.series]
    assert len(keys) == len(set(keys))
    folder = Path(engine.quantities.__file__).parent
    assert any("QUANTITY" in file.read_text() for file in folder.glob(f"{name}.py"))
