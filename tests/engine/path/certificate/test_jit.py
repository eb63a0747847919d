"""Functions of proofs where numba compiles them, and where it is told not to."""

from __future__ import annotations

import pytest

pytest.importorskip("numba")

from engine.path.certificate.jit import is_compiled


def test_a_function_that_stays_pythons_needs_no_compiler() -> None:
    """With NUMBA_DISABLE_JIT numba returns functions as they are."""
    assert is_compiled(abs)
