"""What does the tasks of a folder of many runs: this process, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from engine.problem.problem import Problem
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk
from engine.run.cells import CellLogs
from engine.run.tasks import Task
from engine.spec.keys import Spec

AnyItem = TypeVar("AnyItem", bound=Hashable)


@dataclass(frozen=True)
class Session:
    """The session on a folder of many runs to which work belongs."""

    folder: Path
    """The folder of all runs, which holds the plan."""
    desk: Desk
    logs: CellLogs
    signals: Signals

    def hurried(self) -> bool:
        """Returns whether everything is to stop."""
        return self.signals.received is not None or self.desk.stop.is_set()


@dataclass(frozen=True)
class Work(Generic[AnyItem]):
    """Tasks of which none waits for another one."""

    session: Session
    items: tuple[AnyItem, ...]
    """What there is a task for, such as cells, in the order in which they should begin."""
    task_of: Callable[[AnyItem], Task]
    """Returns the task of an item; the same device for all."""
    ended: Callable[[AnyItem], None] = lambda item: None
    """Is called when the task of an item has ended, or was stopped."""


class Crew(Protocol):
    """Those who do tasks."""

    @property
    def at_once(self) -> int | None:
        """The number of tasks that they do at a time; None for as many as there are of them."""

    def decide(self, spec: Spec, others: Iterable[Spec]) -> Spec:
        """Returns a spec with everything decided that depends on the machine of the crew.

        Raises InputError where it cannot run there, or where one of `others`, which differ from it
        in their searches alone, does not fit its problem.
        """

    def problem(self, spec: Spec) -> Problem:
        """Returns the problem of a spec, to read models in this process. Raises InputError."""

    def run(self, work: Work[AnyItem]) -> str | None:
        """Does the tasks until all ended or are to stop, and returns the sentence of a failure.

        Raises InputError and SaveError for what a task raises, when the others have stopped.
        """
