"""Mutations change what a program does, and nothing else about its file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.mutations import mutations

ENGINE = Path(__file__).parents[2] / "engine"
ROOMS = ("steps", "training", "path", "methods")

#: A module, and what its mutations make of the line that holds each of these.
SAMPLE = '''"""Nothing < here is > mutated."""

LIMIT: int = 3


def cut(values: list[int] | None, left: set[int]) -> list[int]:
    """Nor 1 + 2 here."""
    if values is None or not values:
        raise ValueError(f"{1 + 2} of {len(values)}")
    ends = [min(values), max(
        value
        for value in values
    )]
    left.discard(ends[0])
    return ends if len(left) <= LIMIT else list(zip(left - {1}, ends, strict=True))
'''


def changed(line: str) -> set[str]:
    """What the mutations of the sample make of a line, without the parentheses around it."""
    number = SAMPLE.splitlines().index(line)
    made = {mutation.applied(SAMPLE).splitlines()[number] for mutation in mutations(SAMPLE)}
    return {other.strip() for other in made - {line}}


def test_each_mutation_changes_its_lines_alone() -> None:
    """Whatever stands on other lines, behind an expression of several lines too, stays there."""
    for mutation in mutations(SAMPLE):
        made = mutation.applied(SAMPLE)
        assert ast.dump(ast.parse(made)) != ast.dump(ast.parse(SAMPLE))
        pairs = zip(SAMPLE.splitlines(), made.splitlines(), strict=True)
        differs = {number for number, (a, b) in enumerate(pairs, 1) if a != b}
        assert differs <= set(range(mutation.line, mutation.end_line + 1))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("LIMIT: int = 3", {"LIMIT: int = 4"}),
        (
            "    if values is None or not values:",
            {
                "if (values is None and (not values)):",
                "if (values is None):",
                "if (values is not None) or not values:",
                "if values is None or (values):",
            },
        ),
        ("    left.discard(ends[0])", {"pass", "left.discard(ends[1])"}),
        ('        raise ValueError(f"{1 + 2} of {len(values)}")', set()),
        ("def cut(values: list[int] | None, left: set[int]) -> list[int]:", set()),
        ('    """Nor 1 + 2 here."""', set()),
    ],
)
def test_what_becomes_of_a_line(line: str, expected: set[str]) -> None:
    assert changed(line) == expected


def test_what_becomes_of_a_choice() -> None:
    (line,) = (line for line in SAMPLE.splitlines() if line.startswith("    return ends"))
    made = " | ".join(changed(line))
    for part in ("len(left) < LIMIT", "len(left) > LIMIT", "return None", "left + {1}", "{2}"):
        assert part in made
    assert "(list(zip(left - {1}, ends, strict=True)) if len(left) <= LIMIT else ends)" in made
    assert "zip((left), ends" in made
    assert "strict=False" not in made


@pytest.mark.parametrize("room", ROOMS)
def test_mutations_of_the_engine_are_programs(room: str) -> None:
    """One in twelve is compiled, since all of them take half a minute."""
    count = 0
    for file in (ENGINE / room).rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        for mutation in list(mutations(source))[::12]:
            compile(mutation.applied(source), file, "exec", dont_inherit=True)
            count += 1
    assert count > 5
