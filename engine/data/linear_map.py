"""Regression on a noisy linear map: what a deep linear network can learn (§2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeFloat

from engine.data.base import DataKeys, Dataset
from engine.errors import InputError
from engine.part import SeedInt, Size
from engine.seeds import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: The most numbers of the samples, and of A.
LARGEST = 2 * 10**7


class LinearMapData(DataKeys):
    """Samples of y = A x + noise, where A and x are standard normal.

    A is divided by the square root of the number of features. As many samples are held out as there
    are to train on.
    """

    kind: Literal["linear_map"]
    features: Size
    """Number of values of x."""
    outputs: Size
    """Number of values of y."""
    samples: Annotated[int, Field(ge=2, le=10**7)] = 200
    """The number of samples to train on."""
    noise: NonNegativeFloat = 0.1
    """The standard deviation of the noise."""
    seed: SeedInt = 0
    """The seed of A, x and noise. The run's own seed does not change the data."""

    def read(self) -> Dataset:
        """Returns x (sample, features) and y (sample, outputs).

        Raises InputError where that would be more than `LARGEST` numbers.
        """
        import numpy as np

        ends = self.features + self.outputs
        numbers = max(self.samples * ends, self.features * self.outputs)
        if numbers > LARGEST:
            raise InputError(
                f"have {numbers} numbers, more than the {LARGEST} that are made; take fewer "
                "samples, features or outputs",
                key="problem.data",
            )
        random = generator(self.seed, "linear map")
        matrix = random.standard_normal((self.outputs, self.features)) / self.features**0.5

        def draw() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            x = random.standard_normal((self.samples, self.features))
            y = x @ matrix.T + self.noise * random.standard_normal((self.samples, self.outputs))
            return x.astype(np.float32), y.astype(np.float32)

        return Dataset(*draw(), *draw(), classes=None)
