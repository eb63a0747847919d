"""Finds runs and sweeps by name or path, and makes folders for new runs. No torch here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import platformdirs

from engine.errors import InputError, SaveError, listed, nearest
from engine.record.rundir import RunDir
from engine.record.writing import is_leftover, replace, sync_folder
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump

#: The files of which a run's folder holds at least one, whole or damaged.
MARKS = ("run.yaml", "events.jsonl", "progress.json", "meta.json")

#: The names of the files that make a folder that of a sweep, of a comparison of methods, or of
#: components. All are grids of runs, and are looked at, listed and stopped alike.
PLAN, COMPARISON, COMPONENTS = "sweep.yaml", "compare.yaml", "components.yaml"
PLANS = {PLAN: "sweep", COMPARISON: "comparison", COMPONENTS: "set of components"}

#: The word that names the newest run, and the number of names that are told where several fit.
LAST, CANDIDATES = "last", 8


def runs_folder() -> Path:
    """Returns `$DSS_TUI_RUNS`, or the platform's state directory where that is not set."""
    chosen = os.environ.get("DSS_TUI_RUNS")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_state_dir("dss-tui")) / "runs"


def placed(path: Path) -> RunDir:
    """Returns the run in a folder that a user names, which may be a link to where the run lies.

    Everything else of a run is below its folder, where no link is followed.
    """
    return RunDir(Path(os.path.realpath(path)) if path.is_symlink() else path)


def find(run: str) -> RunDir:
    """Returns the run directory that a text names.

    That is, in this order: the path of a run directory; the name of a run under the runs folder;
    for the word `last` the run that was made last; for the start of exactly one run's name that
    run. Raises InputError where there is none, or where several names start so.
    """
    return _find(run, _holds_run)


def find_any(name: str) -> RunDir:
    """Returns the folder of the run or the sweep that a text names, as `find` does for runs.

    A sweep's folder is a `RunDir` as far as its lock, its log and its commands go.
    """
    return _find(name, lambda path: _holds_run(path) or is_sweep(path))


def _find(name: str, is_one: Callable[[Path], bool]) -> RunDir:
    """Returns the folder of the kind that a text names. Raises InputError."""
    path = Path(os.path.expanduser(name))
    candidates = (path, runs_folder() / name)
    for candidate in filter(is_one, candidates):
        return placed(candidate)
    kind = next(filter(None, map(kind_of, candidates)), None)
    if kind is not None:
        raise InputError(
            f"is a {kind}; `dss-tui attach {name}` shows it, and the run of each of its pairs is a "
            "folder in it",
            file=name,
        )
    known = _in_runs_folder(is_one)
    if name == LAST and known:
        return known[-1]
    begun = _begun_with(name, known)
    if begun is not None:
        return begun
    if os.path.isdir(path):
        raise InputError("is not a run directory: it has no run.yaml", file=name)
    hint = _hint(name, [each.name for each in known])
    raise InputError(f"no such run in {runs_folder()} nor at that path; {hint}", file=name)


def _begun_with(start: str, known: list[RunDir]) -> RunDir | None:
    """Returns the one folder whose name begins so, or None. Raises InputError for several."""
    begun = [each for each in known if start and each.name.startswith(start)]
    if len(begun) > 1:
        raise InputError(f"{_listed([each.name for each in begun])}; give more of it", file=start)
    return begun[0] if begun else None


def _hint(run: str, names: list[str]) -> str:
    """Returns a clause that helps to find a run that no name fits."""
    if not names:
        return "there are no runs yet; `dss-tui run digits` makes one"
    hint = nearest(run, names)
    few = len(names) <= CANDIDATES or not hint.startswith("choose")
    return hint if few else "`dss-tui ls` lists the runs"


def _listed(names: list[str]) -> str:
    """Returns a clause that lists the runs whose names start in the same way, the newest first."""
    newest_first = listed(reversed(names), CANDIDATES)
    return f"is the start of {len(names)} runs' names: {newest_first}"


def preset_of(name: str) -> str | None:
    """Returns the name of the preset in the name that `create` gave a run's folder, or None."""
    match = re.fullmatch(r"(.+)-\d{8}-\d{6}(-\d+)?", name)
    return match and match[1]


def reference(run: RunDir) -> str:
    """Returns the text that names a run on the command line: its name or, elsewhere, its path."""
    return run.name if run.path.parent == runs_folder().absolute() else str(run.path)


def resume_command(run: RunDir) -> str:
    """Returns the command that goes on with a run, or with many, from where it was left."""
    return f"dss-tui resume {reference(run)}"


def runs() -> list[RunDir]:
    """Returns the runs under the runs folder, oldest first, damaged ones included."""
    return _in_runs_folder(_holds_run)


def runs_and_sweeps() -> list[RunDir]:
    """Returns the runs and the sweeps under the runs folder, oldest first."""
    return _in_runs_folder(lambda path: _holds_run(path) or is_sweep(path))


def _in_runs_folder(is_one: Callable[[Path], bool]) -> list[RunDir]:
    """Returns the folders of a kind under the runs folder, oldest first."""
    try:
        found = [placed(path) for path in runs_folder().iterdir() if is_one(path)]
    except OSError:
        return []
    return sorted(found, key=lambda run: (made_s(run), run.name))


def name_after(name: str, word: str) -> str:
    """Returns the first part of the name of a run that is made from another run.

    It is the preset of the other run, whose whole name is `name`, and a word that says what was
    done, such as *again*. The word stands there once, however often it was done. The date and the
    time that follow in a run's name are no part of it.
    """
    return f"{(preset_of(name) or name).removesuffix(f'-{word}')}-{word}"


def made_s(run: RunDir) -> float:
    """Returns when a run or a sweep was made, in seconds since 1970.

    It is the time of its preset or its plan, or of its folder where there is neither.
    """
    for path in (run.spec, *(run.path / plan for plan in PLANS), run.path):
        try:
            return os.lstat(path).st_mtime
        except OSError:
            continue
    return 0.0


def plan_of(folder: Path) -> str | None:
    """Returns the name of the file that makes a folder one of many runs, or None for others.

    What the file holds is another question.
    """
    return next((name for name in PLANS if os.path.lexists(folder / name)), None)


def kind_of(folder: Path) -> str | None:
    """Returns the word for what a folder of many runs is, such as *sweep*, or None for others."""
    name = plan_of(folder)
    return None if name is None else PLANS[name]


def is_sweep(folder: Path) -> bool:
    """Returns whether a folder is one of many runs: a sweep, a comparison, or components."""
    return plan_of(folder) is not None


def is_comparison(folder: Path) -> bool:
    """Returns whether a folder is that of a comparison of methods, whatever its plan holds."""
    return plan_of(folder) == COMPARISON


def is_components(folder: Path) -> bool:
    """Returns whether a folder is that of components, whatever its plan holds."""
    return plan_of(folder) == COMPONENTS


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
        replace(path / "run.yaml", dump(spec.of_a_new_run()).encode())
        sync_folder(path.resolve().parent)
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
