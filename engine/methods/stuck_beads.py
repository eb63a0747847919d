"""What is done with beads of a tied string whose loss stopped falling (§6).

An end begins anew with random weights, and the string with it. Any other bead is taken out; where a
peak needs one, a new bead starts elsewhere later.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.methods.base import Verdict
from engine.methods.endpoints import not_trained, random_endpoint
from engine.methods.tied_string import TiedString
from engine.path.chain import Chain
from engine.record.events import FIRST, LAST, BeadFailed, Event
from engine.record.unfit import Unfit
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.steps.rows import End


class StuckBeads:
    """The random weights from which ends of a string begin, and the beads that were given up."""

    def __init__(self, spec: Spec, chain: Chain, string: TiedString) -> None:
        """Counts the first attempt at each end; no bead has been given up."""
        self._spec, self._chain, self._string = spec, chain, string
        self.attempts = {FIRST: 1, LAST: 1}
        """Number of random initialisations of each endpoint, by its id."""
        self.taken_out = 0
        """Number of stuck inner beads that were taken out."""
        self.verdict: Verdict | None = None
        """How the search ended, where an end is stuck that has no attempts left."""

    def resume(self, attempts: dict[int, int], taken_out: int) -> None:
        """Goes on from what a checkpoint held. Raises Unfit for attempts of other beads."""
        if attempts.keys() != self.attempts.keys():
            raise Unfit(f"attempts are not of the ends {FIRST} and {LAST}")
        self.attempts, self.taken_out = dict(attempts), taken_out

    def draw_line(self) -> None:
        """Makes the chain a straight line between two random ends."""
        first, last = (self._random(bead) for bead in (FIRST, LAST))
        self._chain.begin([(FIRST, first, 0), (LAST, self._near(first, last), 0)])

    def take_out(self, bead: int) -> Event:
        """Takes an inner bead out of the string."""
        end, loss, steps = self._found(bead)
        left, right = self._string.drop(bead)
        self.taken_out += 1
        return BeadFailed(bead, left, right, end.words, loss, steps, 1, "taken out")

    def begin_anew(self, ends: list[int]) -> list[Event]:
        """Begins anew with random weights for these ends, if all have attempts left.

        Where one has none left, the string stays as it is, and there is a verdict.
        """
        events: list[Event] = []
        for bead in ends:
            end, loss, steps = self._found(bead)
            attempt = self.attempts[bead]
            spent = attempt > self._spec.endpoints.restarts
            remedy = "none left" if spent else "new random weights"
            events.append(BeadFailed(bead, None, None, end.words, loss, steps, attempt, remedy))
            if spent:
                self.verdict = not_trained(
                    self._spec,
                    self._chain.goal,
                    "search.constrained",
                    bead,
                    end.words,
                    loss,
                    steps,
                    attempt,
                )
                return events
        self._draw_again(ends)
        return events

    def _draw_again(self, ends: list[int]) -> None:
        """Makes the chain a straight line between new random ends, of which one may have stayed."""
        weights = {bead: self._chain.weights[bead] for bead in (FIRST, LAST)}
        for bead in ends:
            self.attempts[bead] += 1
            weights[bead] = self._near(weights[FIRST + LAST - bead], self._random(bead))
        self._chain.begin([(bead, theta, 0) for bead, theta in weights.items()])
        self._chain.lowest = None  # it led to an end that is no longer one
        self._string.restart(weights.keys() - ends)

    def _found(self, bead: int) -> tuple[End, float, int]:
        """Returns how a bead's training ended, with its loss and the number of its steps."""
        row, rows = self._chain.order.index(bead), self._string.rows
        loss = float(rows.loss[row])
        return End.STUCK if np.isfinite(loss) else End.DIVERGED, loss, int(rows.steps[row])

    def _random(self, bead: int) -> Weights:
        return random_endpoint(self._spec, self._chain, bead, self.attempts[bead])

    def _near(self, fixed: Weights, drawn: Weights) -> Weights:
        """Returns a random model, moved to `start_distance` from the other where it is farther."""
        limit = self._spec.search.constrained.start_distance
        distance = float((drawn - fixed).norm())
        if limit is None or distance <= limit:
            return drawn
        return torch.lerp(fixed, drawn, limit / distance)
