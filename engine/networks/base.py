"""The base of all kinds of networks: what the engine asks of each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Discriminator, PositiveFloat, Tag

from engine.networks.layout import DenseLayout
from engine.part import Part

if TYPE_CHECKING:
    from torch import nn

ActivationName = Literal["relu", "sigmoid", "tanh"]

NormName = Literal["batch", "layer"]
"""The samples over which a convolution is normalized: those of the batch, or each by itself."""

InitName = Literal["torch", "he"]
"""The way in which fresh weights are drawn: as torch's layers draw theirs, or as He et al. do."""


class TruncatedNormal(Part):
    """Fresh weights as TensorFlow's tutorials draw them: normal numbers without the far ones.

    The normal distribution is cut off at twice its deviation on both sides, and so the numbers that
    are left have 0.88 times that deviation.
    """

    kind: Literal["truncated_normal"]
    """The name of the distribution."""
    deviation: PositiveFloat
    """The standard deviation of the normal distribution before it is cut off."""
    biases: float = 0.0
    """The number that all biases begin at."""


def _branch_of_init(value: object) -> str:
    """Returns the name of the branch of `Init` that a value is meant for."""
    return "TruncatedNormal" if isinstance(value, dict | TruncatedNormal) else "a word"


Init = Annotated[
    Annotated[InitName, Tag("a word")] | Annotated[TruncatedNormal, Tag("TruncatedNormal")],
    Discriminator(_branch_of_init),
]
"""The way in which fresh weights are drawn, by a word or with numbers of one's own."""

Reads = Literal["values", "tokens", "anything"]
"""The kind of samples that a network takes: values, token numbers, or whatever the data are."""

Shape = tuple[int, ...]
"""The shape of one sample within a network: (channels, height, width), or (units,)."""


@dataclass(frozen=True)
class End:
    """An end of a network, where samples go in or outputs come out, as its keys give it."""

    size: int
    """The number of values that one sample has there, or one token."""
    key: str
    """The key of `problem.network` to change where the size does not fit the data."""
    said: str
    """A clause that says what that key is now: "is 10", "the last size is 10"."""


class NetworkKeys(Part):
    """The keys of one kind of network, and what the engine asks of that kind.

    Each kind is a subclass in a file of its own, listed in `engine.networks.KINDS`. A file imports
    torch only within `build`; the class of its module stands in `engine.networks.modules`.
    """

    if TYPE_CHECKING:
        # Each kind declares its own, a Literal, in the place where run.yaml is to show it.
        kind: str

    reads: ClassVar[Reads] = "values"
    """The kind of samples that the network takes."""

    @property
    @abstractmethod
    def takes(self) -> End | None:
        """The end that takes samples, or None where the keys do not give it a size."""

    @property
    @abstractmethod
    def gives(self) -> End | None:
        """The end that gives outputs, or None where only the module knows its size."""

    @property
    @abstractmethod
    def parameter_count(self) -> int | None:
        """The number of trained numbers, or None where only the module knows it.

        Raises InputError as `check` does.
        """

    @property
    @abstractmethod
    def words(self) -> str:
        """The network's sizes in a few words: "64-32-10", or "1×28×28, conv 32, pool, 10"."""

    @property
    def drops(self) -> bool:
        """Whether the keys ask for values to be dropped at random in steps of training."""
        return False

    @property
    def recomputed(self) -> tuple[str, ...]:
        """The names of the modules whose inner values a gradient computes again."""
        return ()

    @property
    def layout(self) -> DenseLayout | None:
        """The network as fully connected layers, or None where it is not of that structure.

        Networks that have one are trained by compiled code, and their hidden units can be swapped.
        """
        return None

    def check(self) -> None:
        """Raises InputError where a layer does not fit what the layers before it leave."""
        return None

    @abstractmethod
    def build(self) -> nn.Module:
        """Returns a module with fresh weights, drawn from torch's global generator.

        Raises InputError as `check` does, and where a function of the user's own fails.
        """
