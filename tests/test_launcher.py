"""`dss-tui` beside another project's packages that have our names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dss_tui_launcher import hidden_package

HOME = Path(__file__).parents[1]
STRANGER = "raise RuntimeError('a stranger was run')\n"
STARTS = {
    "dss-tui": ["-c", "from dss_tui_launcher import main; main()"],
    "python -m dss_tui": ["-m", "dss_tui"],
}
SHAPES = ["{}/__init__.py", "{}.py"]


def start(
    how: str, *arguments: str, at: Path, paths: tuple[Path, ...]
) -> subprocess.CompletedProcess[str]:
    """Runs dss-tui in a folder, with these folders on PYTHONPATH."""
    return subprocess.run(
        [sys.executable, *STARTS[how], *arguments],
        cwd=at,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
    )


def stranger(folder: Path, shape: str, name: str) -> Path:
    """Writes a package or module that must not be run; returns where it lies."""
    path = folder / shape.format(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(STRANGER)
    return path.parent if path.stem == "__init__" else path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = (tmp_path / "project").resolve()
    folder.mkdir()
    return folder


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("dss-tui", "engine"),
        ("dss-tui", "presets"),
        ("dss-tui", "dss_tui"),
        ("python -m dss_tui", "engine"),
        ("python -m dss_tui", "presets"),
    ],
)
def test_one_sentence_names_both_places(
    how: str, name: str, shape: str, project: Path, tmp_path: Path
) -> None:
    theirs = stranger(project, shape, name)
    ran = start(how, "ls", at=tmp_path, paths=(project, HOME))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"dss-tui: {theirs} hides {HOME / name}, a part of dss-tui; rename it, take {project} off "
        "PYTHONPATH, or start in another folder\n"
    )


@pytest.mark.parametrize("name", ["engine", "presets"])
def test_a_package_in_the_current_folder_hides_nothing(name: str, project: Path) -> None:
    """Python would look there first; dss-tui imports nothing from there."""
    stranger(project, SHAPES[0], name)
    ran = start("python -m dss_tui", "presets", at=project, paths=(HOME,))
    assert ran.returncode == 0, ran.stderr
    assert "quadratic" in ran.stdout


@pytest.mark.parametrize("how", STARTS)
def test_folders_that_are_no_packages_hide_nothing(how: str, project: Path) -> None:
    for name in ("engine", "presets", "dss_tui"):
        (project / name).mkdir()
        (project / name / "a.yaml").touch()
    ran = start(how, "presets", at=project, paths=(project, HOME))
    assert ran.returncode == 0, ran.stderr
    assert "quadratic" in ran.stdout


def test_our_own_packages_hide_none_of_ours() -> None:
    assert hidden_package() is None
