"""Processes that measure one preset each."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dss_tui.viewing.session import environment
from engine.bench.suite import Failed, Request, Stopped, answered
from engine.errors import InputError
from engine.spec.keys import Spec
from engine.spec.validation import validated
from tests.support.benches import EFFORT
from tests.support.imports import imported_by


def mine(**problem: Any) -> Spec:
    tree = {
        "problem": {
            "data": {"kind": "digits"},
            "network": {"kind": "mlp", "sizes": [64, 10]},
            "loss": "cross_entropy",
        }
        | problem,
        "search": {"level": 0.5},
        "device": "cpu",
        "workers": 1,
    }
    return validated(Spec, tree)


def factory(tmp_path: Path, body: str) -> dict[str, Any]:
    (tmp_path / "own.py").write_text(
        f"import os\n\n\ndef make():\n    print('noise')\n    {body}\n"
    )
    return {"kind": "custom", "factory": f"{tmp_path / 'own.py'}:make"}


def test_a_process_that_dies_is_our_failure(tmp_path: Path) -> None:
    request = Request(mine(data=factory(tmp_path, "os._exit(7)")), "own", (1,), EFFORT)
    with pytest.raises(Failed, match="its process ended with status 7"):
        answered(request, environment(), lambda: False)


def test_what_cannot_run_is_refused(tmp_path: Path) -> None:
    request = Request(mine(data=factory(tmp_path, "return 1, 2")), "own", (1,), EFFORT)
    with pytest.raises(InputError, match=r"problem\.data\.factory"):
        answered(request, environment(), lambda: False)


def test_who_stops_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr("engine.bench.suite.subprocess.Popen", Noted)
    with pytest.raises(Stopped):
        answered(Request(mine(), "own", (1,), EFFORT), environment(), lambda: True)
    assert [process.returncode for process in started] == [-signal.SIGKILL]


@pytest.mark.parametrize("module", ["engine.bench.suite", "dss_tui.commands.bench"])
def test_who_starts_the_processes_needs_no_torch(module: str) -> None:
    assert "torch" not in imported_by(f"import {module}")
