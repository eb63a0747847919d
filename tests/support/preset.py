"""A preset as text, and what becomes of it."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse, read_yaml, with_overrides

PRESET = """\
description: a small parabola
problem:
  data: {kind: polynomial, coefficients: [0.3, 0.25, 0.5], points: 40}
  network: {kind: mlp, sizes: [1, 3, 1], bias: false}
  loss: l1
search: {level: 2.5e-3}
limits: {beads: 70}
seed: 7
"""


def spec_of(*overrides: str, text: str = PRESET) -> Spec:
    return parse(with_overrides(read_yaml(text, "p.yaml"), overrides, "p.yaml"), "p.yaml")


def refusal(*overrides: str, text: str = PRESET) -> str:
    with pytest.raises(InputError) as caught:
        spec_of(*overrides, text=text)
    assert "\n" not in str(caught.value)
    return str(caught.value)
