"""Specs of ends that many searches share: how they are trained, and what is searched between them.

No torch here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.spec.keys import Spec


def between(spec: Spec, a: Path, b: Path, seed: int) -> dict[str, Any]:
    """Returns the tree of a spec that searches between two models in files, by its own method."""
    tree = spec.model_dump(mode="json")
    tree["seed"] = seed
    tree["endpoints"] |= {"kind": "files", "a": str(a), "b": str(b), "key": None, "prefix": None}
    tree["endpoints"] |= {"until": "level", "epochs": None, "ema": None, "swa": None}
    return tree


def training_of(spec: Spec, seed: int) -> Spec:
    """Returns the spec by which two ends are trained, as greedy DSS trains its own.

    They are not aligned, because that belongs to a search between them.
    """
    plain = {"method": "greedy", "shorten": False, "min_inner_beads": 0}
    search = spec.search.model_copy(update=plain)
    endpoints = spec.endpoints.model_copy(update={"align": None})
    return spec.model_copy(update={"search": search, "endpoints": endpoints, "seed": seed})


def without_ends(spec: Spec) -> Spec:
    """Returns a spec with the problem of ends that come from elsewhere, for which none are trained.

    Nothing is searched by it, so its level is any.
    """
    update = {"kind": "random", "a": None, "b": None}
    endpoints = spec.endpoints.model_copy(update=update)
    search = spec.search.model_copy(update={"level": 0.5})
    return spec.model_copy(update={"endpoints": endpoints, "search": search})
