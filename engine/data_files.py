"""Where data that are not shipped are looked up. No numpy and no torch here."""

from __future__ import annotations

import os
from pathlib import Path


def candidates(path: str, *before: Path) -> list[Path]:
    """The places of a path: in `before`, in the current folder, then under $DSS_TUI_DATA."""
    named = os.environ.get("DSS_TUI_DATA")
    folders = [*before, Path.cwd(), *([Path(os.path.expanduser(named))] if named else [])]
    return list(dict.fromkeys(folder / os.path.expanduser(path) for folder in folders))


def locate(path: str, *before: Path) -> Path | None:
    """The first of the candidates that is a file; None where none is."""
    return next((place.resolve() for place in candidates(path, *before) if place.is_file()), None)
