"""Finds runs by name or path, and makes folders for new ones. No torch here."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import platformdirs

from engine.errors import InputError, SaveError, nearest
from engine.record.rundir import RunDir
from engine.record.writing import is_leftover, replace
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump

#: The files of which a run's folder holds at least one, whole or damaged.
MARKS = ("run.yaml", "events.jsonl", "progress.json", "meta.json")


def runs_folder() -> Path:
    """Returns `$DSS_TUI_RUNS`, or the platform's state directory where that is not set."""
    chosen = os.environ.get("DSS_TUI_RUNS")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_state_dir("dss-tui")) / "runs"


def find(run: str) -> RunDir:
    """Returns the run directory at a path, or of that name under the runs folder.

    Raises InputError where there is none.
    """
    path = Path(os.path.expanduser(run))
    for candidate in (path, runs_folder() / run):
        if _holds_run(candidate):
            return RunDir(candidate)
    if os.path.isdir(path):
        raise InputError("is not a run directory: it has no run.yaml", file=run)
    names = [found.name for found in runs()]
    hint = nearest(run, names) if names else "there are no runs yet; `dss-tui run digits` makes one"
    raise InputError(f"no such run in {runs_folder()} nor at that path; {hint}", file=run)


def reference(run: RunDir) -> str:
    """Returns the text that names a run on the command line: its name or, elsewhere, its path."""
    return run.name if run.path.parent == runs_folder().absolute() else str(run.path)


def resume_command(run: RunDir) -> str:
    """Returns the command that goes on with a run from its checkpoint."""
    return f"dss-tui resume {reference(run)}"


def runs() -> list[RunDir]:
    """Returns the runs under the runs folder, oldest first, damaged ones included."""
    try:
        found = [RunDir(path) for path in runs_folder().iterdir() if _holds_run(path)]
    except OSError:
        return []
    return sorted(found, key=lambda run: (made_s(run), run.name))


def made_s(run: RunDir) -> float:
    """Returns when a run was made, in seconds since 1970: the time of its preset or its folder."""
    for path in (run.spec, run.path):
        try:
            return os.lstat(path).st_mtime
        except OSError:
            continue
    return 0.0


def _holds_run(path: Path) -> bool:
    """Returns whether a folder has any of a run's files; False also where nobody may look."""
    return any(os.path.lexists(path / name) for name in MARKS)


def create(spec: Spec, name: str, out: Path | None) -> RunDir:
    """Makes a run directory that holds `run.yaml` and returns it.

    It is the folder `out`, or one in the runs folder named after `name` and the time of day. The
    spec is written as a new run needs it (`Spec.of_a_new_run`). Raises InputError where the folder
    cannot be made or is not empty.
    """
    path = out.expanduser() if out is not None else _unused(runs_folder(), name)
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = sorted(entry.name for entry in path.iterdir() if not is_leftover(entry))
        if held:
            raise InputError(
                f"is not empty (it holds {held[0]}); choose a new folder, or go on with a run "
                f"that is there with `dss-tui resume {path}`",
                file=path,
                key="--out",
            )
        for leftover in path.iterdir():
            leftover.unlink()
        replace(path / "run.yaml", dump(spec.of_a_new_run()).encode())
    except (OSError, SaveError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot be written: {reason}; choose another folder with --out", file=path
        ) from None
    return RunDir(path.resolve())


def _unused(folder: Path, name: str) -> Path:
    """Returns a path in `folder` that does not exist, made of a name and the time of day."""
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    path, count = folder / stem, 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}"
    return path
