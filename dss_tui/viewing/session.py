"""Starts, resumes and deletes runs for the screens.

An engine is a process in a session of its own, with its streams on the run's log. It goes on
whatever becomes of the terminal.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import engine
from engine.errors import InputError, SaveError
from engine.record.finding import create
from engine.record.lock import is_live
from engine.record.ownership import check_going_on
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.runs import goes_on, is_starting
from engine.record.writing import open_to_append
from engine.spec.checks import check_method, check_quickly
from engine.spec.keys import Spec
from engine.spec.trust import RUN_FACTORIES, Asked


def start(spec: Spec, name: str, out: Path | None = None) -> RunDir:
    """Starts a new run in a process of its own and returns its folder.

    Raises InputError where it cannot run.
    """
    check(spec)
    directory = create(spec, name, out)
    launch(directory, trusted=True)  # whoever starts it was asked before
    return directory


def again(source: RunDir, overrides: Iterable[str]) -> Spec:
    """Returns the preset of a run with `a.b=value` overrides, for a new run that can be started.

    The samples that batch normalization takes its statistics from stay those of the run. Raises
    InputError for a preset that cannot be read or cannot run.
    """
    drawn = source.load_spec().problem.batch_norm.seed
    kept = f"problem.batch_norm.seed={'null' if drawn is None else drawn}"
    spec = source.load_spec([kept, *overrides])
    check(spec)
    return spec


def check(spec: Spec) -> None:
    """Raises InputError for a spec that cannot run, as far as that shows without an engine."""
    check_quickly(spec.problem)
    check_method(spec)


def resume(directory: RunDir, *, agreed: bool = False) -> str:
    """Goes on with a run and returns "", or returns why it cannot go on.

    Raises Asked where the user is to agree first and has not `agreed`.
    """
    if is_live(directory):
        return "it is running"
    try:
        ended = finished(read_records(directory))
        if ended is not None and not goes_on(ended):
            return f"it has ended. {ended.sentence}"
        check_going_on(directory, run_factories=agreed, not_mine=agreed)
        launch(directory, trusted=agreed)
    except Asked:
        raise
    except (InputError, SaveError) as error:
        return str(error)
    return ""


def launch(directory: RunDir, *arguments: str, trusted: bool = False) -> None:
    """Starts an engine on the folder of a run or a sweep, to run it or go on with it.

    `arguments` are further ones of `python -m engine`. Where the user has `trusted` the folder,
    functions that it names are run whoever wrote it.
    """
    allowed = [RUN_FACTORIES] if trusted else []
    with open_to_append(directory.log) as log:
        subprocess.Popen(
            # -P: a folder named engine in the current folder must not be imported instead.
            [sys.executable, "-P", "-m", "engine", str(directory.path), *arguments, *allowed],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment(),
        )


def environment() -> dict[str, str]:
    """Returns the environment of a Python process that finds dss-tui's packages before others."""
    home = str(Path(engine.__file__).parent.parent)
    paths = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{home}{os.pathsep}{paths}" if paths else home}


def delete(directory: RunDir) -> None:
    """Removes a run's folder, if it is still there.

    Raises InputError where the run is live or about to be, or where a file cannot be removed.
    """
    if is_live(directory):
        raise InputError("is running; stop it first", file=directory.path)
    if is_starting(directory):
        raise InputError("is starting; wait until it runs, then stop it", file=directory.path)
    while os.path.lexists(directory.path):
        try:
            shutil.rmtree(directory.path)
        except FileNotFoundError:
            continue  # somebody else removes it at the same moment
        except OSError as error:
            what = f"cannot be removed: {error.strerror or error}"
            raise InputError(what, file=directory.path) from None
