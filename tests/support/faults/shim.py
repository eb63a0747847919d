"""Stands between a run and the system's files, counts what changes them, and strikes at one change.

A strike ends the process, lets the power go, or refuses the change. Counted are new files, openings
for writing, writes, truncations, renames, links, deletions, syncs and new folders, whichever thread
makes them. Files are to be opened by `os.open` and `os.fdopen`, as all of a run's folder are.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from engine.record import writing

#: The functions of the system that change files, besides those that open and write them.
CALLS = (
    *("replace", "rename", "link", "symlink", "unlink", "remove", "rmdir"),
    *("mkdir", "fsync", "fdatasync", "truncate", "ftruncate"),
)
#: The kinds of changes that need room on the disk.
NEED_ROOM = ("create", "write", "replace", "rename", "link", "symlink", "fsync", "mkdir")
WHEN = ("before", "within", "after")

#: How the line begins that names a file that should have survived.
BROKEN = "lost, although it was synced:"

Strike = Callable[[str], None]
"""What happens at a change of this kind. It may raise OSError."""


def end(_: str = "") -> None:
    """Ends this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number: int, kind: str) -> None:
    """Says for this reason that nothing can be changed."""
    raise OSError(number, os.strerror(number))


def refuse_room(kind: str) -> None:
    """Says that the disk is full, to what needs room there."""
    if kind in NEED_ROOM:
        refuse(errno.ENOSPC, kind)


def refuse_memory(kind: str) -> None:
    """Says that there is no memory left."""
    raise MemoryError


@dataclass
class Shim:
    """Counts what changes files, and strikes at one change."""

    number: int
    """The change at which it strikes, from 0; −1 for none."""
    when: str = "before"
    strike: Strike = end
    lasting: bool = False
    """Whether it strikes at all changes from there on."""
    synced: Callable[[int], None] = lambda descriptor: None
    """What is told of each file and folder that has been made to survive a loss of power."""
    seen: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.RLock)
    _whole: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Shim:
        """Puts itself between the engine and the system."""
        self._whole = {name: getattr(os, name) for name in (*CALLS, "open", "fdopen")}
        for name in CALLS:
            setattr(os, name, self._around(name, self._whole[name]))
        setattr(os, "open", self._open)  # noqa: B010
        setattr(os, "fdopen", self._fdopen)  # noqa: B010
        return self

    def __exit__(self, *_: object) -> None:
        """Lets the system be."""
        for name, whole in self._whole.items():
            setattr(os, name, whole)

    def _open(self, path: Any, flags: int, *mode: int, dir_fd: int | None = None) -> int:
        """Opens a file as the system does, and counts that unless it is only to be read."""

        def opened() -> int:
            return int(self._whole["open"](path, flags, *mode, dir_fd=dir_fd))

        if not flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            return opened()
        is_new = flags & os.O_CREAT and not _is_there(path, dir_fd)
        return int(self.point("create" if is_new else "open", opened))

    def _fdopen(self, fd: int, mode: str = "r", *more: Any, **named: Any) -> Any:
        """Returns a file whose writes are counted, where it may be written."""
        made = self._whole["fdopen"](fd, mode, *more, **named)
        return made if mode in ("r", "rb") else _File(made, self)

    def _around(self, name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            found = self.point(name, lambda: whole(*arguments, **named))
            if name == "fsync":
                self.synced(arguments[0])
            return found

        return call

    def point(
        self, kind: str, whole: Callable[[], Any], part: Callable[[], Any] | None = None
    ) -> Any:
        """Does it whole, and strikes before, within or after it where its turn has come."""
        with self._lock:
            here = self.seen == self.number or (self.lasting and 0 <= self.number <= self.seen)
            self.seen += 1
            self.kinds[kind] += 1
            if here and self.when == "before":
                self.strike(kind)
            if here and self.when == "within" and part is not None:
                part()
                self.strike(kind)
            found = whole()
            if here and self.when != "before":
                self.strike(kind)
            return found


def _is_there(path: Any, folder: int | None) -> bool:
    """Whether a name is given in a folder, or in the current one."""
    try:
        os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class _File:
    """A file whose writes and truncations are counted."""

    def __init__(self, held: Any, shim: Shim) -> None:
        self._held, self._shim = held, shim

    def __enter__(self) -> _File:
        self._held.__enter__()
        return self

    def __exit__(self, *how: Any) -> Any:
        return self._held.__exit__(*how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def write(self, content: Any) -> Any:
        """Writes, and lets the system have it at once."""

        def put(part: Any) -> Any:
            count = self._held.write(part)
            self._held.flush()
            return count

        half = content[: len(content) // 2]
        return self._shim.point("write", lambda: put(content), lambda: put(half))

    def truncate(self, size: int | None = None) -> int:
        """Cuts it off, or fills it up."""
        return int(self._shim.point("truncate", lambda: self._held.truncate(size)))

    def writelines(self, parts: Any) -> None:
        for part in parts:
            self.write(part)


@dataclass
class Power:
    """What of a folder survives a loss of power, and the loss.

    Of a file that is what it held when it was synced last, and nothing before that. A name survives
    where its folder was synced after it was given; with `names` all names do, as on file systems
    that write names before contents. Files that `writing` has replaced for good must be there.
    """

    folder: Path
    names: bool
    _contents: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _listed: dict[tuple[int, int], dict[str, tuple[int, int]]] = field(default_factory=dict)
    _held: list[int] = field(default_factory=list)
    """Handles of all that was synced, so that no other file gets its number."""
    _promised: dict[Path, bytes] = field(default_factory=dict)

    def listen(self) -> None:
        """Notes from now on what is promised to survive, and what it holds."""
        whole = writing._replacing

        @contextmanager
        def replacing(name: str, folder: int, *, durable: bool, mode: int) -> Iterator[IO[bytes]]:
            with whole(name, folder, durable=durable, mode=mode) as file:
                yield file
            if durable:
                path = Path(os.readlink(f"/proc/self/fd/{folder}")) / name
                self._promised[path] = path.read_bytes()

        setattr(writing, "_replacing", replacing)  # noqa: B010

    def synced(self, descriptor: int) -> None:
        """Remembers what a file or a folder holds now."""
        facts = os.fstat(descriptor)
        here = Path(f"/proc/self/fd/{descriptor}")
        self._held.append(os.dup(descriptor))
        if stat.S_ISDIR(facts.st_mode):
            self._listed[_key(facts)] = {
                entry.name: _key(entry.stat(follow_symlinks=False)) for entry in os.scandir(here)
            }
        else:
            self._contents[_key(facts)] = here.read_bytes()

    def lose(self, _: str = "") -> None:
        """Leaves in the folder what survives, says what promise that breaks, and ends here."""
        left = self._left(self.folder, Path())
        for path, content in self._promised.items():
            if path.exists() and path.is_relative_to(self.folder):
                found = left.get(path.relative_to(self.folder))
                if found not in (content, path.read_bytes()):
                    print(f"{BROKEN} {path.name}", flush=True)
        for entry in list(os.scandir(self.folder)):
            shutil.rmtree(entry.path) if entry.is_dir() else os.remove(entry.path)
        for path, kept in left.items():
            if kept is None:
                os.makedirs(self.folder / path)
            else:
                (self.folder / path).write_bytes(kept)
        end()

    def _left(self, folder: Path, within: Path) -> dict[Path, bytes | None]:
        """The files, by their paths, and None for a folder, that survive in a folder."""
        now = {entry.name: entry for entry in os.scandir(folder)}
        found: dict[Path, bytes | None] = {}
        if self.names:
            for name, entry in now.items():
                if entry.is_dir():
                    found |= {within / name: None, **self._left(folder / name, within / name)}
                else:
                    found[within / name] = self._contents.get(_key(entry.stat()), b"")
            return found
        for name, key in self._listed.get(_key(os.stat(folder)), {}).items():
            if key in self._listed or (name in now and now[name].is_dir()):
                found |= {within / name: None, **self._left(folder / name, within / name)}
            else:
                found[within / name] = self._contents.get(key, b"")
        return found


def _key(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino
