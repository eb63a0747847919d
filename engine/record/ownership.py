"""Whether a user may go on with a run without being asked: what it runs, and to whom it belongs.

No torch here.
"""

from __future__ import annotations

from engine.record.plans import plan_file, read_any_plan
from engine.record.rundir import RunDir
from engine.spec.keys import Spec
from engine.spec.trust import check_mine, check_run, functions_of


def check_going_on(run: RunDir, *, run_factories: bool, not_mine: bool) -> None:
    """Raises Asked where going on with a run would run others' functions or write in their folder.

    Whoever trusts the functions in somebody else's folder has said that it is meant. Raises
    InputError where the run's preset cannot be read.
    """
    spec = run.load_spec()
    check_run(spec, run.spec, run_factories=run_factories)
    check_mine(run.path, not_mine=not_mine or _agreed(spec, run_factories=run_factories))


def check_going_on_with_plan(folder: RunDir, *, run_factories: bool, not_mine: bool) -> None:
    """Raises Asked as `check_going_on`, for a sweep or a comparison. Raises InputError."""
    plan = read_any_plan(folder.path)
    if plan is None:
        return
    check_run(plan.spec, plan_file(folder.path), run_factories=run_factories)
    agreed = _agreed(plan.spec, run_factories=run_factories)
    check_mine(folder.path, not_mine=not_mine or agreed)


def _agreed(spec: Spec, *, run_factories: bool) -> bool:
    """Returns whether a user has agreed to functions that a spec names."""
    return run_factories and bool(functions_of(spec))
