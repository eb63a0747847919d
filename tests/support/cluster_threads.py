"""Workers of a cluster that are threads of this process, and see a folder or do not."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.run.cluster import crew
from engine.run.cluster.errand import GO, Answer, Errand, do

#: What workers share with who asks.
SHARED, HANDED_BACK = "shared folder", "files handed back"


def name_of(work: Callable[..., Any], *arguments: Any) -> str:
    """The name of an errand's task, or of another function that a worker is to call."""
    return type(pickle.loads(arguments[0].task)).__name__ if work is do else work.__name__


class Threads:
    """Workers that are threads, and what they were asked to do."""

    def __init__(self) -> None:
        self.word = GO
        self.said: list[str] = []
        self.asked: list[tuple[str, bool]] = []
        """The name of each task's class, or of the function, and whether a GPU was asked for.
        Those are left out that were asked for again, with their files."""
        self.lacking = 0
        """How often a worker lacked the files that a task reads."""
        self.before: Callable[[Errand], Errand] = lambda errand: errand
        self.after: Callable[[Answer], Answer] = lambda answer: answer
        self._executor = ThreadPoolExecutor(1)

    def submit(self, work: Callable[..., Any], *arguments: Any, gpu: bool = False) -> Future[Any]:
        self.asked.append((name_of(work, *arguments), gpu))
        return self._executor.submit(self._do, work, *arguments)

    def _do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if work is not do:
            return work(*arguments)
        answer = do(self.before(arguments[0]))
        if answer.lacks:
            self.lacking += 1
            self.asked.remove((name_of(work, *arguments), False))
        return self.after(answer)

    def tell(self, word: str) -> None:
        self.word = word
        self.said.append(word)

    @property
    def ask(self) -> Callable[[], str]:
        return lambda: self.word

    def count(self, name: str) -> int:
        """How often a task, or a function, was asked for."""
        return [asked for asked, _ in self.asked].count(name)


def workers_that(share: str, monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Workers that see the folder of all runs, or none of it."""
    if share == HANDED_BACK:

        @contextmanager
        def unseen(folder: Path) -> Iterator[str]:
            yield ".cluster-elsewhere"

        monkeypatch.setattr(crew, "_marked", unseen)
    return Threads()
