"""Products on a GPU are rounded only where a preset asks for it."""

from __future__ import annotations

import pytest
import torch

from engine.workers.pool import open_pool
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.workers import vmapped


@pytest.mark.parametrize(("precision", "rounded"), [("float32", False), ("tf32", True)])
def test_tf32_is_used_where_it_is_asked_for(precision: str, rounded: bool) -> None:
    spec = spec_for(0.3).model_copy(update={"precision": precision, "device": "cpu", "workers": 1})
    try:
        with open_pool(vmapped(landscape(ring)), spec):
            assert torch.backends.cuda.matmul.allow_tf32 is rounded
            assert torch.backends.cudnn.allow_tf32 is rounded
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
