"""A run whose level comes about in the search: every file of its folder tells the number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dss_tui.cli import main
from engine.record import string_file
from engine.record.progress import read_progress
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.run.certify import certify
from engine.run.verify import verify

SETTINGS = [
    "problem.data.points=32",
    "endpoints.until=epochs",
    "endpoints.epochs=1500",
    "search.resolution=0.05",
    "workers=1",
]


def run(folder: Path, level: str, *more: str) -> tuple[int, RunDir]:
    overrides = [f"--set={each}" for each in (f"search.level={level}", *SETTINGS, *more)]
    asked = ["run", "quadratic", "--headless", "--seed=1", f"--out={folder}", *overrides]
    return main(asked), RunDir(folder)


def test_a_lowest_level_is_told_everywhere_and_proven_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, directory = run(tmp_path / "low", "lowest")
    assert status == 0
    ended = finished(read_records(directory))
    assert ended is not None and ended.level is not None and ended.bracket is not None
    level, bracket = ended.level, ended.bracket
    told = bracket.told(level)
    assert told in ended.sentence and told in directory.spec.read_text()
    assert directory.load_spec().search.level == "lowest"  # which repeats the run
    progress = read_progress(directory)
    assert progress is not None
    assert (progress.level, progress.bracket) == (level, bracket)
    assert summarize(directory).level == level
    held = string_file.read(directory.string)
    assert (held.header.level, held.header.bracket) == (level, bracket)
    assert max(verify(held, 501).peaks) <= level
    proven = certify(held, level=float("inf"))
    assert proven.certified and level / 1.05 <= proven.level <= level
    capsys.readouterr()
    assert main(["verify", str(directory.string), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["level_from"]["asked"] == "lowest"
    assert main(["verify", str(directory.string)]) == 0
    assert told in capsys.readouterr().out


def test_a_search_that_stops_at_a_limit_keeps_its_best_string(tmp_path: Path) -> None:
    status, directory = run(tmp_path / "limit", "lowest", "limits.steps=3050")
    ended = finished(read_records(directory))
    assert status == 3 and ended is not None and ended.bracket is not None
    assert not ended.bracket.settled
    held = string_file.read(directory.string)
    assert max(verify(held, 501).peaks) <= held.header.level
    assert held.header.level == pytest.approx(ended.bracket.found * 1.025, rel=1e-6)
    assert "The level is still sought; the best string so far rises to" in ended.sentence


def test_a_multiple_of_the_ends_that_is_not_reached_is_diagnosed(tmp_path: Path) -> None:
    hasty = ("search.greedy.max_steps=1", "search.greedy.max_depth=1")
    status, directory = run(tmp_path / "times", "{times_ends: 1.1}", *hasty)
    ended = finished(read_records(directory))
    assert status == 3 and ended is not None and ended.bracket is not None
    assert ended.level == pytest.approx(1.1 * ended.bracket.ends)
    assert ended.diagnosis is not None and ended.diagnosis.level == ended.level
    assert "is 1.1 × the worse end, which has" in ended.sentence
