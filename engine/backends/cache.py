"""The folder for compiled code and measurements that can be made again. No torch here."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Returns the folder named by DSS_TUI_CACHE, else dss-tui's in the platform's cache folder.

    It need not exist. Whatever is missing in it is measured or compiled anew.
    """
    chosen = os.environ.get("DSS_TUI_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dss-tui"))
