"""The machine's memory, or its container's."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.devices import memory
from engine.devices.memory import GIB, Memory, host_memory

MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   16777216 kB\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 16 of 32 GiB free, in no container."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "LIMITS", ((tmp_path / "most", tmp_path / "used"),))
    return tmp_path


def limit(machine: Path, most: str, used: int = 0) -> None:
    (machine / "most").write_text(most)
    (machine / "used").write_text(str(used))


def test_of_the_machine(machine: Path) -> None:
    found = host_memory()
    assert found == Memory(16 * GIB, 32 * GIB)
    assert found.words == "16.0 of 32.0 GiB free"
    limit(machine, "max\n")
    assert host_memory() == found
    limit(machine, str(2**63))
    assert host_memory() == found


def test_of_a_container(machine: Path) -> None:
    limit(machine, f"{4 * GIB}\n", 3 * GIB)
    assert host_memory() == Memory(GIB, 4 * GIB)
    limit(machine, f"{24 * GIB}\n", GIB)
    assert host_memory() == Memory(16 * GIB, 24 * GIB)  # others use the machine too
    limit(machine, f"{4 * GIB}\n", 5 * GIB)
    assert host_memory() == Memory(0, 4 * GIB)


def test_where_the_system_tells_less(machine: Path) -> None:
    (machine / "meminfo").unlink()
    found = host_memory()
    assert found is None or found.free == found.total > 0


def test_the_real_machine() -> None:
    found = host_memory()
    assert found is not None and 0 < found.free <= found.total
