"""How compiled code of rounds is compiled."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("numba")

import numba

from engine.backends.fused.kernels.compiling import compiled


class Parts(NamedTuple):
    """Arrays that are taken from a tuple within a loop, as kernels take theirs."""

    values: NDArray[np.float32]
    found: NDArray[np.float32]


def summed(parts: Parts, blocks: int) -> None:
    """Adds the values to what is found, block by block."""
    for block in range(blocks):
        of_block(parts.values, parts.found, block)


def of_block(values: NDArray[np.float32], found: NDArray[np.float32], block: int) -> None:
    for s in range(values.size):
        found[s] += values[s] * np.float32(block)


def llvm_of(function: Any) -> str:
    """Returns what the compiler made of it, after it has run once."""
    parts = Parts(np.ones(8, np.float32), np.zeros(8, np.float32))
    function(parts, 3)
    np.testing.assert_array_equal(parts.found, 3)
    (code,) = function.inspect_llvm().values()
    return str(code)


def test_users_of_arrays_are_counted_by_numba_but_not_in_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each count is an operation on memory that threads share. `_nrt` is private to numba."""
    plain, ours = numba.njit(of_block), cast(Any, compiled()(of_block))
    options = {**ours.targetoptions, "no_cpython_wrapper": False}
    monkeypatch.setitem(globals(), "of_block", plain)
    assert "NRT_incref" in llvm_of(numba.njit(summed))
    monkeypatch.setitem(globals(), "of_block", ours)
    assert "NRT_incref" not in llvm_of(numba.jit(**options)(summed))
