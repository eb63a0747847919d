"""What compiled code can train: fully connected networks, their losses, and tied strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.networks import DenseLayout, NetworkKeys


@dataclass(frozen=True)
class Layout(DenseLayout):
    """A fully connected network and its loss."""

    loss: Literal["mse", "l1", "cross_entropy"]
    """The loss of a sample."""


@dataclass(frozen=True)
class Tie:
    """The tethers of a string as compiled code takes them (see `engine.steps.tethers`)."""

    hard: bool = False
    """Whether inner beads keep to the hyperplane equidistant from their neighbours."""
    kappa: float = 0.0
    """The loss per unit of distance from the equidistant hyperplane."""
    zeta: float = 0.0
    """The loss per unit of distance between neighbours."""


def fused_layout(network: NetworkKeys, loss: object) -> Layout | None:
    """Returns the layout of a spec's network and loss, or None without compiled code for them."""
    layout = network.layout
    if layout is None or loss not in ("mse", "l1", "cross_entropy"):
        return None
    return Layout(layout.sizes, layout.bias, layout.activation, layout.output_activation, loss)
