"""Two random models, each trained to alpha times the level (Algorithm 1, lines 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.events import BeadFailed, EndpointTrained, Event, Outcome
from engine.methods.base import Saved, TrainingView, Verdict
from engine.pool import Pool
from engine.problem import Problem
from engine.seeds import derive
from engine.shapes import Weights
from engine.spec import Spec
from engine.trainer import Job, Row, Trainer

#: Ids of the two ends of every string.
FIRST, LAST = 1, 2


@dataclass
class EndpointTraining:
    """Both endpoints in one batch; one that misses its target starts anew, `restarts` times."""

    spec: Spec
    problem: Problem
    pool: Pool

    def __post_init__(self) -> None:
        self.trainer = Trainer(self.spec.endpoints, self.pool, self.problem)
        self.attempts = {FIRST: 0, LAST: 0}
        self.trained: dict[int, Weights] = {}
        self.verdict: Verdict | None = None
        for bead in (FIRST, LAST):
            self._begin(bead)

    @property
    def done(self) -> bool:
        return len(self.trained) == len(self.attempts)

    def step(self) -> list[Event]:
        return [self._settle(row) for row in self.trainer.advance()]

    def training(self) -> tuple[TrainingView, ...]:
        return tuple(
            TrainingView(row.job.bead, row.loss, row.steps, self.attempts[row.job.bead])
            for row in self.trainer.rows
        )

    def weights(self, bead: int) -> Weights:
        """Of a trained endpoint, or as far as it is trained now."""
        if bead in self.trained:
            return self.trained[bead]
        rows = [row for row in self.trainer.rows if row.job.bead == bead]
        return rows[0].theta if rows else self.problem.initial(self._seed(bead))

    def save(self) -> Saved:
        tensors, plain = self.trainer.save()
        for bead, theta in self.trained.items():
            tensors[f"trained.{bead}"] = theta
        attempts = {str(bead): count for bead, count in self.attempts.items()}
        return tensors, {"trainer": plain, "attempts": attempts}

    def restore(self, saved: Saved) -> None:
        tensors, plain = saved
        self.trainer.restore(tensors, plain["trainer"])
        self.attempts = {int(bead): count for bead, count in plain["attempts"].items()}
        self.trained = {
            bead: tensors[f"trained.{bead}"].to(self.problem.device)
            for bead in self.attempts
            if f"trained.{bead}" in tensors
        }

    def _begin(self, bead: int) -> None:
        self.attempts[bead] += 1
        seed = self._seed(bead)
        target = self.spec.search.alpha * self.spec.search.level
        self.trainer.admit(Job(bead, target, derive(seed, "batches")), self.problem.initial(seed))

    def _seed(self, bead: int) -> int:
        return derive(self.spec.seed, "endpoint", bead, self.attempts[bead])

    def _settle(self, row: Row) -> Event:
        bead, attempt = row.job.bead, self.attempts[row.job.bead]
        if row.end == "reached":
            self.trained[bead] = row.theta.to(self.problem.device)
            return EndpointTrained(bead, row.loss, row.steps, attempt)
        spent = attempt > self.spec.endpoints.restarts
        if spent:
            self.verdict = self._not_trained(row, attempt)
            remedy = "none left"
        else:
            self._begin(bead)
            remedy = "new random weights"
        return BeadFailed(bead, None, None, str(row.end), row.loss, row.steps, attempt, remedy)

    def _not_trained(self, row: Row, attempts: int) -> Verdict:
        search, lr = self.spec.search, self.spec.endpoints.optimizer.lr
        goal = f"{search.alpha:g} × level = {search.alpha * search.level:.4g}"
        how = {
            "diverged": f"its loss became non-finite after {row.steps} steps; lower "
            f"endpoints.optimizer.lr (now {lr:g})",
            "out of steps": f"its loss was still {row.loss:.4g} after {row.steps} steps; raise "
            "endpoints.max_steps or the level",
            "stuck": f"its loss stopped falling at {row.loss:.4g} after {row.steps} steps; raise "
            "the level, endpoints.patience or endpoints.restarts",
        }[str(row.end)]
        return Verdict(
            Outcome.ENDPOINT_NOT_TRAINED,
            f"Endpoint {row.job.bead} was not trained to {goal} in {attempts} attempts: in the "
            f"last, {how}.",
        )
