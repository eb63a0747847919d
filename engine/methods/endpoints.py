"""The stage that trains the two ends.

They are trained to their share of the level (Algorithm 1, lines 2 and 3), or by their recipe for a
number of epochs, and are then judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch

from engine.methods.aligned import aligned
from engine.methods.base import StageState, Verdict
from engine.methods.judged import above_the_level, judged
from engine.methods.stage import SteadyStage
from engine.path.chain import Chain
from engine.problem.symmetry import swapped
from engine.record.events import FIRST, LAST, BeadFailed, EndpointTrained, Event, Outcome
from engine.record.marks import Count
from engine.record.unfit import Unfit
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec.goal import Goal
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.spec.training import Endpoints, Training
from engine.steps.averages import average_of
from engine.steps.epochs import steps_of_epochs
from engine.steps.groups import Row
from engine.steps.recipe import recipe_of
from engine.steps.rows import End
from engine.training.trainer import Job, Trainer, TrainerState


@runtime_checkable
class Restarts(Protocol):
    """A rule that says when an attempt at an endpoint ends, and when no other follows."""

    def patience(self, attempt: int) -> int:
        """Returns the steps without progress after which attempt 1, 2, … counts as stuck."""

    def spent(self, attempt: int, steps: int) -> bool:
        """Returns whether no further attempt follows.

        `attempt` is the number of the last one, `steps` those that all attempts took together.
        """


@dataclass(frozen=True)
class Counted:
    """The rule of `endpoints.restarts` further attempts, each with the same patience."""

    endpoints: Endpoints

    def patience(self, attempt: int) -> int:
        """See `Restarts`."""
        return self.endpoints.patience

    def spent(self, attempt: int, steps: int) -> bool:
        """See `Restarts`."""
        return attempt > self.endpoints.restarts


@dataclass(frozen=True)
class Impatient:
    """The rule of short attempts, and of longer ones now and then: Luby's sequence of patience.

    It is within a constant factor of the best restarts for any distribution of the steps that
    an attempt needs (Luby, Sinclair & Zuckerman 1993).
    """

    training: Training
    """The training whose patience the first attempt has."""
    restarts: int
    """All attempts together have one more than so many times the training's greatest steps."""

    def patience(self, attempt: int) -> int:
        """See `Restarts`."""
        return self.training.patience * luby(attempt)

    def spent(self, attempt: int, steps: int) -> bool:
        """See `Restarts`."""
        return steps >= (self.restarts + 1) * self.training.max_steps


def luby(number: int) -> int:
    """Returns the entry of the sequence 1, 1, 2, 1, 1, 2, 4, … at a place counted from 1."""
    power = 1
    while 2 * power <= number + 1:
        power *= 2
    return power // 2 if number == power - 1 else luby(number - power + 1)


#: A target that is never reached: losses of a user's own may be negative, but none is so low.
NEVER = -1e30


@dataclass(frozen=True)
class EndpointState(StageState):
    """All that a checkpoint holds of the training of the ends; dicts are by the ends' ids."""

    trainer: TrainerState
    attempts: dict[Count, Count]
    steps: dict[Count, Count]
    trained: dict[Count, Weights]
    """(param,) The weights of the ends that are trained."""
    kind: Literal["endpoints"] = "endpoints"


class EndpointTraining(SteadyStage):
    """The stage that trains both ends in one batch; one that misses its target starts anew.

    With until: epochs there is no target. An end then misses only by a loss that is not finite.
    """

    name = "endpoints"
    repairs = False

    def __init__(self, spec: Spec, chain: Chain, restarts: Restarts | None = None) -> None:
        """Makes the stage; without a rule of its own, ends start anew as `endpoints` says."""
        self.spec, self.chain = spec, chain
        self.restarts: Restarts = Counted(spec.endpoints)
        training: Training = stages_of(spec).endpoints
        self.of_epochs = spec.endpoints.until == "epochs"
        """Whether the ends are trained for a number of epochs, whatever their loss."""
        if self.of_epochs:
            steps = steps_by_recipe(spec.endpoints, len(chain.problem.train))
            training = training.model_copy(update={"max_steps": steps, "patience": steps + 1})
        elif restarts is not None:
            self.restarts = restarts
        recipe = recipe_of(spec, training, average=average_of(spec.endpoints))
        self.trainer = Trainer(recipe, chain.pool)
        trained = (FIRST,) if spec.endpoints.kind == "permuted" else (FIRST, LAST)
        self.attempts = dict.fromkeys(trained, 0)
        """Number of attempts that each end has begun."""
        self.steps = dict.fromkeys(trained, 0)
        """Optimizer steps of those attempts at each end that have failed."""
        self.trained: dict[int, Weights] = {}
        """The weights of the ends that are trained."""
        self.missed: dict[int, Weights] = {}
        """The weights of the ends that have missed their target for good, as they were left."""
        self.verdict: Verdict | None = None

    def begin(self) -> None:
        """Starts both ends from random weights, and makes them the chain."""
        weights = {bead: self._begin(bead) for bead in self.attempts}
        weights = self._with_copy(weights)
        self.chain.begin([(bead, weights[bead], 0) for bead in (FIRST, LAST)])

    def step(self, beads_left: int | None) -> list[Event]:
        """See `Stage`."""
        self.trainer.advance()
        before = len(self.trained)
        events = [self._settle(row) for row in self.trainer.retire()]
        if self.done and len(self.trained) > before and LAST in self.trained:
            first, last = self.trained[FIRST], self.trained[LAST]
            self.trained[LAST], costs = aligned(self.spec, self.chain.problem, first, last)
            self.chain.pool.add(costs)
        now = {row.bead: row.theta for row in self.trainer.rows} | self.trained
        self.chain.move(self._with_copy(now).items())
        if self.of_epochs and self.done:
            self.verdict = self._judged()
        return events

    def _judged(self) -> Verdict | None:
        """Returns the verdict that an end which was trained for its epochs is above the level."""
        losses = judged(self.chain.pool, list(self.trained.values()))
        steps = self.trainer.training.max_steps
        named = {
            f"endpoint {end}, after {steps} steps of its recipe,": loss
            for end, loss in zip(self.trained, losses, strict=True)
        }
        return above_the_level(self.spec, self.chain, dict(sorted(named.items())))

    @property
    def done(self) -> bool:
        """Whether both ends are trained."""
        return len(self.trained) == len(self.attempts)

    def attempt(self, bead: int) -> int:
        """See `TrainingStage`."""
        return self.attempts[bead]

    @property
    def state(self) -> EndpointState:
        """See `Stage`."""
        trained = dict(self.trained)
        return EndpointState(self.trainer.state, dict(self.attempts), dict(self.steps), trained)

    def resume(self, state: EndpointState) -> None:
        """See `Stage`."""
        ends = set(self.attempts)
        if not (ends == state.attempts.keys() == state.steps.keys() >= state.trained.keys()):
            raise Unfit(f"attempts, steps and trained are not of the ends {sorted(ends)}")
        problem = self.chain.problem
        shape = torch.Size([problem.parameter_count])
        if any((end.shape, end.dtype) != (shape, problem.dtype) for end in state.trained.values()):
            raise Unfit("trained holds weights of another problem")
        self.trainer.resume(state.trainer)
        if self.beads_in_training != ends - state.trained.keys():
            raise Unfit("trainer does not hold the ends that are not trained yet")
        self.attempts, self.steps = dict(state.attempts), dict(state.steps)
        self.trained = {end: theta.to(problem.device) for end, theta in state.trained.items()}

    def _begin(self, bead: int) -> Weights:
        self.attempts[bead] += 1
        attempt = self.attempts[bead]
        theta = random_endpoint(self.spec, self.chain, bead, attempt)
        target = NEVER if self.of_epochs else self.chain.goal.end_target
        patience = None if self.of_epochs else self.restarts.patience(attempt)
        stream = derive(endpoint_seed(self.spec, bead, attempt), "batches")
        self.trainer.admit(Job(bead, target, stream, patience), theta)
        return theta

    def _with_copy(self, weights: dict[int, Weights]) -> dict[int, Weights]:
        """Adds a permuted copy of the first end as the last, where that is asked for."""
        if self.spec.endpoints.kind != "permuted" or FIRST not in weights:
            return weights
        parameters = self.chain.problem.parameters
        return weights | {LAST: swapped(weights[FIRST], parameters, self.spec.endpoints.swap)}

    def _settle(self, row: Row) -> Event:
        bead, attempt = row.bead, self.attempts[row.bead]
        if row.end is (End.OUT_OF_STEPS if self.of_epochs else End.REACHED):
            self.trained[bead] = row.theta.to(self.chain.problem.device)
            loss = self._loss_of(row)
            return EndpointTrained(bead, loss, row.steps, attempt)
        self.steps[bead] += row.steps
        if self.restarts.spent(attempt, self.steps[bead]):
            goal, why = self.chain.goal, row.end.words
            self.verdict = not_trained(
                self.spec, goal, "endpoints", bead, why, row.loss, row.steps, attempt
            )
            self.missed[bead] = row.theta
            remedy = "none left"
        else:
            self._begin(bead)
            remedy = "new random weights"
        return BeadFailed(bead, None, None, row.end.words, row.loss, row.steps, attempt, remedy)

    def _loss_of(self, row: Row) -> float:
        """Returns the objective of a trained end. Its last evaluation may have been cut short."""
        return judged(self.chain.pool, [row.theta])[0] if self.of_epochs else row.loss


def steps_by_recipe(endpoints: Endpoints, samples: int) -> int:
    """Returns the number of steps that the ends are trained for with until: epochs.

    They are those of `epochs`, or else of the whole schedule.
    """
    length = endpoints.schedule_length
    if endpoints.epochs is None and length is not None and endpoints.schedule.unit == "steps":
        return length
    epochs = endpoints.epochs or length
    assert epochs is not None
    return steps_of_epochs(endpoints, epochs, samples)


def endpoint_seed(spec: Spec, bead: int, attempt: int) -> int:
    """Returns the seed of attempt 1, 2, … at an endpoint."""
    return derive(spec.seed, "endpoint", bead, attempt)


def random_endpoint(spec: Spec, chain: Chain, bead: int, attempt: int) -> Weights:
    """Returns the random weights (param,) from which attempt 1, 2, … at an endpoint starts."""
    return chain.problem.initial(endpoint_seed(spec, bead, attempt))


Block = Literal["endpoints", "search.constrained", "search.polish"]
"""The key of a block whose training an endpoint missed its target with."""


def not_trained(
    spec: Spec,
    goal: Goal,
    block: Block,
    bead: int,
    end: str,
    loss: float,
    steps: int,
    attempts: int,
) -> Verdict:
    """Returns the verdict that an endpoint missed its target, with a remedy for how it `end`ed."""
    settings = stages_of(spec)
    trainings = {
        "endpoints": settings.endpoints,
        "search.constrained": settings.constrained,
        "search.polish": settings.polish,
    }
    target = goal.end_target
    wanted = f"to {target / goal.level:g} × level = {target:.4g}"
    if spec.endpoints.until == "epochs":
        wanted = "by its recipe"
    loss_words = f"its {spec.search.level_on.words}"
    how = {
        "diverged": f"its loss became non-finite after {steps} steps; lower "
        f"{block}.optimizer.lr (now {trainings[block].optimizer.lr:g})",
        "out of steps": f"{loss_words} was still {loss:.4g} after {steps} steps; raise "
        f"{block}.max_steps or the level",
        "stuck": f"{loss_words} stopped falling at {loss:.4g} after {steps} steps; raise "
        f"the level{_keys_of_the_stuck(spec, block)}",
    }[end]
    return Verdict(
        Outcome.ENDPOINT_NOT_TRAINED,
        f"Endpoint {bead} was not trained {wanted} in {attempts} "
        f"{'attempt' if attempts == 1 else 'attempts'}: in the last, {how}.",
    )


def _keys_of_the_stuck(spec: Spec, block: Block) -> str:
    """Names the keys beside the level that give a stuck endpoint more time or more attempts."""
    impatient = block == "endpoints" and spec.search.method == "auto"
    patience = "search.auto.patience" if impatient else f"{block}.patience"
    if block == "search.polish":  # in which each bead has a single attempt
        return f" or {patience}"
    return f", {patience} or endpoints.restarts"
