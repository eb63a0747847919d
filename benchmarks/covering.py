"""A pytest plugin for `benchmarks.mutants`: `pytest -p benchmarks.covering`.

With `COVERING_RECORD=FOLDER` it notes there which lines of the engine each test runs, and how long
each takes that passes. With `COVERING_LIMITS=FILE`, which holds seconds by test, it ends the
process where one of them takes longer than that.
"""

from __future__ import annotations

import faulthandler
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Stands in what the process writes to its standard error where a test took longer than its limit.
TOO_LONG = "Timeout ("


class Recorder:
    """Tells coverage which test runs now."""

    def __init__(self, folder: Path, name: str) -> None:
        """Starts to note into files of a folder that bear this process's name."""
        from coverage import Coverage  # of the extra dev; who only limits tests needs it not

        self.times: dict[str, float] = {}
        self.not_passed: set[str] = set()
        self.times_file = folder / f"times.{name}.json"
        self.coverage = Coverage(data_file=folder / f"lines.{name}", source=["engine"])
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Notes the lines and the seconds of one test."""
        self.coverage.switch_context(item.nodeid)
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            self.times[item.nodeid] = time.perf_counter() - began
            self.coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remembers a test that did not pass."""
        if not report.passed:
            self.not_passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Writes the lines of all tests, and the seconds of those that passed."""
        self.coverage.stop()
        self.coverage.save()
        passed = {test: s for test, s in self.times.items() if test not in self.not_passed}
        self.times_file.write_text(json.dumps(passed), encoding="utf-8")


class Watch:
    """Ends the process where a test does not come back."""

    def __init__(self, limits: dict[str, float]) -> None:
        """Takes the seconds that each test may run."""
        self.limits = limits

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Ends the process where a test takes longer than its limit."""
        faulthandler.dump_traceback_later(self.limits[item.nodeid], exit=True)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()


def pytest_configure(config: pytest.Config) -> None:
    """Registers what the environment asks for."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if folder := os.environ.get("COVERING_RECORD"):
        if worker or not config.getoption("numprocesses", None):
            config.pluginmanager.register(Recorder(Path(folder), worker or "alone"))
    elif limits := os.environ.get("COVERING_LIMITS"):
        config.pluginmanager.register(Watch(json.loads(Path(limits).read_text(encoding="utf-8"))))
