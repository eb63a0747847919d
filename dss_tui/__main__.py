"""The command `python -m dss_tui`, which is the same as `dss-tui`."""

from __future__ import annotations

from dss_tui_launcher import main

if __name__ == "__main__":
    main()
