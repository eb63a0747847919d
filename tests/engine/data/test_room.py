"""Room for samples in memory and in files, and arrays that are changed piece by piece."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from engine.data import room as module
from engine.data.room import all_finite, changed, ends, is_mapped, pieces, room
from engine.errors import InputError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Arrays of more than 1000 bytes are mapped, and looked at by 64 bytes."""
    monkeypatch.setattr(module, "IN_MEMORY", 1000)
    monkeypatch.setattr(module, "PIECE", 64)
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_few_samples_lie_in_memory_and_many_in_a_file_without_a_name(small: Path) -> None:
    assert not is_mapped(room((10, 100), np.uint8)) and not small.exists()
    large = room((10, 101), np.uint8)
    assert is_mapped(large) and is_mapped(large[3:5])
    assert list(small.iterdir()) == []  # nothing stays, however the process ends
    large[:] = np.arange(10)[:, None]
    assert large.sum() == 45 * 101


def test_a_full_disk_is_told_before_anything_is_read(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError) as refusal:
        room((2**20, 2**10), np.float32)
    assert str(refusal.value) == (
        f"there is no room for 4.0 GiB in {small} (No space left on "
        "device); let DSS_TUI_CACHE name a folder on a larger disk"
    )


@pytest.mark.parametrize("samples", [1, 7, 300])
def test_changed_arrays_hold_the_same_values(samples: int) -> None:
    array = np.random.default_rng(3).normal(size=(samples, 5))
    found = changed(array, np.float32)
    np.testing.assert_array_equal(found, array.astype(np.float32))
    assert is_mapped(found) == (samples == 300)
    assert changed(found, np.float32) is found
    which = np.arange(samples)[::-2].astype(np.int64)
    np.testing.assert_array_equal(changed(array, array.dtype, which), array[which])
    backward = found[:, ::-1]
    np.testing.assert_array_equal(changed(backward, np.float32), backward)


def test_what_is_looked_at_in_pieces_is_seen_whole() -> None:
    array = np.arange(300, dtype=np.int64) - 7
    assert sum(len(array[part]) for part in pieces(array)) == 300
    assert len(list(pieces(array))) > 10
    assert ends(array) == (-7, 292)
    assert ends(array[:0]) == (0, -1)
    values = np.ones((300, 3))
    assert all_finite(values) and all_finite(array)
    values[299, 2] = 1e39  # beyond float32
    assert not all_finite(values)
