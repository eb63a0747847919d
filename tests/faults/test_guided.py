"""What the guided fuzzer begins with, and how it is read; the fuzzer itself is run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import guided
from tests.support.faults.guided import READERS
from tests.support.faults.inputs import KINDS, taken


@pytest.mark.parametrize("name", READERS)
def test_it_begins_with_files_that_are_accepted_and_refuses_half_of_one(name: str) -> None:
    reader = READERS[name]
    whole = reader.whole()
    assert whole
    for content in whole:
        assert len(content) <= guided.LONGEST
        assert taken(KINDS[reader.kind], reader.drawn(content)) == "accepted"
    half = whole[0][: len(whole[0]) // 2 + 1]  # which is no whole number of records
    assert taken(KINDS[reader.kind], reader.drawn(half)) == "refused"


@pytest.mark.parametrize("status", [0, 77])
def test_a_fuzzer_that_ends_with_another_status_has_found_something(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert {"-seed=5", "-atheris_runs=9", "-rss_limit_mb=1024"} <= set(command)
        assert any(Path(command[-1]).iterdir())
        told = Path(command[command.index("--told") + 1])
        told.write_text(json.dumps({"tried": 9, "accepted": 2, "refused": 7}))
        return subprocess.CompletedProcess(command, status, "", "a traceback")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(
        sys,
        "argv",
        ["guided", "--runs", "9", "--seed", "5", "--only", "npz", "--keep", str(tmp_path)],
    )
    assert guided.main() == int(status > 0)
    said = capsys.readouterr().out
    assert f"| npz | 9 | 2 | 7 | {int(status > 0)} |" in said
    assert ("a traceback" in said) == (status > 0)
