"""Whether compiled code is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

AVAILABLE = "from engine.backends.fused.compilation import available; print(available())"


def printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_without_numba_it_says_so() -> None:
    assert printed(f"import sys; sys.modules['numba'] = None; {AVAILABLE}") == "False"


def test_with_numba_it_is_there() -> None:
    pytest.importorskip("numba")
    assert printed(AVAILABLE) == "True"
