"""Networks: their keys, sizes and builders. Importing this package imports no torch.

Each kind is one file: a subclass of `NetworkKeys` with the kind's keys and what else the engine
asks of it. `KINDS` lists the kinds, and the keys of presets are built from that list. Only the
package `modules` imports torch, and only `build_network` imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.networks.base import End, NetworkKeys
from engine.networks.cnn import CnnNetwork
from engine.networks.custom import CustomNetwork
from engine.networks.layout import DenseLayout
from engine.networks.linear import LinearNetwork
from engine.networks.lstm import LstmNetwork
from engine.networks.mlp import MlpNetwork
from engine.networks.resnet import ResNetwork
from engine.part import Kinds

if TYPE_CHECKING:
    from torch import nn

__all__ = ["KINDS", "DenseLayout", "End", "NetworkKeys", "build_network"]

#: The kinds of networks.
KINDS: Kinds[NetworkKeys] = Kinds(
    LinearNetwork,
    MlpNetwork,
    CnnNetwork,
    ResNetwork,
    LstmNetwork,
    CustomNetwork,
)


def build_network(spec: NetworkKeys) -> nn.Module:
    """Returns the network of these keys, with fresh weights from torch's global generator.

    Raises InputError where a layer does not fit, and where a function of the user's own fails.
    """
    return spec.build()
