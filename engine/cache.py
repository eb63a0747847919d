"""The folder for what can be made again: compiled code, measurements, copies of samples. No torch.

What is said before a run waits for the compiler is here as well.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import platformdirs

log = logging.getLogger("engine")


def cache_folder() -> Path:
    """Returns the folder named by DSS_TUI_CACHE, else dss-tui's in the platform's cache folder.

    It need not exist. Whatever is missing in it is measured, compiled or copied anew.
    """
    chosen = os.environ.get("DSS_TUI_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dss-tui"))


def warn_of_compiling() -> None:
    """Says that a run is about to wait for the compiler."""
    log.warning("compiling for this machine, once: this takes some ten seconds")
