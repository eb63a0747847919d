"""Modules that lie in a stranger's folder: none is imported because somebody looks at it there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dss_tui

#: What the command line and an engine import, and what Python itself looks for.
NAMES = (
    *(
        "rich",
        "yaml",
        "numpy",
        "torch",
        "numba",
        "scipy",
        "pydantic",
        "safetensors",
        "platformdirs",
    ),
    *("textual", "plotext", "engine", "presets", "dss_tui_launcher", "usercustomize"),
    *("argparse", "dataclasses", "json", "difflib", "pathlib", "subprocess", "__future__"),
)
#: The command as it is installed, and as a module.
COMMANDS = (
    ["-c", "import sys; del sys.path[0]; from dss_tui_launcher import main; main()"],
    ["-m", "dss_tui"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=["installed", "-m"])
def test_no_module_of_the_current_folder_is_imported(command: list[str], tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("import os\nos._exit(99)\n")
    home = str(Path(dss_tui.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": home, "DSS_TUI_RUNS": str(tmp_path / "runs")}
    answer = subprocess.run(
        [sys.executable, *command, "ls"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stdout) == (0, "")
    assert answer.stderr.startswith("no runs in")
