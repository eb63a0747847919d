"""Two models, each trained to alpha times the level (Algorithm 1, lines 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from engine.methods.base import Verdict
from engine.methods.stage import ChainStage
from engine.path.chain import Chain
from engine.path.snapshot import Saved
from engine.problem.symmetry import swapped
from engine.record.events import FIRST, LAST, BeadFailed, EndpointTrained, Event, Outcome
from engine.record.progress import TrainingProgress
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.spec.training import Endpoints, Training
from engine.steps.recipe import Recipe
from engine.steps.rows import End, Row
from engine.training.trainer import Job, Trainer


@runtime_checkable
class Restarts(Protocol):
    """When an endpoint is given up and begins anew."""

    def patience(self, attempt: int) -> int:
        """Steps without progress that attempt 1, 2, … has."""

    def spent(self, attempt: int, steps: int) -> bool:
        """Whether there is none after so many attempts and steps."""


@dataclass(frozen=True)
class Counted:
    """`restarts` times, with the same patience each time."""

    endpoints: Endpoints

    def patience(self, attempt: int) -> int:
        return self.endpoints.patience

    def spent(self, attempt: int, steps: int) -> bool:
        return attempt > self.endpoints.restarts


@dataclass(frozen=True)
class Impatient:
    """Short attempts, and longer ones now and then: Luby's sequence of patience.

    It is within a constant factor of the best restarts for any distribution of the steps that
    an attempt needs (Luby, Sinclair & Zuckerman 1993).
    """

    training: Training
    """Its patience is that of the first attempt."""
    restarts: int

    def patience(self, attempt: int) -> int:
        return self.training.patience * luby(attempt)

    def spent(self, attempt: int, steps: int) -> bool:
        return steps >= (self.restarts + 1) * self.training.max_steps


def luby(number: int) -> int:
    """The numbers 1, 1, 2, 1, 1, 2, 4, …, counted from 1."""
    power = 1
    while 2 * power <= number + 1:
        power *= 2
    return power // 2 if number == power - 1 else luby(number - power + 1)


class EndpointTraining(ChainStage):
    """Both endpoints in one batch; one that misses its target starts anew."""

    name = "endpoints"
    repairs = False

    def __init__(self, spec: Spec, chain: Chain, restarts: Restarts | None = None) -> None:
        self.spec, self.chain = spec, chain
        self.restarts = restarts or Counted(spec.endpoints)
        self.trainer = Trainer(Recipe(stages_of(spec).endpoints), chain.pool)
        trained = (FIRST,) if spec.endpoints.kind == "permuted" else (FIRST, LAST)
        self.attempts = dict.fromkeys(trained, 0)
        self.steps = dict.fromkeys(trained, 0)
        """Of the attempts that failed."""
        self.trained: dict[int, Weights] = {}
        self.verdict: Verdict | None = None

    def begin(self) -> None:
        weights = {bead: self._begin(bead) for bead in self.attempts}
        weights = self._with_copy(weights)
        self.chain.begin([(bead, weights[bead], 0) for bead in (FIRST, LAST)])

    def step(self, beads_left: int | None) -> list[Event]:
        self.trainer.advance()
        events = [self._settle(row) for row in self.trainer.retire()]
        now = {row.bead: row.theta for row in self.trainer.rows} | self.trained
        self.chain.move(self._with_copy(now))
        return events

    @property
    def done(self) -> bool:
        return len(self.trained) == len(self.attempts)

    def losses(self) -> dict[int, float]:
        return {row.bead: row.loss for row in self.trainer.rows}

    def training(self) -> tuple[TrainingProgress, ...]:
        return tuple(
            TrainingProgress(row.bead, row.loss, row.steps, self.attempts[row.bead])
            for row in self.trainer.rows
        )

    @property
    def bead_steps(self) -> int:
        return self.trainer.bead_steps

    def save(self) -> Saved:
        tensors, plain = self.trainer.save()
        for bead, theta in self.trained.items():
            tensors[f"trained.{bead}"] = theta
        counts: dict[str, Any] = {
            name: {str(bead): count for bead, count in counted.items()}
            for name, counted in (("attempts", self.attempts), ("steps", self.steps))
        }
        return tensors, {"trainer": plain} | counts

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        self.trainer.restore(tensors, plain["trainer"])
        self.attempts = {int(bead): count for bead, count in plain["attempts"].items()}
        self.steps = {int(bead): count for bead, count in plain["steps"].items()}
        self.trained = {
            bead: tensors[f"trained.{bead}"].to(self.chain.problem.device)
            for bead in self.attempts
            if f"trained.{bead}" in tensors
        }

    def _begin(self, bead: int) -> Weights:
        self.attempts[bead] += 1
        attempt = self.attempts[bead]
        theta = random_endpoint(self.spec, self.chain, bead, attempt)
        target = stages_of(self.spec).end_target
        stream = derive(endpoint_seed(self.spec, bead, attempt), "batches")
        self.trainer.admit(Job(bead, target, stream, self.restarts.patience(attempt)), theta)
        return theta

    def _with_copy(self, weights: dict[int, Weights]) -> dict[int, Weights]:
        """With the permuted copy of the first endpoint as the last, where that is asked for."""
        if self.spec.endpoints.kind != "permuted" or FIRST not in weights:
            return weights
        parameters = self.chain.problem.parameters
        return weights | {LAST: swapped(weights[FIRST], parameters, self.spec.endpoints.swap)}

    def _settle(self, row: Row) -> Event:
        bead, attempt = row.bead, self.attempts[row.bead]
        if row.end is End.REACHED:
            self.trained[bead] = row.theta.to(self.chain.problem.device)
            return EndpointTrained(bead, row.loss, row.steps, attempt)
        self.steps[bead] += row.steps
        if self.restarts.spent(attempt, self.steps[bead]):
            self.verdict = not_trained(self.spec, bead, row.end.words, row.loss, row.steps, attempt)
            remedy = "none left"
        else:
            self._begin(bead)
            remedy = "new random weights"
        return BeadFailed(bead, None, None, row.end.words, row.loss, row.steps, attempt, remedy)


def endpoint_seed(spec: Spec, bead: int, attempt: int) -> int:
    return derive(spec.seed, "endpoint", bead, attempt)


def random_endpoint(spec: Spec, chain: Chain, bead: int, attempt: int) -> Weights:
    """The random weights from which attempt 1, 2, … of an endpoint starts, in every method."""
    return chain.problem.initial(endpoint_seed(spec, bead, attempt))


def not_trained(spec: Spec, bead: int, end: str, loss: float, steps: int, attempts: int) -> Verdict:
    lr, target = spec.endpoints.optimizer.lr, stages_of(spec).end_target
    goal = f"{target / spec.search.level:g} × level = {target:.4g}"
    how = {
        "diverged": f"its loss became non-finite after {steps} steps; lower "
        f"endpoints.optimizer.lr (now {lr:g})",
        "out of steps": f"its loss was still {loss:.4g} after {steps} steps; raise "
        "endpoints.max_steps or the level",
        "stuck": f"its loss stopped falling at {loss:.4g} after {steps} steps; raise "
        "the level, endpoints.patience or endpoints.restarts",
    }[end]
    return Verdict(
        Outcome.ENDPOINT_NOT_TRAINED,
        f"Endpoint {bead} was not trained to {goal} in {attempts} attempts: in the last, {how}.",
    )
