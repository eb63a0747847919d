"""Constrained searches on landscapes, from ends that a test chooses."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.methods.constrained import ConstrainedSearch
from engine.methods.method import StagedMethod
from engine.record.events import (
    FIRST,
    LAST,
    Outcome,
)
from engine.spec.keys import Spec
from engine.spec.optimizers import Sgd
from engine.spec.search import Constrained
from tests.support.landscapes import ring, spec_for


def string_spec(level: float, seed: int = 3, restarts: int = 5, **constrained: object) -> Spec:
    """A spec for a landscape, whose method is constrained."""
    spec = spec_for(level, seed)
    values = {"optimizer": Sgd(kind="sgd", lr=0.02)} | constrained
    search = {"method": "constrained", "constrained": Constrained.model_validate(values)}
    return spec.model_copy(
        update={
            "search": spec.search.model_copy(update=search),
            "endpoints": spec.endpoints.model_copy(update={"restarts": restarts}),
        }
    )


def stage_of(method: StagedMethod) -> ConstrainedSearch:
    (stage,) = (stage for stage in method.stages if isinstance(stage, ConstrainedSearch))
    return stage


def outcome(method: StagedMethod) -> Outcome:
    assert method.verdict is not None
    return method.verdict.outcome


def place_endpoints(method: StagedMethod, first: list[float], last: list[float]) -> None:
    """Two models to start from, in place of random ones."""
    stage, weights = stage_of(method), [torch.tensor(first), torch.tensor(last)]
    method.chain.begin([(bead, w, 0) for bead, w in zip((FIRST, LAST), weights, strict=True)])
    stage.string.begin(held=(False, False))


def raised(w: Tensor) -> Tensor:
    """A ring whose valley is at 0.1."""
    return ring(w) + 0.1


def walled(w: Tensor) -> Tensor:
    """Two valleys, and a level plateau between them on which no bead can move."""
    side = (w[0].abs() - 1.5).square() + w[1].square()
    return torch.where(w[0].abs() < 0.8, 2.0 + 0 * side, side)


def off_the_planes(method: StagedMethod) -> float:
    """How far a bead is from the plane equidistant from its neighbours, over their distance."""
    beads = torch.from_numpy(method.string().beads).double()
    if len(beads) < 3:
        return 0.0
    left, right = beads[:-2], beads[2:]
    chord = right - left
    off = ((beads[1:-1] - (left + right) / 2) * chord).sum(1)
    return float((off / chord.square().sum(1)).abs().max())
