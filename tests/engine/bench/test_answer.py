"""The process that measures a preset."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from engine.bench.answer import peak_bytes
from tests.support.imports import SCREENS, imported_by


def test_peak_memory_is_that_of_this_process() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    before = pages * os.sysconf("SC_PAGE_SIZE")
    held = np.ones(2**24)  # 128 MiB
    assert peak_bytes() > before + 0.9 * held.nbytes


def test_the_engine_s_part_knows_no_screen() -> None:
    assert not imported_by("import engine.bench.answer") & (SCREENS | {"dss_tui"})
