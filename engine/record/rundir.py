"""A run directory: the only thing between an engine and whoever watches it. No torch here.

The engine owns a `RunWriter`; everybody else reads with the functions of this module, at any
time and from any process. Files that are replaced are replaced atomically; `events.jsonl`
and `commands.jsonl` only grow.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

import platformdirs

from engine.errors import InputError, SaveError, nearest
from engine.record.events import (
    Continued,
    Event,
    Record,
    RunFinished,
    RunStarted,
    dump_json,
    from_line,
)
from engine.record.lines import LineTail
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump, load

Wish = Literal["pause", "continue", "stop", "checkpoint"]
WISHES: tuple[Wish, ...] = ("pause", "continue", "stop", "checkpoint")


@dataclass(frozen=True)
class RunDir:
    """The paths of a run directory."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "run.yaml"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def progress(self) -> Path:
        return self.path / "progress.json"

    @property
    def commands(self) -> Path:
        return self.path / "commands.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def string(self) -> Path:
        return self.path / "string.safetensors"

    @property
    def log(self) -> Path:
        return self.path / "engine.log"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def name(self) -> str:
        return self.path.name

    def load_spec(self) -> Spec:
        return load(self.spec)


# ---------------------------------------------------------------- finding and making runs


def runs_folder() -> Path:
    """$DSS_TUI_RUNS, else the platform's state directory."""
    chosen = os.environ.get("DSS_TUI_RUNS")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_state_dir("dss-tui")) / "runs"


def find(run: str) -> RunDir:
    """The run directory at a path, or of that name under the runs folder. Raises InputError."""
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
    """What names a run on the command line: its name where that is enough, else its path."""
    return run.name if run.path.parent == runs_folder().absolute() else str(run.path)


def runs() -> list[RunDir]:
    """The runs under the runs folder, oldest first."""
    folder = runs_folder()
    if not folder.is_dir():
        return []
    found = [RunDir(path) for path in folder.iterdir() if _holds_run(path)]
    return sorted(found, key=lambda run: (run.spec.stat().st_mtime, run.name))


def _holds_run(path: Path) -> bool:
    return os.path.isfile(path / "run.yaml")  # False also for what the system cannot look at


def create(spec: Spec, name: str, out: Path | None) -> RunDir:
    """A new run directory that holds `run.yaml`. Raises InputError where it cannot be made."""
    path = out.expanduser() if out is not None else _unused(runs_folder(), name)
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = sorted(entry.name for entry in path.iterdir() if not _is_leftover(entry))
        if held:
            raise InputError(
                f"is not empty (it holds {held[0]}); choose a new folder, or go on with a run "
                f"that is there with `dss-tui resume {path}`",
                file=path,
                key="--out",
            )
        for leftover in path.iterdir():
            leftover.unlink()
        replace(path / "run.yaml", dump(spec).encode())
    except (OSError, SaveError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot be written: {reason}; choose another folder with --out", file=path
        ) from None
    return RunDir(path.resolve())


def _unused(folder: Path, name: str) -> Path:
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    path, count = folder / stem, 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}"
    return path


# ---------------------------------------------------------------- writing


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file whole or not at all. Raises SaveError; the old content is then still there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error


def _is_leftover(path: Path) -> bool:
    return bool(re.fullmatch(r"\..+\.\d+\.tmp", path.name))


class RunWriter:
    """The engine's hold on its run directory: one process at a time, within a `with` block."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._lock = _take_lock(run)
        for leftover in filter(_is_leftover, run.path.iterdir()):
            leftover.unlink(missing_ok=True)
        _drop_half_line(run.events)
        records = read_all_records(run)
        self.seq = records[-1].seq if records else 0
        self.started_seq = next((r.seq for r in records if isinstance(r.event, RunStarted)), None)
        """Of `run_started`, None where an earlier session did not come that far."""
        # Unbuffered, so that a line that could not be written is not written later.
        self._events = open(run.events, "ab", buffering=0)  # noqa: SIM115 - closed on exit
        # Wishes for an earlier session are over; those made while this one was starting are not.
        self._wishes = LineTail(run.commands, at=_size(run.commands) if records else 0)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()
        self._lock.close()

    def record(self, event: Event, time_s: float) -> Record:
        """Append an event. Raises SaveError; nothing of it is then in the file."""
        record = Record(self.seq + 1, time_s, event)
        line = (record.to_line() + "\n").encode()
        whole = os.fstat(self._events.fileno()).st_size
        try:
            while line:
                line = line[self._events.write(line) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._events.truncate(whole)
            raise SaveError(f"{self.run.events}: cannot be written: {error.strerror}") from error
        self.seq = record.seq
        return record

    def sync_events(self) -> None:
        """Make the events so far survive a loss of power."""
        try:
            os.fsync(self._events.fileno())
        except OSError as error:
            raise SaveError(f"{self.run.events}: cannot be written: {error.strerror}") from error

    def progress(self, tree: dict[str, Any]) -> None:
        replace(self.run.progress, dump_json(tree).encode(), durable=False)

    def meta(self, tree: dict[str, Any]) -> None:
        replace(self.run.meta, dump_json(tree).encode())

    def new_wishes(self) -> list[Wish]:
        """The wishes appended since the last look; lines that are not wishes are passed over."""
        lines = self._wishes.new_lines()
        return [wish for line in lines if (wish := _wish(line)) is not None]


def _wish(line: bytes) -> Wish | None:
    try:
        command = json.loads(line)["command"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return command if isinstance(command, str) and command in WISHES else None


def wish(run: RunDir, command: Wish) -> None:
    """Append a wish for the engine of a run. Raises SaveError."""
    try:
        with open(run.commands, "a", encoding="utf-8") as file:
            file.write(json.dumps({"command": command}) + "\n")
    except OSError as error:
        raise SaveError(f"{run.commands}: cannot be written: {error.strerror}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _drop_half_line(path: Path) -> None:
    """Cut a last line that a dying process left without its end."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _take_lock(run: RunDir) -> IO[bytes]:
    """Raises InputError where another process runs this run."""
    file = open(run.lock, "ab")  # noqa: SIM115 - held until the writer closes
    for _ in range(20):  # a reader that looks whether the run lives holds the lock for an instant
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            time.sleep(0.05)
    file.close()
    raise InputError(
        f"another process is running it; `dss-tui stop {run.path}` stops it", file=run.path
    )


# ---------------------------------------------------------------- reading


def is_live(run: RunDir) -> bool:
    """Whether a process of this machine is running the run now."""
    try:
        with open(run.lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_all_records(run: RunDir) -> list[Record]:
    """Every whole record in `events.jsonl`, the undone ones included."""
    try:
        with open(run.events, encoding="utf-8", errors="replace") as file:
            return [record for line in file if (record := from_line(line)) is not None]
    except FileNotFoundError:
        return []


def read_records(run: RunDir) -> list[Record]:
    """The records that count: what a lost process did after its last checkpoint is left out."""
    return effective(read_all_records(run))


class RecordTail:
    """The records of a run as they are written."""

    def __init__(self, run: RunDir) -> None:
        self._lines = LineTail(run.events)

    def new_records(self) -> list[Record]:
        """Those since the last look, the undone ones included."""
        decoded = (line.decode("utf-8", errors="replace") for line in self._lines.new_lines())
        return [record for line in decoded if (record := from_line(line)) is not None]


def effective(records: list[Record]) -> list[Record]:
    """The records without those that a later `continued` says were undone."""
    kept: list[Record] = []
    for record in records:
        if isinstance(record.event, Continued):
            while kept and kept[-1].seq > record.event.from_seq:
                kept.pop()
        kept.append(record)
    return kept


def read_progress(run: RunDir) -> dict[str, Any]:
    """The newest counters and profiles, empty before the first."""
    return _read_json(run.progress)


def read_meta(run: RunDir) -> dict[str, Any]:
    return _read_json(run.meta)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def finished(records: list[Record]) -> RunFinished | None:
    """How the run ended, or None where it has not, or goes on after all."""
    for record in reversed(records):
        if isinstance(record.event, RunFinished):
            return record.event
        if isinstance(record.event, Continued | RunStarted):
            return None
    return None
