"""The models of a cell whose folder was moved or copied since its run began."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from engine.data.files import in_place_of
from engine.record.compare_folder import ENDS
from engine.record.components_folder import MODELS
from engine.record.finding import is_sweep
from engine.spec.keys import Spec

#: How many folders above a cell's run directory the folder of all runs is, at most.
ABOVE = 3


def models_of_moved(spec: Spec, folder: Path) -> AbstractContextManager[None]:
    """Looks for a cell's models where the folder of all runs lies, within a `with` block.

    The spec of a cell that has begun names them by the paths that they had then, and the folder may
    have been moved or copied since. Models that do not lie in the folder are not concerned.
    """
    named = Path(str(spec.endpoints.a))
    for before in named.parents if named.is_absolute() else ():
        there = named.relative_to(before)
        if there.parts[0] in (ENDS, MODELS) and (folder / there).is_file():
            return nullcontext() if before == folder else in_place_of(before, folder)
    return nullcontext()


def models_of_cell(spec: Spec, directory: Path) -> AbstractContextManager[None]:
    """Does the same for a run directory that may be a cell of a folder of many runs."""
    above = directory.absolute().parents[:ABOVE]
    folder = next((folder for folder in above if is_sweep(folder)), None)
    return nullcontext() if folder is None else models_of_moved(spec, folder)
