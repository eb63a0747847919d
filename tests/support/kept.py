"""What an older version left, read and gone on with through the command line."""

from __future__ import annotations

import contextlib
import hashlib
import runpy
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Program = Callable[..., tuple[int, str]]
"""Takes the words of a command line; returns its exit status and what it printed."""


def program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The command line in this process."""

    def called(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["dss-tui", *arguments])
        capsys.readouterr()
        try:
            runpy.run_module("dss_tui", run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        else:
            status = 0
        return status, capsys.readouterr().out

    return called


def same_machine(made: Mapping[str, str]) -> bool:
    """Whether bits are as where the fixtures were made."""
    import torch

    found = {
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }
    with contextlib.suppress(ImportError):
        import numba
        from llvmlite import binding

        found |= {"cpu": binding.get_host_cpu_name(), "numba": numba.__version__}
        features = sorted(name for name, on in binding.get_host_cpu_features().items() if on)
        found["features_sha256"] = hashlib.sha256(",".join(features).encode()).hexdigest()
    return all(found.get(key) == made[key] for key in ("cpu", "features_sha256", *found))


def digest(beads: NDArray[Any]) -> str:
    """The SHA-256 of the bytes of beads."""
    assert beads.dtype == np.float32
    return hashlib.sha256(np.ascontiguousarray(beads).tobytes()).hexdigest()
