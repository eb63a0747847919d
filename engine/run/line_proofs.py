"""Proofs of what loss and error do not exceed anywhere between two models, where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from threading import Lock

from engine.path.certificate.highest import Asked, Bounding, Highest, highest
from engine.path.certificate.proof import EFFORT
from engine.path.certificate.proving import PASSES, allowed, disagreement, provable_or_why
from engine.problem.problem import TRAINING_LOSS
from engine.run.lines import Line
from engine.run.two_models import TwoModels
from engine.told import Told

#: Multiplications that the proof of one line may cost: some ten seconds on one core.
WORTH = 5e10
#: Cells below which a proof is not begun, because its bound would be far above the peak.
LEAST_EFFORT = 16
#: The share by which a value is above the measured peak that is no rounding.
ROUNDING = 1e-9


def with_proofs(models: TwoModels, lines: Sequence[Line], told: Told) -> list[Line]:
    """Returns lines with what is proven of each, or why nothing is.

    Where a proof meets a value above the peak that was measured, that is the peak. `told` is called
    with the share of the work that is done at least.
    """
    asked = [_asked(models, line) for line in lines]
    worth = [each for each in asked if isinstance(each, Asked)]
    found: list[Highest] = []
    if worth:
        telling = _Telling(told, [Bounding().size(each) for each in worth])
        several = [replace(each, told=partial(telling, n)) for n, each in enumerate(worth)]
        with models.of.pool(TRAINING_LOSS) as pool:
            found = highest(pool, several)
    bounds = iter(found)
    return [
        _proven(line, each, next(bounds))
        if isinstance(each, Asked)
        else replace(line, unproven=each)
        for line, each in zip(lines, asked, strict=True)
    ]


def _asked(models: TwoModels, line: Line) -> Asked | str:
    """Returns what is to be bounded of a line, or a clause that says why nothing is."""
    on = line.measure
    problem = models.problem.with_objective(on, len(models.problem.samples(on.split)))
    net = provable_or_why(problem)
    if isinstance(net, str):
        return f"there is no proof for this network: {net}"
    effort = min(EFFORT, int(WORTH / (PASSES * len(net.samples) * problem.cost.products)))
    if effort < LEAST_EFFORT:
        return "a proof would take too long"
    return Asked(net, models.pair, effort)


def _proven(line: Line, asked: Asked, found: Highest) -> Line:
    """Returns a line with the bound that was found, or with a clause that says why none is."""
    if not isfinite(found.bound):
        return replace(line, unproven=f"no bound was found in {found.cells} cells")
    level = max(found.bound, line.peak)
    if level > 0 and disagreement(found.ends, line.ends, level) > allowed(asked.net, level):
        return replace(line, unproven="the formula that is proven has other values at both models")
    line = replace(line, proven=found.bound)
    if not found.reached > line.peak * (1 + ROUNDING):
        return line
    rise = max(line.over_interpolation, found.reached - line.chord(found.at))
    return replace(line, peak=found.reached, t_peak=found.at, over_interpolation=rise)


@dataclass
class _Telling:
    """Tells the share of several proofs together, each of which is made by a worker of its own."""

    told: Told
    sizes: Sequence[int]
    """How much work each may be at most."""
    shares: dict[int, float] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, number: int, share: float) -> None:
        """Is told the share of one proof that is done."""
        with self.lock:
            self.shares[number] = share
            done = sum(self.sizes[each] * part for each, part in self.shares.items())
            self.told(min(1.0, done / sum(self.sizes)))
