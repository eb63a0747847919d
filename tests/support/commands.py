"""The command line as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dss_tui.cli import main


def status_of(arguments: list[str]) -> int:
    """The exit status of a command line, also of one that the parser ends."""
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


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


def refused_before_anything(
    capsys: pytest.CaptureFixture[str], command: list[str], said: str, folder: Path
) -> None:
    """Status 2 and one sentence, and the folder of all runs is not made."""
    out = folder / "none"
    assert main([*command, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not out.exists()
