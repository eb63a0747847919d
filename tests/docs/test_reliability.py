"""What docs/reliability.md says was tried is what the package promises."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_package_names_the_versions_of_python_that_were_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: 3."
    named = {
        f"3.{each.removeprefix(prefix)}"
        for each in project["classifiers"]
        if each.startswith(prefix)
    }
    page = (ROOT / "docs" / "reliability.md").read_text()
    oldest = project["requires-python"].removeprefix(">=")
    assert f"Python {oldest}" in page
    assert named == {oldest, *re.findall(r"^## Python (3\.\d+)$", page, re.MULTILINE)}
