"""The displays of a run without screens."""

from __future__ import annotations

from pathlib import Path

import pytest

from dss_tui.viewing.headless import PlainLines, RichDisplay, _Watcher
from engine.record.events import Outcome
from engine.run.session import Ended
from tests.support.told_runs import greedy_run


@pytest.mark.parametrize("display", [PlainLines, RichDisplay])
def test_what_the_engine_warns_of_meanwhile_is_told(
    display: type[_Watcher], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, with what the session computes with, and nothing of an earlier session."""
    run = greedy_run(tmp_path)
    run.log.write_text("2026-11-29 20:03:19,297 WARNING of an earlier session\n")
    shown = display(run)
    with run.log.open("a") as log:
        log.write("2026-11-29 20:03:20,297 INFO of no interest\n")
        log.write("2026-11-29 20:03:20,397 INFO computing on cpu, 2 threads; backend [fused]\n")
        log.write("2026-11-29 20:03:21,297 WARNING compiling, once: ten seconds\n")
    shown.look()
    shown.look()
    told = capsys.readouterr().err
    assert told.count("compiling, once: ten seconds") == 1
    assert told.count("computing on cpu, 2 threads; backend [fused]") == 1
    assert "earlier" not in told and "interest" not in told and "20:03" not in told


def test_a_run_that_ends_at_once_still_tells_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = greedy_run(tmp_path)
    with PlainLines(run), run.log.open("a") as log:
        log.write("2026-11-29 20:03:20,397 INFO computing on cpu, 2 threads\n")
    assert capsys.readouterr().err == "computing on cpu, 2 threads\n"


@pytest.mark.parametrize("there", [True, False])
def test_only_a_run_with_a_string_is_to_be_exported(
    there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = greedy_run(tmp_path)
    run.string.unlink(missing_ok=True)
    if there:
        run.string.write_bytes(b"")
    PlainLines(run).summarize(Ended(Outcome.FAILED, "The engine failed."))
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == ["The engine failed.", f"run directory: {run.path}"]
    assert [line.startswith("export it with: dss-tui export ") for line in told[2:]] == [
        True
    ] * there
