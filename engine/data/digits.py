"""The handwritten digits that ship with the package (attribution in DIGITS.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Literal

from engine.data.base import DataKeys, Dataset
from engine.data.survey import State, Survey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DigitsData(DataKeys):
    """The 1 797 handwritten 8×8 digits that ship with the package: 1 437 to train, 360 held out."""

    kind: Literal["digits"]

    def read(self) -> Dataset:
        """Returns 64 pixels a sample, scaled to [0, 1], in ten classes."""
        import numpy as np

        place = resources.files("engine.data") / "digits.npz"
        with place.open("rb") as file, np.load(file) as held:

            def pixels(name: str) -> NDArray[np.float32]:
                return np.asarray(held[name], np.float32) / np.float32(16)

            return Dataset(
                x=pixels("x"),
                y=held["y"].astype(np.int64),
                x_held_out=pixels("x_test"),
                y_held_out=held["y_test"].astype(np.int64),
                classes=10,
            )

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        """Returns, for the digits, a function that counts them."""
        return {"digits": _survey}


def _survey() -> Survey:
    """Returns the survey of the digits, which are always complete."""
    data = DigitsData(kind="digits").read()
    arrays = (data.x, data.y, data.x_held_out, data.y_held_out)
    return Survey(
        "digits",
        "digits",
        "Handwritten digits, 8 × 8",
        State.SHIPPED,
        train=len(data.x),
        held_out=len(data.x_held_out),
        memory_bytes=sum(array.nbytes for array in arrays),
    )
