"""The platforms that dss-tui runs on, of which one is told before anything else is imported."""

from __future__ import annotations

import sys

#: What `sys.platform` is called on Linux and on macOS.
SUPPORTED = ("linux", "darwin")


def check_platform() -> None:
    """Raises ImportError, with one sentence, on any other platform than Linux and macOS.

    A program that begins with the engine, as `python -m engine` does, has nobody who could catch
    it. It ends with the sentence on standard error and exit status 2.
    """
    if sys.platform in SUPPORTED:
        return
    sentence = (
        f"the platform {sys.platform} is not supported by dss-tui; use Linux or macOS, or on "
        "Windows its subsystem for Linux (WSL)"
    )
    if sys.argv[:1] == ["-m"]:  # Python imports the engine to find the program that is to run
        print(f"dss-tui: {sentence}", file=sys.stderr)
        sys.exit(2)
    raise ImportError(sentence)
