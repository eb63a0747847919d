"""The user's settings, in `settings.yaml` in dss-tui's configuration folder of the platform.

The file maps names to true or false: `bell` for the terminal's bell and `title` for its window's
title at the end of a run that is watched, and `images` for pictures in terminals that show them.
All are on where it does not name them, but images over SSH.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from engine.errors import InputError
from engine.record.reading import read_bytes
from engine.record.writing import chosen
from engine.spec.yaml_file import read_yaml

#: The size in bytes of the largest file that is read.
LARGEST = 10_000


@dataclass(frozen=True)
class Settings:
    """What a user can switch on or off."""

    bell: bool = True
    """Whether the bell rings where a run that is watched ends."""
    title: bool = True
    """Whether the window's title then tells the outcome."""
    images: bool | None = None
    """Whether the terminal is asked if it shows pictures; None means everywhere but over SSH."""


def path() -> Path:
    """Returns the path of the file."""
    return Path(platformdirs.user_config_dir("dss-tui")) / "settings.yaml"


def settings() -> Settings:
    """Returns the user's settings.

    Raises InputError for a file that cannot be read, or that holds anything else than settings.
    """
    file = path()
    content = read_bytes(chosen(file), LARGEST)
    if content is None:
        return Settings()
    tree = read_yaml(content.decode(errors="replace"), file)
    names = asdict(Settings())
    if not isinstance(tree, dict) or not all(isinstance(value, bool) for value in tree.values()):
        raise InputError(f"must map {', '.join(names)} to true or false", file=file)
    for name in tree:
        if name not in names:
            raise InputError(f"is unknown; choose among {', '.join(names)}", file=file, key=name)
    return Settings(**tree)


def images() -> bool | None:
    """Returns what the user's settings say of images. A bad file is told where a run ends."""
    try:
        return settings().images
    except InputError:
        return None
