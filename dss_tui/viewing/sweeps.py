"""Starts, follows and resumes sweeps for the screens, by their folders alone.

An engine is a process in a session of its own. It goes on whatever becomes of the terminal.
"""

from __future__ import annotations

import time
from dataclasses import replace
from math import isfinite

from dss_tui.viewing import session
from engine.errors import InputError, SaveError
from engine.record import compare_folder, components_folder
from engine.record.compare_folder import ComparePlan
from engine.record.components_folder import ComponentsPlan
from engine.record.events import Outcome
from engine.record.finding import COMPARISON, COMPONENTS
from engine.record.lock import is_live
from engine.record.ownership import check_going_on_with_plan
from engine.record.plans import read_any_plan
from engine.record.progress import Progress, ProgressReader
from engine.record.rundir import RunDir
from engine.record.runs import STARTING_S, tried
from engine.record.sweep_folder import create, plan_for, read_plan, write_plan
from engine.record.sweep_state import state_path
from engine.record.sweep_tables import LevelRow
from engine.record.sweeps import CellState, SweepReader, SweepView
from engine.spec.checks import check_quickly
from engine.spec.grid import LevelAsked
from engine.spec.keys import Spec
from engine.spec.trust import Asked

#: What a run's state is called in a sweep, where that differs from the state itself.
WORDS = {"running": "under way", "not_connected": "not connected"}


def start(
    spec: Spec, levels: tuple[LevelAsked, ...], pairs: int, folder: RunDir, crew: str | None
) -> bool:
    """Launches an engine on a new sweep, or on one that has cells left and is not running.

    `crew` is a number of cells at a time, the address of a cluster, or None for the usual number.
    Returns whether an engine was launched. Raises InputError for what cannot run, as far as that
    shows without an engine, and SaveError.
    """
    session.check(spec)
    plan = plan_for(spec, levels, pairs, folder.path)
    begun, live = read_plan(folder.path), is_live(folder)
    grows = begun is None or begun.size < plan.size
    if begun is not None and grows and live:
        raise InputError(
            f"is running {begun.size} of the {plan.size} cells asked for; let it end before you "
            "ask for more, or stop it",
            file=folder.path,
            key="--pairs" if begun.pairs < plan.pairs else "--levels",
        )
    if grows:
        create(plan, folder.path)
    elif live or SweepReader(folder).look().state == "ended":
        return False
    _launch(folder, crew)
    return True


def start_comparison(asked: ComparePlan, folder: RunDir, crew: str | None) -> bool:
    """Launches an engine on a comparison of methods, new, or with cells left and not running.

    `crew` is as in `start`. Returns whether one was launched. Raises InputError for what cannot
    run, as far as that shows without an engine, and SaveError.
    """
    check_quickly(asked.spec.problem)
    if not asked.models:
        session.check(asked.ends_spec(0))
    plan = compare_folder.plan_for(asked, folder.path)
    plan.check(folder.path)
    if compare_folder.read_plan(folder.path) is None:
        write_plan(plan.text(), folder.path, COMPARISON)
    ended = SweepReader(folder).look().state == "ended" and plan.is_measured(folder.path)
    if is_live(folder) or ended:
        return False
    _launch(folder, crew)
    return True


def start_components(asked: ComponentsPlan, folder: RunDir, crew: str | None) -> bool:
    """Launches an engine on components, new, or with searches left and not running.

    `crew` is as in `start`. Returns whether one was launched. Raises InputError for what cannot
    run, as far as that shows without an engine, and SaveError.
    """
    session.check(asked.training_spec(0))
    plan = components_folder.plan_for(asked, folder.path)
    plan.check(folder.path)
    if components_folder.read_plan(folder.path) is None:
        write_plan(plan.text(), folder.path, COMPONENTS)
    elif is_live(folder) or SweepReader(folder).look().state == "ended":
        return False
    _launch(folder, crew)
    return True


def _launch(folder: RunDir, crew: str | None) -> None:
    """Launches an engine on a folder whose plan is of a preset about which the user was asked."""
    session.launch(folder, *([] if crew is None else [crew]), trusted=True)


def resume(folder: RunDir, *, agreed: bool = False) -> str:
    """Goes on with a sweep and returns "", or returns why it cannot go on.

    Raises Asked where the user is to agree first and has not `agreed`.
    """
    if is_live(folder):
        return "it is running"
    try:
        if read_any_plan(folder.path) is None:
            return "there is no sweep any more"
        check_going_on_with_plan(folder, run_factories=agreed, not_mine=agreed)
        session.launch(folder, trusted=agreed)
    except Asked:
        raise
    except (InputError, SaveError) as error:
        return str(error)
    return ""


class SweepFollower:
    """Reads how a sweep stands at each call of `look`."""

    def __init__(self, folder: RunDir, launched: bool = False) -> None:
        """Follows a sweep; `launched` says that an engine has just been launched on it."""
        self.folder = folder
        self._reader = SweepReader(folder)
        self._progress: ProgressReader | None = None
        self._launched_s: float | None = None
        self._before: float | None = None
        if launched:
            self.launched_now()

    def launched_now(self) -> None:
        """Notes that an engine has just been launched on the sweep."""
        self._launched_s, self._before = time.monotonic(), self._session_s()

    def look(self) -> SweepView:
        """Returns the state of the sweep, which is *starting* until a launched engine holds it."""
        now = self._reader.look()
        if self._launched_s is None:
            return now
        over = time.monotonic() - self._launched_s > STARTING_S
        if over or now.going or self._session_s() != self._before:
            self._launched_s = None
            return now
        return replace(now, state="starting", said="")

    def progress(self, cell: CellState) -> Progress | None:
        """Returns the newest progress of a cell, or None where there is none."""
        if self._progress is None or self._progress.run != cell.cell.run:
            self._progress = ProgressReader(cell.cell.run)
        return tried(self._progress.look, [])

    def _session_s(self) -> float | None:
        """Returns when the sweep's newest session was last written down, or None."""
        try:
            return state_path(self.folder.path).lstat().st_mtime
        except OSError:
            return None


def figures_of_level(row: LevelRow) -> str:
    """Returns the mean of the levels that came about, with its standard error, or a dash."""
    mean, error = row.level_found.mean, row.level_found.standard_error
    if not isfinite(mean):
        return "–"
    return f"{mean:.3g} ± {error:.2g}" if isfinite(error) else f"{mean:.3g}"


def word_of(cell: CellState) -> str:
    """Returns the state of a cell in a word or two, such as *proven* or *under way*."""
    brief = cell.brief
    end = brief.ended
    if end is not None and end.outcome is Outcome.CONNECTED:
        return "proven" if end.certified is True else "connected"
    return WORDS.get(brief.state, brief.state.replace("_", " "))


def sentence_of(cell: CellState) -> str:
    """Returns the sentence that a cell's run ended with, or what is damaged, or nothing."""
    brief = cell.brief
    if brief.damaged is not None:
        return brief.damaged.short
    return brief.ended.sentence if brief.ended is not None else ""
