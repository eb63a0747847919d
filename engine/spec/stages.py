"""The settings of each stage of a search, with no key left null. No torch here.

Some keys of a preset may be null and are then taken from another block. Only this module knows
from which; the stages read their settings here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.training import PartialTraining, Training

Value = TypeVar("Value")


@dataclass(frozen=True)
class Stages:
    """The settings of a search's stages that may be taken from one another's blocks."""

    ends_held: bool
    """Whether the search leaves the ends as they are, once they are there."""
    method: Training
    """The training of most beads of the method: of the ends, where it trains no others."""
    method_key: str
    """The key of that block in a preset."""
    grid: int
    """The number of points t = 0 … 1 at which every stage evaluates a segment."""
    endpoints: Training
    """The training of the ends. With method auto, the patience is that of their first attempt."""
    greedy: Training
    """The training of a bead in greedy DSS."""
    constrained: Training
    """The training of the string in constrained DSS."""
    constrained_margin: float
    """The least distance of a new bead from the ends of its segment in constrained DSS, in t."""
    polish: Training
    """The training of the beads of a stuck string, each for itself."""
    detour: Training
    """The training of the model of a detour. The patience is that of its first attempt."""
    detour_restarts: int
    """The model of a detour has (detour_restarts + 1) × max_steps steps in all."""
    audit: Training
    """The training whose steps give the cost of a run when the audit's grid is chosen."""

    @property
    def by_key(self) -> dict[str, Training]:
        """The training blocks of all stages, by the keys of a preset that hold them."""
        return {
            self.method_key: self.method,
            "endpoints": self.endpoints,
            "search.greedy": self.greedy,
            "search.constrained": self.constrained,
            "search.polish": self.polish,
            "search.detour": self.detour,
        }

    @property
    def trainings(self) -> tuple[Training, ...]:
        """The training blocks of all stages."""
        return tuple(self.by_key.values())


def stages_of(spec: Spec) -> Stages:
    """Returns the settings of a spec's stages, each null key taken from where it is documented."""
    search, greedy, constrained = spec.search, spec.search.greedy, spec.search.constrained
    impatient = spec.endpoints.model_copy(update={"patience": search.auto.patience})
    block = METHODS[search.method].training
    own = spec.endpoints if block == "endpoints" else getattr(search, block)
    return Stages(
        ends_held=spec.endpoints.held or spec.endpoints.align is not None or search.number is None,
        method=own.over(greedy) if isinstance(own, PartialTraining) else own,
        method_key=block if block == "endpoints" else f"search.{block}",
        grid=_first(search.grid, getattr(own, "grid", greedy.grid)),
        endpoints=impatient if search.method == "auto" else spec.endpoints,
        greedy=greedy,
        constrained=constrained,
        constrained_margin=_first(constrained.margin, greedy.margin),
        polish=search.polish.over(
            greedy.model_copy(update={"patience": constrained.patience}),
        ),
        detour=search.detour.over(impatient),
        detour_restarts=_first(search.detour.restarts, spec.endpoints.restarts),
        audit=greedy.model_copy(
            update={"batch_size": _first(search.audit.batch_size, greedy.batch_size)}
        ),
    )


def _first(own: Value | None, other: Value) -> Value:
    """Returns a key's own value, or the other where it is null."""
    return other if own is None else own
