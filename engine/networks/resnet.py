"""A small residual network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.networks.base import End, Init, NetworkKeys, NormName
from engine.networks.cnn import ImageShape, image_end
from engine.part import MOST_LAYERS, Size

if TYPE_CHECKING:
    from torch import nn


class ResNetwork(NetworkKeys):
    """A small residual network: stages of blocks of two convolutions, halved in between."""

    kind: Literal["resnet"]
    input: ImageShape
    """The shape of a sample: (channels, height, width)."""
    widths: Annotated[tuple[Size, ...], Field(min_length=1, max_length=MOST_LAYERS)] = (16, 32, 64)
    """Channels of each stage."""
    blocks: Annotated[int, Field(gt=0, le=MOST_LAYERS)] = 1
    """Number of blocks of each stage."""
    norm: NormName = "batch"
    """Whether each convolution is normalized over the batch or over the sample."""
    outputs: Size
    """Number of values that the network returns."""
    init: Init = "torch"
    """How fresh weights are drawn: as torch draws them, as He et al. do, or by a truncated normal
    distribution."""

    @property
    def takes(self) -> End:
        """The input end: the values of one image."""
        return image_end(self.input)

    @property
    def gives(self) -> End:
        """The output end, whose size is the key `outputs`."""
        return End(self.outputs, "outputs", f"is {self.outputs}")

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers.

        Convolutions have no biases, but each is followed by a normalization, which has two numbers
        a channel.
        """
        first, last = self.widths[0], self.widths[-1]
        count = 9 * self.input[0] * first + 2 * first
        for i, o, stride in residual_blocks(self):
            count += 9 * (i + o) * o + 4 * o
            if (i, stride) != (o, 1):
                count += i * o + 2 * o
        return count + self.outputs * (last + 1)

    @property
    def words(self) -> str:
        """The stages, as in "resnet 16-32-64, 1 block each"."""
        blocks = "1 block" if self.blocks == 1 else f"{self.blocks} blocks"
        return f"resnet {'-'.join(map(str, self.widths))}, {blocks} each"

    def build(self) -> nn.Module:
        """Returns a module with fresh weights, drawn from torch's global generator."""
        from engine.networks.modules.resnet import ResNet

        return ResNet(self)


def residual_blocks(network: ResNetwork) -> Iterator[tuple[int, int, int]]:
    """Yields, for each block, the channels into it, those out of it, and its first stride."""
    channels = network.widths[0]
    for stage, width in enumerate(network.widths):
        for block in range(network.blocks):
            yield channels, width, 2 if stage > 0 and block == 0 else 1
            channels = width
