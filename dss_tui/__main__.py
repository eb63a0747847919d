"""The command `python -m dss_tui`, which is the same as `dss-tui`."""

# No module of the current folder is imported, though Python looks there first for `-m`: not even
# the one that a line `from __future__ import annotations` would import.
import os
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if not sys.flags.safe_path and os.path.realpath(sys.path[0] or ".") != _HOME:
    del sys.path[0]

from dss_tui_launcher import main  # noqa: E402

if __name__ == "__main__":
    main()
