"""Measures training and profiles as a search computes them, by turns with plain loops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil

from engine.backends.backend import Backend
from engine.bench.measures import (
    INSTANT,
    Action,
    Clock,
    Effort,
    Profiles,
    Step,
    TooLong,
    TrainingRow,
    by_turns,
    count_for,
    timed,
)
from engine.bench.plain import PlainProfiles, PlainTraining
from engine.path.segments import Pair, along, search_grid
from engine.problem.problem import Problem
from engine.spec.goal import goal_to_time
from engine.spec.keys import Spec
from engine.spec.training import Training
from engine.steps.optimizers import build_optimizer
from engine.steps.recipe import Recipe
from engine.training.trainer import Job, Trainer
from engine.workers.pool import Pool, Workers, open_pool

#: A number of steps that no bead ever takes.
ENDLESS = 10**9
#: The number of segments that are measured at once, and of the points of each.
SEGMENTS, GRID = 64, 33
#: The smallest number of samples on which profiles are measured.
FEW = 256


@dataclass(frozen=True)
class Throughput:
    """The measurements of a resolved spec, whose problem `backend` computes."""

    spec: Spec
    backend: Backend
    effort: Effort
    clock: Clock = time.perf_counter

    @property
    def problem(self) -> Problem:
        """The backend's problem."""
        return self.backend.problem

    # ------------------------------------------------------------ training

    def training_rows(self, sizes: Sequence[int]) -> Iterator[TrainingRow | TooLong]:
        """Yields the training of the preset's endpoints for each number of beads at a time.

        An endpoint that is done begins anew. Rounds are as in a search, evaluations of the
        objective included. Where a network is so large that a round takes too long, it has fewer
        steps and evaluates fewer samples in proportion.
        """
        training = endless(self.spec.endpoints)
        samples = Recipe(training).samples(len(self.problem.train))
        plain = PlainTraining(self.problem, training, self.spec.problem.loss)
        plain_steps = count_for(self.effort.seconds, plain, self.clock)
        rate = Rate(self._workers())
        least = self._first_round(rate, training)
        if least > self.spec.endpoints.max_steps:  # in a search a bead ends within the round
            least = self.spec.endpoints.max_steps
            training = training.model_copy(update={"max_steps": least})
        for beads in sorted(set(sizes)):
            step_s = rate.step_s(beads)
            if step_s * least > self.effort.longest_s:
                taken = "a step" if least == 1 else f"a round of {least} steps"
                yield TooLong(beads, f"{taken} would take about {step_s * least:.2g} s")
                continue
            how, backend = self._in_time(training, beads, int(self.effort.longest_s / step_s))
            with open_pool(backend, self.spec) as pool:
                ours = our_training(how, pool, beads, self._target)
                rounds = count_for(self.effort.seconds, ours, self.clock)
                found = by_turns(
                    partial(ours, rounds),
                    partial(plain, plain_steps),
                    self.effort.repeats,
                    self.clock,
                )
            yield TrainingRow(
                beads=beads,
                steps=max(how.check_every, found.units // (self.effort.repeats * rounds * beads)),
                rounds=rounds,
                bead_steps=found,
                samples_per_s=found.ours.median * samples,
            )
            rate.learn(found.ours.median, beads)

    @property
    def _target(self) -> float:
        """The objective at which an endpoint is done."""
        return goal_to_time(self.spec).target

    def _workers(self) -> int:
        """Returns the number of workers."""
        with open_pool(self.backend, self.spec) as pool:
            return len(pool.devices)

    def _first_round(self, rate: Rate, training: Training) -> int:
        """Takes the shortest round of one bead, sets the rate by it, and returns its steps."""
        how, backend = shortened(training, self.backend, 1)
        with open_pool(backend, self.spec) as pool:
            ours = our_training(how, pool, 1, self._target)
            timed(ours(1), self.clock)  # compiles
            found = timed(ours(1), self.clock)
        rate.learn(found.rate, beads=1)
        return found.units

    def _in_time(self, training: Training, beads: int, steps: int) -> tuple[Training, Backend]:
        """Returns the training and the backend of rounds of at most `steps` steps.

        Rounds have fewer steps where so many turn out to take too long.
        """
        how, backend = shortened(training, self.backend, max(1, steps))
        if how is training:
            return how, backend
        with open_pool(backend, self.spec) as pool:
            ours = our_training(how, pool, beads, self._target)
            took = timed(ours(1), self.clock).seconds
        fits = int(how.check_every * self.effort.longest_s / max(took, INSTANT))
        return shortened(training, self.backend, max(1, min(how.check_every, fits)))

    # ------------------------------------------------------------ profiles

    def profiles(self) -> Profiles | TooLong:
        """Returns the rates of measuring the objective along segments between random models.

        Where that takes too long, there are fewer segments. Where one segment alone does, there are
        fewer samples, but at least FEW, since with fewer ones other costs would dominate.
        """
        backend, problem = self.backend, self.problem
        if not backend.steps_at_once:
            few = min(FEW, problem.objective_samples)
            sample_s = self._sample_s(few)
            fits = int(self.effort.longest_s / sample_s)
            if fits < few:
                return TooLong(
                    None, f"a segment on {few} samples would take about {few * sample_s:.2g} s"
                )
            backend = backend.on(problem.with_objective(problem.objective, fits))
            problem = backend.problem
        with open_pool(backend, self.spec) as pool:
            one = our_profiles(problem, pool, pairs_of(problem, 1))
            timed(one(1), self.clock)
            segment_s = max(timed(one(1), self.clock).seconds, INSTANT)
            fits = int(self.effort.longest_s / segment_s)
            pairs = pairs_of(problem, max(1, min(SEGMENTS, fits)))
            ours = our_profiles(problem, pool, pairs)
            plain = PlainProfiles(problem, self.spec.problem.loss, pairs, search_grid(GRID))
            found = by_turns(
                partial(ours, count_for(self.effort.seconds, ours, self.clock)),
                partial(plain, count_for(self.effort.seconds, plain, self.clock)),
                self.effort.repeats,
                self.clock,
            )
        return Profiles(
            segments=len(pairs),
            grid=GRID,
            samples=problem.objective_samples,
            of_samples=self.problem.objective_samples,
            points=found,
        )

    def _sample_s(self, few: int) -> float:
        """Returns the seconds per sample of measuring a segment, by the plain loop on `few`."""
        problem = self.problem.cut(self.problem.objective.split, few)
        pairs = pairs_of(problem, 1)
        plain = PlainProfiles(problem, self.spec.problem.loss, pairs, search_grid(GRID))
        timed(plain(1), self.clock)
        point_s = max(timed(plain(1), self.clock).seconds, INSTANT)
        return point_s * GRID / few


@dataclass
class Rate:
    """The time of a bead-step, set anew by each measurement."""

    workers: int
    seconds: float = 0.0
    """The seconds of a bead-step in one worker."""

    def learn(self, bead_steps_per_s: float, beads: int) -> None:
        """Sets the time by a measured rate of all workers together."""
        self.seconds = min(beads, self.workers) / bead_steps_per_s

    def step_s(self, beads: int) -> float:
        """Returns the seconds of one step of all of `beads` beads."""
        return self.seconds * beads / min(beads, self.workers)


def step_of(training: Training, problem: Problem) -> Step:
    """Returns the least work of a bead-step."""
    samples = Recipe(training).samples(len(problem.train))
    train = problem.train
    sample_bytes = train.nbytes // len(train)
    slots = len(build_optimizer(training.optimizer).slots)
    weights = problem.parameter_count * problem.dtype.itemsize
    seen = Recipe(training).sees_objective(problem)
    evaluated = 0 if seen else problem.objective_samples
    return Step(
        samples=samples,
        flop=3 * samples * problem.cost.products * 2,
        evaluation_flop=evaluated * problem.cost.products * 2 // training.check_every,
        bytes=samples * sample_bytes + 2 * (1 + slots) * weights,
    )


def endless(training: Training) -> Training:
    """Returns the training with no end but its target."""
    return training.model_copy(update={"max_steps": ENDLESS, "patience": ENDLESS})


def shortened(training: Training, backend: Backend, steps: int) -> tuple[Training, Backend]:
    """Returns training and backend with rounds of at most `steps` steps.

    Evaluations take fewer samples in proportion, and so do statistics of batch normalization, so
    that a bead-step costs what it does in whole rounds. Compiled rounds are left as they are.
    """
    if backend.steps_at_once or steps >= training.check_every:
        return training, backend
    problem, share = backend.problem, steps / training.check_every
    training = training.model_copy(update={"check_every": steps})
    split = problem.objective.split
    if training.batch_size == "full" and split == "train":
        return training, backend  # a step sees all samples, and must
    few = ceil(share * problem.objective_samples)
    if split == "train":
        few = max(few, Recipe(training).samples(len(problem.train)))
    fewer = problem.with_objective(problem.objective, max(2, few))
    return training, backend.on(fewer.with_statistics_of(ceil(share * problem.batch_norm.samples)))


def our_training(
    training: Training, pool: Pool, beads: int, target: float
) -> Callable[[int], Action]:
    """Returns a function that makes an action of a number of rounds; units are bead-steps.

    The beads of an action begin anew, and so does a bead that is done.
    """
    starts = [pool.backend.problem.initial(bead) for bead in range(beads)]

    def prepare(count: int) -> Action:
        trainer = Trainer(Recipe(training), pool)
        for bead, start in enumerate(starts):
            trainer.admit(Job(bead, target, bead), start)

        def rounds() -> int:
            for _ in range(count):
                trainer.advance()
                for row in trainer.retire():  # at its target, diverged, or out of steps
                    trainer.admit(Job(row.bead, target, row.bead), starts[row.bead])
            return trainer.bead_steps

        return rounds

    return prepare


def our_profiles(problem: Problem, pool: Workers, pairs: Sequence[Pair]) -> Callable[[int], Action]:
    """Returns a function that makes an action of a number of measurements of a whole string.

    Units are the models that are measured, of which neighbouring segments share one.
    """
    t = search_grid(GRID)

    def prepare(count: int) -> Action:
        def action() -> int:
            for _ in range(count):
                along(pool, pairs, t, problem.objective_samples)
            return count * (len(pairs) * (GRID - 1) + 1)

        return action

    return prepare


def pairs_of(problem: Problem, segments: int) -> list[Pair]:
    """Returns the segments of a string of random models."""
    return list(pairwise([problem.initial(seed) for seed in range(segments + 1)]))
