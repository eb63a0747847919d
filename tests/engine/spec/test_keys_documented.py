"""Every key of a preset is explained: where it is defined, and in a comment of a shipped preset."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import presets
from engine.part import Part
from engine.spec.keys import Spec

PRESETS = [path.read_text() for path in sorted(Path(presets.__file__).parent.glob("*.yaml"))]


def parts(above: type[Part] = Part) -> Iterator[type[Part]]:
    """All classes of keys that the engine defines."""
    for part in above.__subclasses__():
        if part.__module__.startswith("engine."):
            yield part
        yield from parts(part)


def names_the_kind(part: type[Part], key: str) -> bool:
    """Whether a key is the name by which a union knows the class, which says what it is."""
    return key == "kind" and part.model_fields[key].is_required()


assert Spec in parts()  # importing it defines every key
PARTS = sorted(set(parts()), key=lambda part: (part.__module__, part.__qualname__))
KEYS = [
    (part, key)
    for part in PARTS
    for key in part.__annotations__
    if key in part.model_fields and not names_the_kind(part, key)
]


def explained(part: type[Part]) -> dict[str, str]:
    """The docstrings below the keys of a class."""
    (tree,) = ast.parse(inspect.getsource(part)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for key, text in zip(tree.body, tree.body[1:], strict=False):
        match key, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                found[name] = words
    return found


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_class_of_keys_says_what_it_is(part: type[Part]) -> None:
    assert part.__doc__ and part.__doc__.strip().endswith(".")


@pytest.mark.parametrize(("part", "key"), KEYS, ids=lambda each: getattr(each, "__name__", each))
def test_a_key_says_what_it_is(part: type[Part], key: str) -> None:
    assert explained(part).get(key, "").strip().endswith(".")


@pytest.mark.parametrize(("part", "key"), KEYS, ids=lambda each: getattr(each, "__name__", each))
def test_a_key_stands_beside_a_comment_of_a_shipped_preset(part: type[Part], key: str) -> None:
    name = re.compile(rf"(?m)^.*\b{key}\b.*#|#.*\b{key}\b")
    assert any(name.search(text) for text in PRESETS)
