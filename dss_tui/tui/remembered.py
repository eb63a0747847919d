"""Small choices of the user that the next session takes up: a file each, beside the keys.

They lie in dss-tui's configuration folder of the platform. Where one cannot be read or written,
the application goes on without it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import platformdirs

from engine.errors import SaveError
from engine.record.reading import Damaged, read_text
from engine.record.writing import chosen, replace

#: The files: the theme that was chosen last, and the columns of the list of runs.
THEME, COLUMNS = "theme", "columns"

#: The size in bytes of the longest choice that is read.
LONGEST = 1000


def path(name: str) -> Path:
    """Returns the path of the file that keeps a choice."""
    return Path(platformdirs.user_config_dir("dss-tui")) / name


def kept(name: str) -> str | None:
    """Returns the choice that was made last, or None where none is known."""
    try:
        return read_text(chosen(path(name)), LONGEST).strip() or None
    except (OSError, Damaged):
        return None


def keep(name: str, choice: str) -> None:
    """Keeps a choice, where it can be written."""
    with suppress(OSError, SaveError):
        path(name).parent.mkdir(parents=True, exist_ok=True)
        replace(chosen(path(name)), f"{choice}\n".encode(), durable=False)
