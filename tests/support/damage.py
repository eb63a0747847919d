"""Run folders damaged in every way that a disk, a crash or a stranger may damage them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from dss_tui.cli import main
from dss_tui.tui import curves
from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.arc import Shown, picture
from dss_tui.tui.widgets.card import card
from dss_tui.tui.widgets.head import Frame, head
from dss_tui.tui.widgets.selection import about
from dss_tui.viewing import counters, diagnosis
from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.replay import Replay
from dss_tui.viewing.scene import scene_of
from dss_tui.viewing.view_state import sentence
from engine.record.rundir import RunDir

FILES = (
    "run.yaml",
    "meta.json",
    "events.jsonl",
    "progress.json",
    "commands.jsonl",
    "checkpoint.safetensors",
    "string.safetensors",
    "engine.log",
    ".lock",
)

#: What a value in a file is replaced by, as JSON writes it.
VALUES = ("null", '"x"', "-1", "1e999", "[]", "{}", "true")

#: What all bytes of a tensor in a file are replaced by: zeros, NaN or −1, a tiny or huge number.
BYTES = (0x00, 0xFF, 0x11)

#: Steps that are taken from a damaged checkpoint, and seconds in which they are.
STEPS, SECONDS = 300, 1.0

#: Seconds after which a command counts as hanging.
PATIENCE_S = 60.0

Damage = Callable[[Path], None]

Place = tuple[Any, ...]
"""The keys and numbers that lead to a value."""


@dataclass(frozen=True)
class Case:
    """One damage done to one file of a run."""

    file: str
    name: str
    do: Damage


class Hang(BaseException):
    """A command that does not come back."""


# ---------------------------------------------------------------- damages to whole files


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _linked_to(target: str) -> Damage:
    def do(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return do


def _linked_out(path: Path) -> None:
    """The same content, in a file outside of the folder."""
    path.rename(path.parent.parent / f"outside-{path.name}")
    path.symlink_to(path.parent.parent / f"outside-{path.name}")


def _nested(path: Path) -> None:
    path.write_bytes(b"[" * 10**7)


def _halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _noise(path: Path) -> None:
    path.write_bytes(random.Random(5).randbytes(3000))


def _huge(path: Path) -> None:
    """A file with a hole of 8 GiB at its end."""
    os.truncate(path, 2**33)


WHOLE: dict[str, Damage] = {
    "missing": Path.unlink,
    "empty": _emptied,
    "directory": _directory,
    "pipe": _pipe,
    "link to a device": _linked_to("/dev/zero"),
    "link to itself": lambda path: _linked_to(path.name)(path),
    "link out": _linked_out,
    "nested": _nested,
    "half": _halved,
    "noise": _noise,
    "huge": _huge,
}


# ---------------------------------------------------------------- damages to single values


def _places(tree: Any, place: Place = ()) -> Iterator[Place]:
    """The places of all values in a tree; of a list only its first and its last item."""
    if place:
        yield place
    if isinstance(tree, dict):
        parts = list(tree.items())
    elif isinstance(tree, list):
        parts = list({n: tree[n] for n in (0, len(tree) - 1) if tree}.items())
    else:
        return
    for step, part in parts:
        yield from _places(part, (*place, step))


def _with_value(tree: Any, place: Place, value: str) -> str:
    """The JSON text of a tree in which the value at a place is another."""
    copy = json.loads(json.dumps(tree))
    at = copy
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = "HERE IT IS"
    return json.dumps(copy).replace('"HERE IT IS"', value)


def _values_of(path: Path) -> Iterator[tuple[str, Callable[[str], bytes]]]:
    """The values in a file by name, each with what the file holds once it is another."""
    content = path.read_bytes()
    match path.suffix:
        case ".json" | ".yaml":
            tree = yaml.safe_load(content)
            yield from ((_named(at), partial(_in_text, tree, at)) for at in _places(tree))
        case ".jsonl":
            yield from _values_of_lines(content.splitlines())
        case ".safetensors":
            size = int.from_bytes(content[:8], "little")
            header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
            yield from (
                (_named(at), partial(_in_header, header, at, body)) for at in _places(header)
            )
            for key, text in header.get("__metadata__", {}).items():
                yield from _values_of_metadata(header, body, key, text)


def _tensors_of(path: Path) -> Iterator[tuple[str, Damage]]:
    """The tensors of a safetensors file by name, each with what makes all its bytes another."""
    if path.suffix != ".safetensors":
        return
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            yield from ((f"{name} of {byte:#04x}", _filled(start, end, byte)) for byte in BYTES)


def _filled(start: int, end: int, byte: int) -> Damage:
    def do(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[:start] + bytes([byte]) * (end - start) + content[end:])

    return do


def _values_of_lines(lines: list[bytes]) -> Iterator[tuple[str, Callable[[str], bytes]]]:
    """The values of the first line of each kind of event."""
    known = set()
    for number, line in enumerate(lines):
        tree = json.loads(line)
        kind = tree.get("event", tree.get("command"))
        if kind in known:
            continue
        known.add(kind)
        yield from (
            (f"{kind}.{_named(at)}", partial(_in_line, lines, number, tree, at))
            for at in _places(tree)
        )


def _values_of_metadata(
    header: dict[str, Any], body: bytes, key: str, text: str
) -> Iterator[tuple[str, Callable[[str], bytes]]]:
    """The values of a JSON object that stands as a text in the header of a safetensors file."""
    with contextlib.suppress(ValueError):
        tree = json.loads(text)
        for at in _places(tree) if isinstance(tree, dict) else ():
            yield f"{key}.{_named(at)}", partial(_in_metadata, header, body, key, tree, at)


def _in_text(tree: Any, place: Place, value: str) -> bytes:
    return _with_value(tree, place, value).encode()


def _in_line(lines: list[bytes], number: int, tree: Any, place: Place, value: str) -> bytes:
    line = _with_value(tree, place, value).encode()
    return b"\n".join([*lines[:number], line, *lines[number + 1 :], b""])


def _in_header(header: Any, place: Place, body: bytes, value: str) -> bytes:
    return _headed(_with_value(header, place, value), body)


def _in_metadata(header: Any, body: bytes, key: str, tree: Any, place: Place, value: str) -> bytes:
    held = header["__metadata__"] | {key: _with_value(tree, place, value)}
    return _headed(json.dumps(header | {"__metadata__": held}), body)


def _headed(header: str, body: bytes) -> bytes:
    text = header.encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def _named(place: Place) -> str:
    return ".".join(map(str, place))


def _writes(content: Callable[[str], bytes], value: str) -> Damage:
    def do(path: Path) -> None:
        path.write_bytes(content(value))

    return do


def cases(folder: Path) -> Iterator[Case]:
    """Every damage to every file of a run."""
    for file in FILES:
        path = folder / file
        if not path.exists():
            continue
        for name, do in WHOLE.items():
            yield Case(file, name, do)
        for place, content in _values_of(path):
            for value in VALUES:
                yield Case(file, f"{place} = {value}", _writes(content, value))
        for name, fill in _tensors_of(path):
            yield Case(file, name, fill)


@contextlib.contextmanager
def damaged(folder: Path, case: Case) -> Iterator[None]:
    """Within it a run's folder has that damage; all its files are as before afterwards."""
    kept = folder.with_name(f"kept-{folder.name}")
    shutil.copytree(folder, kept)
    try:
        case.do(folder / case.file)
        yield
    finally:
        shutil.rmtree(folder)
        for outside in folder.parent.glob("outside-*"):
            outside.unlink()
        kept.rename(folder)


# ---------------------------------------------------------------- what is tried


@dataclass(frozen=True)
class Answer:
    """What came of a command."""

    status: int | None
    """Its exit status; None for a traceback."""
    said: str
    """All that it printed, or the traceback in one line."""
    hangs: bool = False


def answer(command: Callable[[], int]) -> Answer:
    """What a command in this process comes to."""
    out = io.StringIO()
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            return Answer(command(), out.getvalue())
    except Hang:
        return Answer(None, "hangs", hangs=True)
    except Exception as error:
        return Answer(None, f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _give_up(number: int, frame: FrameType | None) -> None:
    raise Hang


def commands(folder: Path) -> dict[str, Callable[[], int]]:
    """What is tried on a run that is not live."""
    run, out = str(folder), str(folder.parent / "exported.npz")
    return {
        "ls": lambda: main(["ls"]),
        "watch": lambda: watch(RunDir(folder)),
        "diagnose": lambda: main(["diagnose", run]),
        "diagnose --json": lambda: main(["diagnose", run, "--json"]),
        "stop": lambda: main(["stop", run]),
        "resume": lambda: main(["resume", run, "--headless"]),
        "go on": lambda: go_on(folder),
        "export": lambda: main(["export", run, "--out", out, "--force"]),
        "shorten": lambda: main(["shorten", run, "--headless"]),
    }


def go_on(folder: Path) -> int:
    """Resumes a run for some steps or a second, whatever its limits are."""
    progress = json.loads((folder / "progress.json").read_text())
    steps, seconds = progress["counters"]["bead_steps"] + STEPS, progress["time"] + SECONDS
    limits = ["limits.beads=null", f"limits.steps={steps}", f"limits.seconds={seconds}"]
    options = [part for limit in limits for part in ("--set", limit)]
    return main(["resume", str(folder), "--headless", *options])


def goes_on(kind: str, name: str, case: Case) -> bool:
    """Whether a command that trains is worth its time: on a checkpoint that is not the last."""
    return name != "go on" or (kind != "connected" and case.file == "checkpoint.safetensors")


def watch(run: RunDir) -> int:
    """All that the screen of a run puts into words and curves."""
    follower = Follower(run)
    for _ in range(2):
        now = follower.look()
    for record in now.new:
        sentence(record)
    level = now.level
    curves.depths(now.view.beads_per_depth, now.view.depth_times, 80, 20)
    curves.projection(run, now.progress, None, curves.FRONT)
    replay = Replay(follower.records, now)
    for past in (now, *(replay.at(place) for place in (0.1, 0.9, 0.5, 1.0))):
        draw_along(run, past)
    if now.progress is not None:
        progress = now.progress
        counters.words(progress, now.steps_per_s)
        counters.training(progress)
        curves.history(now.view, progress, level, True)
        curves.path(progress.segments, progress.level_on, None, level, True)
        for segment in progress.segments:
            curves.profile(segment, progress, level, True)
    return now.exit_status


def draw_along(run: RunDir, now: Snapshot) -> None:
    """Draws the head, the string along its axis, and the line about a selection."""
    palette = Palette.dark()
    head(now, Frame(run.name, now.view.time_s, 80, 4), palette)
    scene = scene_of(now.progress, now.view, whole=now.whole)
    if scene is not None:
        for turned in (False, True):
            cursor = scene.cursor(1, 0.3)
            picture(Shown(scene, "loss", 1, cursor, turned, True, palette), 80, 20)
        about(scene, "loss", 1, 0.3, 80)
    if now.view.finished is not None:
        card(now.view.finished, [], 80, 24, palette)
        diagnosis.words(now.view.finished)


def judged(asked: Answer) -> str | None:
    """What is wrong with an answer, None where it is one of the promised ones."""
    if asked.hangs:
        return "hangs"
    if asked.status is None or "Traceback" in asked.said or "engine failed" in asked.said:
        return f"traceback: {asked.said}"
    if asked.status not in (0, 1, 2, 3):
        return f"exit status {asked.status}"
    return None
