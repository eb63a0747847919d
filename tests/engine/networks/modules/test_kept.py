"""Tensors that forward keeps in attributes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.networks.modules.kept import Kept


class Keeping(nn.Module):
    """Keeps something at each call, in ways that `keep` names."""

    def __init__(self, keep: str) -> None:
        super().__init__()
        self.layer, self.keep = nn.Linear(2, 2), keep
        self.calls, self.one, self.several = 0, torch.zeros(1), [torch.ones(1)]
        self.named: dict[str, Any] = {"size": 3}

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        made = x.sum(0)
        match self.keep:
            case "new":
                self.made = made
            case "other":
                self.one = made
            case "list":
                self.several.append(made)
            case "dictionary":
                self.named["made"] = made
            case "number":
                self.last_size = len(x)
        return self.layer(x)  # type: ignore[no-any-return]


def test_what_holds_tensors_is_forgotten_and_nothing_else() -> None:
    for keep in ("new", "other", "list", "dictionary", "number", "nothing"):
        inner = Keeping(keep)
        network = nn.Sequential(nn.Tanh(), inner)
        before = inner.one
        kept = Kept(network)
        assert not kept.changed
        for _ in range(2):
            network(torch.ones(4, 2))
            assert kept.changed == (keep not in ("number", "nothing")), keep
            kept.restore()
            assert not kept.changed
        assert inner.one is before and not hasattr(inner, "made")
        assert len(inner.several) == 1 and inner.named == {"size": 3}
        assert inner.calls == 2


def test_parameters_and_buffers_are_no_attributes() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    kept = Kept(network)
    network(torch.randn(5, 2))
    network[0].weight = nn.Parameter(torch.zeros(2, 2))
    network.add_module("2", nn.Tanh())
    assert not kept.changed
