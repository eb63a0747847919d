"""Opens a file in the user's own editor, with the terminal handed over to it meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

#: The editors that are taken where neither VISUAL nor EDITOR names one.
USUAL = ("nano", "vi")


def command() -> list[str]:
    """Returns the user's editor with its options: `$VISUAL`, else `$EDITOR`, else a usual one.

    It is empty where there is none, or where the variable is not a command line.
    """
    for name in ("VISUAL", "EDITOR"):
        if chosen := os.environ.get(name, "").strip():
            try:
                return shlex.split(chosen)
            except ValueError:
                return []
    return [found for found in map(shutil.which, USUAL) if found is not None][:1]


def edit(app: App[Any], path: Path) -> str | None:
    """Opens a file in the user's editor, waits for its end, and returns None.

    Returns a sentence where that cannot be done; the file can then be edited in another terminal.
    """
    editor = command()
    if not editor:
        return f"no editor is known; set EDITOR, or edit {path}"
    try:
        with app.suspend(), _interrupts_passed():
            ended = subprocess.run([*editor, str(path)]).returncode
    except SuspendNotSupported:
        return f"this terminal cannot be handed to an editor; edit {path} elsewhere"
    except OSError as error:
        return f"{editor[0]} cannot be started ({error.strerror}); set EDITOR, or edit {path}"
    return f"{editor[0]} ended with status {ended}; the file is {path}" if ended else None


@contextmanager
def _interrupts_passed() -> Iterator[None]:
    """Makes ctrl+c within the block a matter of the program that runs in the terminal."""
    # A handler of Python's is not handed on to the program, as SIG_IGN would be.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
