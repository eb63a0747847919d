"""`dss-tui run` and `dss-tui resume`: a search in the foreground."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.errors import InputError
from engine.events import Outcome, RunFinished
from engine.rundir import RunDir, create, find, finished, read_records, replace
from engine.signals import Signals
from engine.spec import load


def run(asked: argparse.Namespace) -> int:
    """A new run of a preset. Raises InputError before anything is written."""
    from presets import load_preset

    overrides = list(asked.overrides)
    if asked.seed is not None:
        overrides.append(f"seed={asked.seed}")
    if asked.device is not None:
        overrides.append(f"device={asked.device}")
    spec = load_preset(asked.preset, overrides)
    with Signals() as signals:
        from engine.runner import prepare

        try:
            spec, _ = prepare(spec)
        except InputError as error:
            raise InputError(str(error), file=asked.preset) from None
        directory = create(spec, Path(asked.preset).stem, asked.out)
        return _in_foreground(directory, signals, asked)


def resume(asked: argparse.Namespace) -> int:
    """Goes on with a run from its checkpoint; one that has ended says so."""
    directory = find(asked.run)
    if asked.overrides:
        _change_limits(directory, asked.overrides)
    ended = finished(read_records(directory))
    if ended is not None and not _goes_on(ended, changed=bool(asked.overrides)):
        from engine.runner import Ended, exit_status

        print(f"{directory.path}: this run has ended. {ended.sentence}", file=sys.stderr)
        return exit_status(Ended(ended.outcome, ended.sentence))
    with Signals() as signals:
        return _in_foreground(directory, signals, asked)


def _goes_on(ended: RunFinished, *, changed: bool) -> bool:
    """Whether a run that ended so can do more from its checkpoint."""
    resumable = {Outcome.STOPPED, Outcome.FAILED}
    return ended.outcome in resumable or (changed and ended.outcome is Outcome.LIMIT_REACHED)


def _change_limits(directory: RunDir, overrides: list[str]) -> None:
    for line in overrides:
        if not line.startswith("limits."):
            raise InputError(
                f"--set {line!r} would make it another run; only limits.… can change, "
                "start a new run for the rest",
                file=directory.path,
            )
    spec = load(directory.spec, overrides)
    replace(directory.spec, spec.to_yaml().encode())


def _in_foreground(directory: RunDir, signals: Signals, asked: argparse.Namespace) -> int:
    from dss_tui.headless import JsonLines, PlainLines, RichDisplay, has_terminal
    from engine.runner import exit_status
    from engine.runner import run as run_engine

    if asked.json:
        with JsonLines(signals) as lines:
            return exit_status(run_engine(directory, signals, lines))
    plain = asked.headless or not has_terminal()
    display = PlainLines(directory) if plain else RichDisplay(directory)
    with display:
        ended = run_engine(directory, signals)
    display.summarize(ended)
    return exit_status(ended)
