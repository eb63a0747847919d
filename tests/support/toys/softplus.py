"""A toy network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from engine.networks import End, NetworkKeys

if TYPE_CHECKING:
    from torch import nn


class SoftplusNetwork(NetworkKeys):
    """One hidden layer of softplus units between one input and one output."""

    kind: Literal["softplus"]
    units: PositiveInt

    @property
    def takes(self) -> End:
        return End(1, "kind", "is softplus, which takes one value")

    @property
    def gives(self) -> End:
        return End(1, "kind", "is softplus, which gives one value")

    @property
    def parameter_count(self) -> int:
        return 3 * self.units + 1

    @property
    def words(self) -> str:
        return f"softplus 1-{self.units}-1"

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.Linear(1, self.units), nn.Softplus(), nn.Linear(self.units, 1))
