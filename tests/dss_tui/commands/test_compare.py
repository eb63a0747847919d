"""`dss-tui compare` on a terminal: the screen of a sweep with methods, and a cell's own run."""

from __future__ import annotations

from pathlib import Path

from dss_tui.cli import main
from engine.record.rundir import RunDir
from engine.record.sweeps import SweepReader
from tests.support.pseudo_terminal import viewer

COMPARE = ["compare", "quadratic", "--methods", "greedy,constrained", "--pairs", "1"]
KEYS = ["problem.data.points=64", "search.level=0.05", "search.certify=off"]
TINY = [part for key in KEYS for part in ("--set", key)]


def test_a_whole_comparison_on_a_terminal(tmp_path: Path) -> None:
    out = tmp_path / "compared"
    with viewer(*COMPARE, *TINY, "--out", str(out), columns=120) as shown:
        shown.wait_for("2 methods × 1 pair")
        shown.wait_for("2 of 2 ended")
        shown.wait_for("barrier")
        shown.press("\r")
        shown.wait_for("landscape")
        before = len(shown.text())
        shown.press("q")
        for _ in range(600):  # until the matrix is drawn again; each look waits a moment
            if "constrained" in shown.text()[before:]:
                break
        shown.press("q")
        assert shown.wait_for_end() == 0
    assert SweepReader(RunDir(out)).look().state == "ended"
    assert {"compare.csv", "methods.csv", "compare.json"} <= {path.name for path in out.iterdir()}
    with viewer(*COMPARE, *TINY, "--out", str(out), columns=120) as shown:  # nothing is left
        shown.wait_for("2 of 2 ended")
        shown.press("q")
        assert shown.wait_for_end() == 0


def test_what_cannot_run_is_said_before_the_screen_opens(tmp_path: Path) -> None:
    out = tmp_path / "none"
    command = [*COMPARE, "--variant", "x:search.method=linear", "--out", str(out)]
    with viewer(*command, columns=160) as shown:
        shown.wait_for("the method x cannot run here: search.method is linear")
        assert shown.wait_for_end() == 2
    assert not out.exists()
    assert main(["stop", str(out)]) == 2
