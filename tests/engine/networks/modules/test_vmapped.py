"""Whether a module runs under vmap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import vmap

from engine.networks.modules.vmapped import under_vmap


def test_vmap_is_noticed_through_other_transforms() -> None:
    seen = []

    def look(w: Tensor) -> Tensor:
        seen.append(under_vmap(w))
        return w.square().sum()

    w = torch.ones(2, 3)
    look(w)
    vmap(look)(w)
    torch.func.grad(look)(w)
    vmap(torch.func.grad(look))(w)
    torch.func.grad(lambda w: vmap(look)(w).sum())(w)
    assert seen == [False, True, False, True, True]
    assert under_vmap(w, w[0]) is False
