"""Starts, resumes and deletes runs for the screens.

An engine is a process in a session of its own, with its streams on the run's log. It goes on
whatever becomes of the terminal.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import engine
from engine.errors import InputError, SaveError
from engine.record.finding import create
from engine.record.lock import is_live
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.runs import goes_on, is_starting
from engine.record.writing import open_to_append
from engine.spec.checks import check_method, check_quickly
from engine.spec.keys import Spec


def start(spec: Spec, name: str, out: Path | None = None) -> RunDir:
    """Starts a new run in a process of its own and returns its folder.

    Raises InputError where it cannot run.
    """
    check(spec)
    directory = create(spec, name, out)
    launch(directory)
    return directory


def check(spec: Spec) -> None:
    """Raises InputError for a spec that cannot run, as far as that shows without an engine."""
    check_quickly(spec.problem)
    check_method(spec)


def resume(directory: RunDir) -> str | None:
    """Goes on with a run and returns None, or returns why it cannot go on."""
    if is_live(directory):
        return "it is running"
    try:
        directory.load_spec()
        ended = finished(read_records(directory))
        if ended is not None and not goes_on(ended):
            return f"it has ended. {ended.sentence}"
        launch(directory)
    except (InputError, SaveError) as error:
        return str(error)
    return None


def launch(directory: RunDir) -> None:
    """Starts an engine on a run directory, to run it or go on with it."""
    with open_to_append(directory.log) as log:
        subprocess.Popen(
            # -P: a folder named engine in the current folder must not be imported instead.
            [sys.executable, "-P", "-m", "engine", str(directory.path)],
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
    """Removes a run's folder. Raises InputError where the run is live or about to be."""
    if is_live(directory):
        raise InputError("is running; stop it first", file=directory.path)
    if is_starting(directory):
        raise InputError("is starting; wait until it runs, then stop it", file=directory.path)
    shutil.rmtree(directory.path)
