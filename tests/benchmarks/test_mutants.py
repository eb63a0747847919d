"""Which tests a mutant is given to."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mutants import Covered, Mutant, in_compiled_code
from benchmarks.mutations import mutations

ROOT = Path(__file__).parents[2]
SOURCE = """
@compiled(STRICT)
def first(a):
    return a + 1


@part
def second(a):
    return a - 1


def third(a):
    return a * 2
"""


@pytest.mark.parametrize(("line", "compiled"), [(4, True), (9, True), (13, False)])
def test_compiled_code_is_told_by_its_decorator(line: int, compiled: bool) -> None:
    assert in_compiled_code(SOURCE, line) is compiled


def test_compiled_code_is_given_to_the_tests_of_its_folder() -> None:
    """Coverage does not see its lines run."""
    seconds = {"tests/engine/path/test_a.py::x": 2.0, "tests/engine/path/test_b.py::y": 1.0}
    covered = Covered({"engine/path/a.py": {}}, seconds | {"tests/engine/test_c.py::z": 0.5})

    def tests(line: int) -> list[str]:
        (mutation,) = [each for each in mutations(SOURCE) if each.line == line][:1]
        return covered.tests(Mutant("engine/path/a.py", mutation, SOURCE))

    assert tests(4) == sorted(seconds, reverse=True)
    assert tests(13) == []


def test_every_decorator_that_compiles_is_known() -> None:
    """The kernels and the proofs have compiled functions, and mutations stand in them."""
    for folder in ("backends/fused/kernels", "path/certificate"):
        files = (ROOT / "engine" / folder).glob("*.py")
        sources = (file.read_text(encoding="utf-8") for file in files)
        assert any(in_compiled_code(s, each.line) for s in sources for each in mutations(s))
