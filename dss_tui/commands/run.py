"""The menu and the commands that show a search: `run`, `shorten`, `resume` and `attach`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dss_tui.commands.trusted import preset_of, spec_of_run
from dss_tui.viewing.headless import has_terminal
from engine.errors import InputError
from engine.record.events import Outcome
from engine.record.finding import create, find, find_any, is_sweep, name_after
from engine.record.lock import is_live
from engine.record.ownership import check_going_on
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.runs import goes_on
from engine.record.signals import Signals
from engine.record.writing import replace
from engine.spec.keys import Spec

if TYPE_CHECKING:
    from dss_tui.tui.app import Opening
    from engine.run.prepare import Prepared


def menu(asked: argparse.Namespace) -> int:
    """Shows the menu and returns the exit status. Raises InputError without a terminal."""
    from dss_tui.tui.app import Opening

    if not has_terminal():
        raise InputError("there is no terminal for the menu; `dss-tui --help` lists the commands")
    return show(Opening(fps=asked.fps))


def run(asked: argparse.Namespace) -> int:
    """Runs a preset as a new run and returns the exit status.

    Raises InputError, before anything is written, where the preset cannot run.
    """
    with naming(asked.preset):
        spec = preset_of(
            asked.preset,
            asked.overrides,
            run_factories=asked.run_factories,
            seed=asked.seed,
            device=asked.device,
        )
        return _start(spec, Path(asked.preset).stem, asked)


def shorten(asked: argparse.Namespace) -> int:
    """Pulls the string of a connected run tight, in a new run, and returns the exit status.

    Raises InputError where the run has not ended connected.
    """
    source = find(asked.run)
    ended = finished(read_records(source))
    if ended is None or ended.outcome is not Outcome.CONNECTED:
        state = (
            "has not ended" if ended is None else f"ended {str(ended.outcome).replace('_', ' ')}"
        )
        raise InputError(f"{state}; only a connected string can be shortened", file=source.path)
    drawn = source.load_spec().problem.batch_norm.seed  # the new run keeps these statistics
    overrides = [
        "search.shorten=true",
        f"search.string={source.string}",
        f"problem.batch_norm.seed={'null' if drawn is None else drawn}",
        *([] if ended.level is None else [f"search.level={ended.level!r}"]),  # no longer sought
        *asked.overrides,
    ]
    spec = spec_of_run(source, overrides, run_factories=asked.run_factories)
    return _start(spec, name_after(source.name, "short"), asked)


def _start(spec: Spec, name: str, asked: argparse.Namespace) -> int:
    """Starts a new run, shows it, and returns the exit status."""
    if wants_screen(asked):
        from dss_tui.tui.app import Opening
        from dss_tui.viewing import session

        directory = session.start(spec, name, asked.out)
        return show(Opening(directory, launched=True, fps=asked.fps))
    with Signals() as signals:
        from engine.run.prepare import prepare

        prepared = prepare(spec.of_a_new_run())  # what cannot run leaves no folder
        return _in_foreground(create(spec, name, asked.out), signals, asked, prepared)


def resume(asked: argparse.Namespace) -> int:
    """Goes on with a run from its checkpoint, or with many runs, and returns the exit status.

    Where a run has ended for good, it only says so. Raises InputError for an override that is no
    limit, or that comes while the run is live.
    """
    directory = find_any(asked.run)
    if is_sweep(directory.path):
        return _resume_many(directory, asked)
    if asked.overrides:
        _check_limits(directory, asked.overrides)
    ended = finished(read_records(directory))
    if ended is not None and not goes_on(ended, limits_changed=bool(asked.overrides)):
        print(f"{directory.path}: this run has ended. {ended.sentence}", file=sys.stderr)
        return ended.outcome.exit_status
    check_going_on(directory, run_factories=asked.run_factories, not_mine=asked.not_mine)
    if asked.overrides:
        replace(directory.spec, directory.revised(asked.overrides).encode())
    if wants_screen(asked):
        from dss_tui.tui.app import Opening
        from dss_tui.viewing import session

        if not is_live(directory):
            session.launch(directory, trusted=asked.run_factories)
        return show(Opening(directory, launched=True, fps=asked.fps))
    with Signals() as signals:
        return _in_foreground(directory, signals, asked, run_factories=asked.run_factories)


def _resume_many(folder: RunDir, asked: argparse.Namespace) -> int:
    """Goes on with a sweep, a comparison or components, and returns the exit status."""
    from dss_tui.commands import going_on

    if not wants_screen(asked):
        return going_on.resume_here(folder, asked)
    from dss_tui.tui.app import Opening

    return show(Opening(folder, launched=going_on.launch(folder, asked), fps=asked.fps))


def attach(asked: argparse.Namespace) -> int:
    """Shows a run or a sweep, live or ended, and returns the exit status.

    Raises InputError without a terminal.
    """
    from dss_tui.tui.app import Opening

    directory = find_any(asked.run)
    if not has_terminal():
        held = "tables (*.csv) have" if is_sweep(directory.path) else "events.jsonl has"
        raise InputError(f"there is no terminal to watch on; its {held} all there is")
    return show(Opening(directory, fps=asked.fps))


@contextmanager
def naming(preset: str) -> Iterator[None]:
    """Makes an InputError that is raised within the block name the preset."""
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(str(error), file=preset) from None


def _check_limits(directory: RunDir, overrides: list[str]) -> None:
    """Raises InputError for keys that are no limits, for bad values, and for a live run."""
    for line in overrides:
        if not line.startswith("limits."):
            raise InputError(
                f"--set {line!r} would make it another run; only limits.… can change, "
                "start a new run for the rest",
                file=directory.path,
            )
    if is_live(directory):
        raise InputError("is running; stop it first, then change its limits", file=directory.path)
    directory.revised(overrides)


def wants_screen(asked: argparse.Namespace) -> bool:
    """Returns whether a run or a sweep is shown on the screen, not in the foreground."""
    return not asked.headless and not asked.json and has_terminal()


def show(opening: Opening) -> int:
    """Runs the terminal application and returns its exit status."""
    from dss_tui.tui import pictures, settings
    from dss_tui.tui.app import DssApp

    pictures.ask(settings.images())
    app = DssApp(opening)
    app.run()
    return app.return_code or 0


def _in_foreground(
    directory: RunDir,
    signals: Signals,
    asked: argparse.Namespace,
    prepared: Prepared | None = None,
    *,
    run_factories: bool = False,
) -> int:
    """Runs a run directory, or goes on with it, and returns the exit status."""
    from dss_tui.viewing.headless import JsonLines, PlainLines, RichDisplay
    from engine.run.session import exit_status
    from engine.run.session import run as run_engine

    if asked.json:
        with JsonLines(signals) as lines:
            return exit_status(
                run_engine(directory, signals, lines, prepared, run_factories=run_factories)
            )
    display = RichDisplay(directory) if has_terminal() else PlainLines(directory)
    with display:
        ended = run_engine(directory, signals, prepared=prepared, run_factories=run_factories)
    display.summarize(ended)
    return exit_status(ended)
