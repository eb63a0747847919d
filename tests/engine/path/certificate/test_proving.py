"""Proofs of segments as work for the pool, and what is said before."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("numba")

from engine.path.certificate.jit import entry, is_compiled
from engine.path.certificate.layers import Layers
from engine.path.certificate.proving import Prove, proven
from engine.problem.problem import build_problem
from tests.support.preset import spec_of
from tests.support.provable import provable_of
from tests.support.workers import Here, vmapped


def test_what_is_compiled_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this process, or by one before it that kept it; not where nothing can be kept."""
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "empty"))

    def twice(x: float) -> float:
        return x + x

    first, second = entry(twice), entry(twice)
    assert not is_compiled(first) and not is_compiled(second)
    assert first(3.0) == 6
    assert is_compiled(first) and is_compiled(second)
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "other"))
    assert is_compiled(first) and not is_compiled(second)


def told(compiled: bool, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> str:
    """Returns what is said before a segment of a network is proven."""
    monkeypatch.setattr(Layers, "is_compiled", property(lambda self: compiled))
    x = torch.ones(2, 1, dtype=torch.float64)
    net = provable_of(nn.Linear(1, 1), "mse", x, x)
    beads = [torch.zeros(2), torch.ones(2)]
    pool = Here(vmapped(build_problem(spec_of().problem)))
    log.clear()
    with log.at_level(logging.INFO, "engine"):
        found = proven(pool, Prove(net, 2.0), list(pairwise(beads)))
    assert found[0].proof.proven
    return log.text


def test_a_proof_that_compiles_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = told(False, monkeypatch, caplog)
    assert "WARNING" in said and "compiling for this machine, once" in said
    assert told(True, monkeypatch, caplog) == ""


def test_nothing_is_said_where_tensors_prove(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.path.certificate.layers.WIDEST", 0)
    assert told(False, monkeypatch, caplog) == ""
