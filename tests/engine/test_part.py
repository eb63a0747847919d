"""Parts of presets: what their texts name, and the registries of kinds."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

import engine.data
import engine.networks
from engine.part import FunctionName, Kinds, Names, Part, PathName, functions_in, renamed, words_of


class Inner(Part):
    function: FunctionName = "f.py:f"
    word: str = "plain"


class Outer(Part):
    path: PathName = "a"
    other: Annotated[str | None, Names.PATH] = None
    inner: Inner = Inner()
    word: str = "plain"


class Square(Part):
    kind: Literal["square", "box"]
    side: int


class Circle(Part):
    kind: Literal["circle"]
    radius: int


def test_texts_that_name_something_are_renamed_wherever_they_stand() -> None:
    part = renamed(Outer(), lambda names, text: f"{names.name} {text}")
    assert part == Outer(path="PATH a", inner=Inner(function="FUNCTION f.py:f"))
    assert renamed(Outer(other="b"), lambda _, text: text.upper()).other == "B"


def test_a_part_in_which_nothing_changes_stays_the_same() -> None:
    part = Outer(path="c")
    assert renamed(part, lambda _, text: text) is part


def test_functions_are_found_wherever_they_are_named() -> None:
    assert list(functions_in(Outer())) == ["f.py:f"]
    assert list(functions_in(Square(kind="box", side=3))) == []


def test_a_union_tells_kinds_apart_by_any_of_their_words() -> None:
    kinds: Kinds[Part] = Kinds(Square)
    kinds.register(Circle)
    adapter: TypeAdapter[Part] = TypeAdapter(kinds.union())
    assert adapter.validate_python({"kind": "box", "side": 4}) == Square(kind="box", side=4)
    assert adapter.validate_python({"kind": "circle", "radius": 4}) == Circle(
        kind="circle", radius=4
    )
    with pytest.raises(ValidationError, match="'square', 'box', 'circle'"):
        adapter.validate_python({"kind": "line"})


def test_a_kind_that_comes_too_late_is_refused() -> None:
    kinds: Kinds[Part] = Kinds(Square, Circle)
    kinds.union()
    with pytest.raises(RuntimeError, match="Inner is registered after"):
        kinds.register(Inner)


@pytest.mark.parametrize("kinds", [engine.data.KINDS, engine.networks.KINDS])
def test_no_word_names_two_kinds(kinds: Kinds[Part]) -> None:
    words = [word for kind in kinds for word in words_of(kind)]
    assert len(words) == len(set(words)) > 5
