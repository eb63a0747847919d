"""The list of all presets, shipped and the user's own, whether they are valid or not.

No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine.errors import InputError
from engine.part import Names, renamed
from engine.spec import own
from engine.spec.keys import Spec
from engine.spec.shipped import FOLDER, names
from engine.spec.yaml_file import load, parse, read_yaml


@dataclass(frozen=True)
class Listed:
    """A preset in the list."""

    name: str
    """The name of its file without the ending."""
    path: Path
    """The file."""
    own: bool
    """Whether it is one of the user's own."""
    spec: Spec | None
    """What it asks for, or None where it is broken."""
    fault: str = ""
    """What is wrong with it, in a sentence without the path; "" where nothing is."""

    @property
    def reference(self) -> str:
        """The text that names the preset for `load_preset`: a shipped name, or the path."""
        return str(self.path) if self.own else self.name


def catalogue() -> list[Listed]:
    """Returns the shipped presets by name, and then the user's own ones.

    A file is read again only where it has changed.
    """
    shipped = [_listed(FOLDER / f"{name}.yaml", mine=False) for name in names()]
    taken = {each.path.resolve() for each in shipped}
    mine = [path for path in own.files() if path.resolve() not in taken]
    return [*shipped, *(_listed(path, mine=True) for path in mine)]


def _listed(path: Path, *, mine: bool) -> Listed:
    """Returns the list's entry for a file, whatever it holds."""
    try:
        state = path.stat()
        spec = _loaded(path, state.st_mtime_ns, state.st_size)
    except InputError as error:
        return Listed(path.stem, path, mine, None, str(error).removeprefix(f"{path}: "))
    except OSError as error:
        return Listed(path.stem, path, mine, None, f"cannot be read: {error.strerror}")
    return Listed(path.stem, path, mine, spec)


@lru_cache(maxsize=200)
def _loaded(path: Path, changed_ns: int, size: int) -> Spec:
    """Returns the spec of a file as it was at a time. Raises InputError."""
    if size > own.LARGEST:
        raise InputError(f"holds more than {own.LARGEST} bytes; it is no preset", file=path)
    return load(path)


def copied(path: Path) -> Path:
    """Copies a preset into the user's folder, comments and all, and returns the copy's path.

    Files that it names beside itself are named by their full paths in the copy. Raises InputError
    where the preset cannot be read, and SaveError where the copy cannot be written.
    """
    text = own.read(path)
    for short, full in _beside(path, text):
        text = text.replace(short, full)
    return own.copy(path, text)


def _beside(path: Path, text: str) -> list[tuple[str, str]]:
    """Returns each text in a preset that names a file beside it, and that with the full path.

    There are none where the preset is not valid.
    """
    try:
        written, found = parse(read_yaml(text, path), path), load(path)
    except InputError:
        return []
    pairs = zip(_names_in(written), _names_in(found), strict=True)
    return sorted({(short, full) for short, full in pairs if short != full})


def _names_in(spec: Spec) -> list[str]:
    """Returns the texts of all keys that name a file or a function, in order."""
    found: list[str] = []

    def note(kind: Names, text: str) -> str:
        found.append(text)
        return text

    renamed(spec, note)
    return found
