"""Platforms that dss-tui does not run on: one sentence, by whatever way one begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = (
    "the platform win32 is not supported by dss-tui; use Linux or macOS, or on Windows its "
    "subsystem for Linux (WSL)\n"
)
#: What Python runs before a program: it acts a platform without the modules of Unix.
ACTED = """
import sys

sys.platform = "win32"
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of programs on another platform."""
    (tmp_path / "sitecustomize.py").write_text(ACTED)
    return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def started(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "from dss_tui_launcher import main; main()", "ls"),
        ("-m", "dss_tui", "--version"),
        ("-m", "engine", "run"),
        ("-m", "engine.doctor"),
    ],
    ids=["dss-tui", "python -m dss_tui", "python -m engine", "python -m engine.doctor"],
)
def test_programs_end_in_one_sentence(
    arguments: tuple[str, ...], elsewhere: dict[str, str]
) -> None:
    ran = started(elsewhere, *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"dss-tui: {SENTENCE}")


@pytest.mark.parametrize("line", ["import engine", "from presets import load_preset"])
def test_the_library_is_not_imported(line: str, elsewhere: dict[str, str]) -> None:
    ran = started(elsewhere, "-c", f"try:\n    {line}\nexcept ImportError as e:\n    print(e)")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, SENTENCE, "")


def test_linux_and_macos_are_supported(tmp_path: Path) -> None:
    for platform in ("linux", "darwin"):
        line = f"import sys; sys.platform = {platform!r}; import engine; print(engine.__version__)"
        ran = started(os.environ | {"PYTHONPATH": str(ROOT)}, "-c", line)
        assert ran.returncode == 0, ran.stderr
