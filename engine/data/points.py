"""A few samples written out in the preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.data.base import DataKeys, Dataset
from engine.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PointsData(DataKeys):
    """Samples written out in the preset; nothing is held out."""

    kind: Literal["points"]
    x: Annotated[tuple[tuple[float, ...], ...], Field(min_length=1)]
    """The inputs, a row for each sample."""
    y: Annotated[tuple[tuple[float, ...], ...], Field(min_length=1)]
    """The targets, a row for each sample."""

    def read(self) -> Dataset:
        """Returns x (sample, feature) and y (sample, output).

        Raises InputError where rows differ in length, or x and y in number.
        """
        x, y = _rows(self, "x"), _rows(self, "y")
        if len(x) != len(y):
            raise InputError(
                f"has {len(y)} rows, but x has {len(x)}; give a row of y for each of x",
                key="problem.data.y",
            )
        return Dataset(x, y, x[:0], y[:0], classes=None)


def _rows(spec: PointsData, name: Literal["x", "y"]) -> NDArray[np.float32]:
    """Returns the rows as an array. Raises InputError where they differ in length or overflow."""
    import numpy as np

    rows = spec.x if name == "x" else spec.y
    widths = {len(row) for row in rows}
    if len(widths) > 1 or 0 in widths:
        raise InputError(
            f"its rows have {sorted(widths)} values; make them equally long",
            key=f"problem.data.{name}",
        )
    values = np.array(rows)
    if abs(values).max() > np.finfo(np.float32).max:
        raise InputError("holds values too large for float32", key=f"problem.data.{name}")
    return values.astype(np.float32)
