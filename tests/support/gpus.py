"""GPUs for tests: real ones where torch sees any, else acted ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch

from tests.support.acted.cuda import acted
from tests.support.acted.machine import Machine

REAL = torch.cuda.is_available()


@dataclass(frozen=True)
class Gpus:
    """The GPUs that a test may use."""

    devices: tuple[torch.device, ...]
    machine: Machine | None
    """The acted machine; None where the GPUs are real."""

    @property
    def words(self) -> str:
        """The devices as a preset names them."""
        return ",".join(map(str, self.devices))

    def check(self) -> None:
        """Fails where two streams have used the same memory without an order."""
        if self.machine is not None:
            races = dict(self.machine.counts.races)
            assert not races, races


@contextmanager
def gpus_for_a_test(count: int) -> Iterator[Gpus]:
    """Lends so many GPUs to the block. The test is skipped where there are too few real ones."""
    devices = tuple(torch.device("cuda", number) for number in range(count))
    if REAL:
        if torch.cuda.device_count() < count:
            pytest.skip(f"needs {count} GPUs, and torch sees {torch.cuda.device_count()}")
        yield Gpus(devices, None)
        return
    with acted(count) as machine:
        yield Gpus(devices, machine)
