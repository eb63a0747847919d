"""The search methods by their names. No torch here.

A method is one file of stages and one entry here. The registry names its module, which is imported
when a search begins, so that menus and checks of presets know all methods without torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from engine.errors import nearest


@dataclass(frozen=True)
class MethodKind:
    """What is known of a method before its module is imported."""

    module: str
    """The module with its stages. Its function `between(spec, chain)` returns those that look for a
    path between the ends of a chain."""
    words: str
    """Its main setting, in words in which {s} stands for the block `search` of a preset."""
    training: str
    """The block of `search` with the training of its beads. It is `endpoints` where the method
    trains no others."""
    splits: bool = False
    """Whether greedy DSS comes first, so that it can begin with evenly spaced inner beads."""
    once: bool = False
    """Whether it is tried once where the lowest level is looked for, because it does not aim at a
    level."""
    takes_strings: bool = False
    """Whether it goes on with the string of a file. Where it does not, the beads of such a string
    are trained one by one, and greedy DSS goes on."""


METHODS = {
    "greedy": MethodKind(
        "engine.methods.greedy", "depth up to {s.greedy.max_depth}", "greedy", splits=True
    ),
    "constrained": MethodKind(
        "engine.methods.constrained",
        "hyperplane {s.constrained.hyperplane}",
        "constrained",
        takes_strings=True,
    ),
    "auto": MethodKind(
        "engine.methods.auto",
        "greedy, constrained, {s.auto.detours} detours",
        "greedy",
        splits=True,
    ),
    "linear": MethodKind("engine.methods.linear", "in closed form", "endpoints", once=True),
    "neb": MethodKind(
        "engine.methods.neb", "a nudged elastic band of {s.neb.beads} inner beads", "neb", once=True
    ),
    "bezier": MethodKind(
        "engine.methods.curves",
        "{s.bezier.control_points} control points between the ends",
        "bezier",
        once=True,
    ),
    "polychain": MethodKind(
        "engine.methods.curves",
        "{s.polychain.control_points} corners between the ends",
        "polychain",
        once=True,
    ),
    "simplex": MethodKind(
        "engine.methods.curves",
        "{s.simplex.control_points} vertices shared by two simplexes",
        "simplex",
        once=True,
    ),
}
"""All methods, in the order in which people see them."""


def known(name: str) -> str:
    """Returns the name of a method. Raises ValueError for another text."""
    if name in METHODS:
        return name
    raise ValueError(f"is {json.dumps(name)}; {nearest(name, METHODS)}")
