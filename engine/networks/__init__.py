"""Networks as plain modules: what a spec names, built with fresh random weights."""

from __future__ import annotations

from torch import nn

from engine.networks.linear import DeepLinear
from engine.networks.mlp import Mlp
from engine.spec import LinearNetwork, MlpNetwork, Network

__all__ = ["build_network"]


def build_network(spec: Network) -> nn.Module:
    """Draws its weights from torch's global generator."""
    match spec:
        case LinearNetwork():
            return DeepLinear(spec.sizes)
        case MlpNetwork():
            return Mlp(spec)
