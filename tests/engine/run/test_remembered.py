"""Measurements kept in the cache folder: there again, and nothing where the file is spoiled."""

from __future__ import annotations

import pytest

from engine.cache import cache_folder
from engine.run.remembered import remember, remembered


def test_what_is_kept_is_there_again() -> None:
    assert remembered("measured.json") == {}
    remember("measured.json", {"a": "vmap"})
    assert remembered("measured.json") == {"a": "vmap"}
    assert remembered("others.json") == {}


@pytest.mark.parametrize("content", ["{", "[1, 2]", ""])
def test_a_spoiled_file_holds_nothing(content: str) -> None:
    (cache_folder() / "measured.json").write_text(content)
    assert remembered("measured.json") == {}


def test_a_folder_that_cannot_be_written_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSS_TUI_CACHE", "/dev/null/cache")
    remember("measured.json", {"a": "vmap"})
    assert remembered("measured.json") == {}
