"""The user's own presets: YAML files in a folder of the user's and in the current folder.

No torch here.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import platformdirs

from engine.errors import InputError, SaveError
from engine.own_file import read_text

#: The endings of presets, and how many files of a folder are looked at.
ENDINGS, MOST = (".yaml", ".yml"), 500

#: The size in bytes of the largest file that is taken for a preset.
LARGEST = 2**20

#: A file of the current folder counts as a preset where a line begins with one of these keys.
KEYS = re.compile(r"^(problem|search)\s*:", re.MULTILINE)


def folder() -> Path:
    """Returns the user's folder of presets, `$XDG_CONFIG_HOME/dss-tui/presets` on Linux."""
    return Path(platformdirs.user_config_dir("dss-tui")) / "presets"


def files() -> list[Path]:
    """Returns the user's own presets: those of the folder by name, then the current folder's.

    In the user's folder every YAML file is one, in the current folder each that holds a key of a
    preset, so that other programs' files are left alone. Pipes and the like are passed over.
    """
    here = [path for path in _yaml_in(Path()) if _holds_keys(path)]
    own = _yaml_in(folder())
    taken = {path.resolve() for path in own}
    return own + [path for path in here if path.resolve() not in taken]


def is_own(path: Path) -> bool:
    """Returns whether a file lies in the user's folder of presets."""
    return path.resolve().parent == folder().resolve()


def copy(source: Path, text: str) -> Path:
    """Writes the text of a preset to a new file in the user's folder and returns its path.

    It is named after `source`, with `-own` and a number where that is taken. Raises SaveError where
    it cannot be written.
    """
    name = source.stem if source.stem.endswith("-own") else f"{source.stem}-own"
    try:
        folder().mkdir(parents=True, exist_ok=True)
        for number in range(1, MOST):
            path = folder() / (f"{name}.yaml" if number == 1 else f"{name}-{number}.yaml")
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(text)
                return path
            except FileExistsError:
                continue
    except OSError as error:
        raise SaveError(f"{folder()}: cannot be written: {error.strerror}") from None
    raise SaveError(f"{folder()}: holds too many copies of {name}")


def read(path: Path) -> str:
    """Returns the text of a preset of at most `LARGEST` bytes. Raises InputError."""
    try:
        return read_text(path, LARGEST)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None


def _yaml_in(place: Path) -> list[Path]:
    """Returns the YAML files in a folder by name, none where it cannot be read."""
    try:
        found = islice((path for path in place.iterdir() if path.suffix in ENDINGS), MOST)
        return sorted(path for path in found if path.is_file())
    except OSError:
        return []


def _holds_keys(path: Path) -> bool:
    """Returns whether a file holds a key of a preset."""
    try:
        return KEYS.search(read(path)) is not None
    except InputError:
        return False
