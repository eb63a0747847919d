"""The command line as a user meets it."""

from __future__ import annotations

import pytest

from dss_tui.cli import main


def refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], *words: str, status: int = 2
) -> str:
    """The one line that says why a command line was refused."""
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    for word in words:
        assert word in line
    return line
