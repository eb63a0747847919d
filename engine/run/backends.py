"""The backends of many tasks, each made once for all specs that it computes alike."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.methods.aligned import check_alignable
from engine.run.prepare import Prepared, prepare
from engine.spec.checks import check_level_on, check_method
from engine.spec.keys import Spec

#: The number of backends that are kept, those of several methods between the same ends for example.
KEPT = 4


@dataclass(frozen=True)
class Backends:
    """What was prepared for the newest few kinds of specs. Threads may share it.

    Specs are of one kind where they differ in the seed and the level alone, and in the two models
    that they search between, unless these hold what does not move along a path: then each two
    models make a problem of their own.
    """

    _made: list[tuple[Spec, Prepared]] = field(default_factory=list)
    """The kinds, the newest last, each with what was prepared for it."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, spec: Spec) -> Prepared:
        """Returns what is prepared for a spec. Raises InputError as `prepare` does."""
        with self._lock:  # so that equal specs, which come at once, share what is prepared
            found = self._known(spec)
            if found is None:
                prepared = prepare(spec)
                found = (kind_of(spec, prepared), prepared)
                self._keep(kind_of(prepared.spec, prepared), prepared)
            self._keep(*found)
            return found[1]

    def decide(self, spec: Spec, others: Iterable[Spec]) -> Spec:
        """Returns a spec with everything decided by this machine.

        Raises InputError where it cannot run, or where one of `others`, which differ from it in
        their searches alone, does not fit its problem.
        """
        prepared = self.of(spec)
        problem = prepared.backend.problem
        for each in others:
            check_method(each)
            check_level_on(each, problem.classes, len(problem.held_out))
            check_alignable(each, problem)
        return decided_as(spec, prepared.spec)

    def _known(self, spec: Spec) -> tuple[Spec, Prepared] | None:
        """Returns the kind of a spec with what was prepared for it, or None."""
        found = (each for each in self._made if each[0] == kind_of(spec, each[1]))
        return next(found, None)

    def _keep(self, kind: Spec, prepared: Prepared) -> None:
        """Makes a kind the newest one."""
        self._made[:] = [each for each in self._made if each[0] != kind] + [(kind, prepared)]
        del self._made[:-KEPT]


def kind_of(spec: Spec, prepared: Prepared) -> Spec:
    """Returns what is equal for specs that a backend computes alike, if it computes one of them."""
    level = 1.0 if isinstance(spec.search.level, float) else spec.search.level
    update: dict[str, Any] = {"seed": 0, "search": spec.search.model_copy(update={"level": level})}
    if not prepared.backend.problem.fixed:
        update["endpoints"] = spec.endpoints.model_copy(update={"a": None, "b": None})
    return spec.model_copy(update=update)


def decided_as(spec: Spec, decided: Spec) -> Spec:
    """Returns a spec with what machines decide as another one of its kind has it."""
    search = spec.search.model_copy(update={"batching": decided.search.batching})
    keys = ("device", "workers", "mini_batches")
    update = {key: getattr(decided, key) for key in keys}
    return spec.model_copy(update={**update, "search": search})
