"""Networks as plain modules: what a spec names, built with fresh random weights."""

from __future__ import annotations

from torch import nn

from engine.networks.cnn import Cnn
from engine.networks.linear import DeepLinear
from engine.networks.lstm import LanguageModel
from engine.networks.mlp import Mlp
from engine.networks.resnet import ResNet
from engine.spec.keys import (
    CnnNetwork,
    CustomNetwork,
    LinearNetwork,
    LstmNetwork,
    MlpNetwork,
    Network,
    ResNetwork,
)

__all__ = ["build_network"]


def build_network(spec: Network) -> nn.Module:
    """Draws its weights from torch's global generator. Raises InputError where it cannot."""
    match spec:
        case LinearNetwork():
            return DeepLinear(spec.sizes)
        case MlpNetwork():
            return Mlp(spec)
        case CnnNetwork():
            return Cnn(spec)
        case ResNetwork():
            return ResNet(spec)
        case LstmNetwork():
            return LanguageModel(spec)
        case CustomNetwork():
            from engine.networks.custom import build_custom

            return build_custom(spec)
