"""docs/library.md: its example is run, and its names are those that the library offers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine

TEXT = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")


def test_the_example_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
    shown: dict[str, object] = {}
    exec(example, shown)
    said = capsys.readouterr().out
    assert re.search(r"^bead \d+ is at a loss of 0\.00\d+ after \d+ steps$", said, re.M)
    assert re.search(r"^Connected, proven: \d+ beads, ", said, re.M)
    (held,) = re.findall(r"^holds: (\w+), highest loss 0\.00\d+$", said, re.M)
    (rise,) = re.findall(r"^the straight line between the ends rises to (\S+) at t = 0", said, re.M)
    assert held == "True" and float(rise) > 5e-3
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["path.npz"]


def test_it_names_all_that_there_is() -> None:
    named = set(re.findall(r"`(\w+)`", TEXT))
    assert set(engine.__all__) - {"__version__", "Spec"} <= named
