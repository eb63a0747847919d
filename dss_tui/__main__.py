"""`dss-tui`, and `python -m dss_tui`."""

from __future__ import annotations

import sys


def main() -> None:
    from dss_tui.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
