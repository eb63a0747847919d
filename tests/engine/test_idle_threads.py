"""Threads of torch's that wait for each other sleep soon, where nobody says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.idle_threads import ASKED, SPINS, sleep_soon

SPINCOUNT = "GOMP_SPINCOUNT"
#: Ends the command, and prints what OpenMP will read and whether it was too late for it.
SHOWN = """
import os, sys
from dss_tui_launcher import main
sys.argv = ["dss-tui", "--version"]
try:
    main()
finally:
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ASKED:
        monkeypatch.setenv(name, "")  # so that what is set is taken back
        monkeypatch.delenv(name)


def test_threads_sleep_soon() -> None:
    sleep_soon()
    assert os.environ[SPINCOUNT] == str(SPINS)


@pytest.mark.parametrize("name", ASKED)
def test_what_a_user_asks_for_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    sleep_soon()
    assert [os.environ.get(each) for each in ASKED] == [
        "7" if each == name else None for each in ASKED
    ]


def test_it_is_said_before_torch_is_imported() -> None:
    command = [sys.executable, "-c", SHOWN]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == f"{SPINS} False"
