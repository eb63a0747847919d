"""Components for programs of others: what `dss-tui components` does, as a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path

from engine.errors import InputError
from engine.record.components_folder import POINTS, TRIES, ComponentsPlan, numbers
from engine.record.components_tables import Components
from engine.record.signals import Signals
from engine.run.batched import Batched
from engine.run.components.components import start
from engine.run.grid import AT_ONCE
from engine.spec.grid import levels_of
from engine.spec.keys import Spec
from engine.spec.training import AlignedBy


def components(
    spec: Spec,
    levels: Iterable[float],
    models: int | Sequence[str | PathLike[str]],
    folder: str | PathLike[str],
    *,
    align: AlignedBy | None = None,
    tries: int = TRIES,
    points: int = POINTS,
    at_once: int = AT_ONCE,
) -> Components:
    """Finds out which of many models hang together at which level, as `dss-tui components`.

    The models, a run directory for each search and the tables are written to a folder. Called again
    with the same arguments it goes on where it was stopped, and searches nothing twice.

    Args:
        spec: What `load_preset` returns. Its level is not used.
        levels: The levels, losses above 0.
        models: The number of models to be trained, of which 2k and 2k + 1 are the ends of a search
            with the seed `spec.seed + k`; or checkpoints, or beads of strings as STRING#first.
        folder: The folder, new or begun before with the same arguments.
        align: What second models are relabelled by before each search; None takes
            `endpoints.align`.
        tries: The number of pairs of models that are searched between two components at a level.
        points: The number of points on each segment at which the evaluator measures, five or more.
        at_once: How many searches are under way at a time.

    Returns:
        The models, the searches in the order in which they were decided, and what follows from
        them: `rows()` for the levels, `tree()` for the spanning tree, `nodes()` for the
        disconnectivity graph, `said()` for what that does and does not prove. Numbers of components
        above one, and all barriers, are upper bounds.

    Raises:
        InputError: It cannot run, as for `search`; a number is not allowed; or the folder holds
            something else.
        SaveError: A file cannot be written.
        RuntimeError: The engine failed in a search; the sentence names its folder.
    """
    try:
        wanted = numbers(levels_of(map(str, levels)))
    except ValueError:
        raise InputError("are not different losses above 0", key="levels") from None
    given = () if isinstance(models, int) else tuple(fspath(each) for each in models)
    count = models if isinstance(models, int) else len(given)
    checks = (("models", count, 2), ("tries", tries, 1), ("points", points, 5))
    for key, number, least in (*checks, ("at_once", at_once, 1)):
        if number < least:
            raise InputError(f"is {number}; give a number from {least}", key=key)
    endpoints = spec.endpoints.model_copy(update={} if align is None else {"align": align})
    asked = spec.model_copy(update={"endpoints": endpoints})
    plan = ComponentsPlan(asked, wanted, count, given, tries, points)
    begun = start(plan, Path(folder), Batched(at_once))
    end = begun.run(Signals())
    begun.write_tables()
    found = begun.found()
    if end.failed or found is None:
        raise RuntimeError(end.sentence)
    return found
