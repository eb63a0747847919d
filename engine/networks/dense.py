"""The base of the fully connected kinds of networks."""

from __future__ import annotations

from abc import abstractmethod

from engine.networks.base import End, NetworkKeys
from engine.networks.layout import DenseLayout


class DenseKeys(NetworkKeys):
    """The keys of a fully connected network, with a key `sizes`; its layout says the rest."""

    @property
    @abstractmethod
    def layout(self) -> DenseLayout:
        """The network as fully connected layers."""

    @property
    def takes(self) -> End:
        """The input end, whose size is the first of the sizes."""
        size = self.layout.sizes[0]
        return End(size, "sizes", f"the first size is {size}")

    @property
    def gives(self) -> End:
        """The output end, whose size is the last of the sizes."""
        size = self.layout.sizes[-1]
        return End(size, "sizes", f"the last size is {size}")

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases."""
        return self.layout.parameter_count

    @property
    def words(self) -> str:
        """The sizes, as in "64-32-10"."""
        return "-".join(map(str, self.layout.sizes))
