"""A recurrent network that predicts the next token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from engine.networks.base import End, NetworkKeys, Reads
from engine.part import Size

if TYPE_CHECKING:
    from torch import nn


class LstmNetwork(NetworkKeys):
    """A recurrent network: an embedding, LSTM layers, and a linear layer to the logits."""

    kind: Literal["lstm"]
    vocabulary: Annotated[int, Field(ge=2, le=10**7)]
    """The number of tokens that are told apart."""
    embedding: Size = 64
    """Number of values that stand for a token."""
    hidden: Size = 64
    """Number of units of each LSTM layer."""
    layers: Annotated[int, Field(ge=1, le=2)] = 1
    """Number of LSTM layers."""
    init_scale: PositiveFloat | None = None
    """Fresh weights and biases are uniform from minus this to this; null: as torch draws them."""

    reads: ClassVar[Reads] = "tokens"

    @property
    def takes(self) -> None:
        """None, because a sample is a stretch of tokens of any length."""
        return None

    @property
    def gives(self) -> End:
        """The output end: one logit for each token of the vocabulary."""
        return End(self.vocabulary, "vocabulary", f"is {self.vocabulary}")

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases.

        A layer has four gates, each with two weight matrices and, as in torch, two biases.
        """
        hidden, vocabulary = self.hidden, self.vocabulary
        inputs = [self.embedding, hidden][: self.layers]
        gates = sum(4 * hidden * (i + hidden + 2) for i in inputs)
        return vocabulary * self.embedding + gates + vocabulary * (hidden + 1)

    @property
    def words(self) -> str:
        """The widths, as in "lstm 64-128, vocabulary 5 000"."""
        widths = [self.embedding, *[self.hidden] * self.layers]
        vocabulary = f"{self.vocabulary:,}".replace(",", " ")
        return f"lstm {'-'.join(map(str, widths))}, vocabulary {vocabulary}"

    def build(self) -> nn.Module:
        """Returns a module with fresh weights, drawn from torch's global generator."""
        from engine.networks.modules.lstm import LanguageModel

        return LanguageModel(self)
