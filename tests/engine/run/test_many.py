"""Which runs a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.run import sweep
from engine.run.compare import comparison
from engine.run.components import components
from engine.run.grid import AT_ONCE
from engine.run.many import prepare_of


@pytest.mark.parametrize(
    "plan, expected",
    [
        ("sweep.yaml", (sweep.prepared, AT_ONCE)),
        ("compare.yaml", (comparison.prepared, comparison.AT_ONCE)),
        ("components.yaml", (components.prepared, AT_ONCE)),
    ],
)
def test_each_kind_is_prepared_by_its_own(
    plan: str, expected: tuple[object, int], tmp_path: Path
) -> None:
    (tmp_path / plan).touch()
    assert prepare_of(tmp_path) == expected
