"""Workers for the tests of all crews."""

from __future__ import annotations

import pytest

from tests.support.cluster_threads import HANDED_BACK, SHARED, Threads, workers_that


@pytest.fixture(params=[SHARED, HANDED_BACK])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Workers that see the folder, and such that do not."""
    return workers_that(request.param, monkeypatch)
