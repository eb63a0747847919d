"""What was measured on this machine, kept in files of the cache folder. No torch here."""

from __future__ import annotations

import json
from contextlib import suppress

from engine.cache import cache_folder
from engine.record import writing


def remembered(file: str) -> dict[str, str]:
    """Returns what a file of the cache folder holds by fingerprint, nothing where it is spoiled."""
    with suppress(OSError, ValueError):
        tree = json.loads((cache_folder() / file).read_bytes())
        if isinstance(tree, dict):
            return tree
    return {}


def remember(file: str, known: dict[str, str]) -> None:
    """Keeps what is known by fingerprint. Does nothing where it cannot be written."""
    with suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        writing.replace(writing.chosen(cache_folder() / file), json.dumps(known).encode())
