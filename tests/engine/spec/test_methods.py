"""The registry of methods: names, the modules behind them, and what is said of unknown ones."""

from __future__ import annotations

from importlib import import_module

import pytest

from dss_tui.viewing import describe
from engine.part import Part
from engine.spec.methods import METHODS
from engine.spec.search import Search
from tests.support.preset import refusal, spec_of


@pytest.mark.parametrize("name", METHODS)
def test_each_method_has_its_module_its_block_and_its_words(name: str) -> None:
    kind = METHODS[name]
    assert callable(import_module(kind.module).between)
    block = Search.model_fields.get(kind.training)
    assert kind.training == "endpoints" or isinstance(block and block.default, Part)
    words = describe.method(spec_of(f"search.method={name}"))
    assert words.startswith(f"{name}: ")
    assert "{" not in words


def test_a_method_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    assert refusal("search.method=bezir") == (
        "p.yaml: search.method: is \"bezir\"; did you mean 'bezier'?"
    )
