"""The points of the paper's figures that belong to shipped presets. No torch here.

They lie in `published.json` beside this file, which names their source.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.spec.keys import Spec
from engine.spec.shipped import load_preset

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class PublishedPoint:
    """The results that the paper plots for one level: means and their standard errors."""

    level: float
    normalized_length: tuple[float, float]
    """The mean of the strings' lengths, each divided by the distance of its ends."""
    beads: tuple[float, float]
    """The mean number of beads, the ends included."""


@dataclass(frozen=True)
class Published:
    """The points that the paper plots for the problem of a shipped preset."""

    preset: str
    enforced: float | None
    """The multiple of the level below which the authors' code held its paths; None: see `note`."""
    points: tuple[PublishedPoint, ...]
    source: str
    """The paper, and where in it the points were read."""
    note: str = ""
    """What the authors' code did with the level, where it did not hold paths below it."""

    @property
    def held(self) -> str:
        """Returns a clause that says how far the authors' code held paths to the level."""
        return self.note or f"paths were held to {self.enforced:g} × level"


def published_for(spec: Spec) -> Published | None:
    """Returns the paper's points for the problem of a spec, or None where there are none.

    The problem and the objective must be those of a shipped preset; how the path is searched for
    may differ.
    """
    wanted = _comparable(spec)
    return next((known for known in _all() if _of_preset(known.preset) == wanted), None)


@lru_cache(maxsize=1)
def _all() -> tuple[Published, ...]:
    """Returns all published points."""
    tree: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    presets = tree["presets"]
    return tuple(
        Published(
            name,
            held["enforced"],
            _points(held["points"], presets),
            tree["source"],
            held.get("note", ""),
        )
        for name, held in presets.items()
    )


def _points(held: Any, presets: dict[str, Any]) -> tuple[PublishedPoint, ...]:
    """Returns the points of a preset, which may be those of another one, by its name."""
    return tuple(
        PublishedPoint(point["level"], tuple(point["normalized_length"]), tuple(point["beads"]))
        for point in (presets[held]["points"] if isinstance(held, str) else held)
    )


@lru_cache
def _of_preset(name: str) -> dict[str, Any]:
    """Returns what a shipped preset searches in."""
    return _comparable(load_preset(name))


def _comparable(spec: Spec) -> dict[str, Any]:
    """Returns the problem and the objective of a spec as plain values.

    The draw of samples for batch normalization is left out, since a new run decides it.
    """
    problem = spec.problem.model_dump(mode="json", exclude={"batch_norm"})
    return {"problem": problem, "level_on": spec.search.level_on.model_dump(mode="json")}
