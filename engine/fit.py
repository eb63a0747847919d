"""Whether the parts of a problem fit each other, and how large it is. No torch here."""

from __future__ import annotations

from itertools import pairwise

from engine.data import Dataset
from engine.errors import InputError
from engine.spec import LinearNetwork, Network, ProblemSpec


def parameter_count(network: Network) -> int:
    """Weights and biases of a network."""
    bias = not isinstance(network, LinearNetwork) and network.bias
    return sum(o * (i + bias) for i, o in pairwise(network.sizes))


def check_fit(spec: ProblemSpec, data: Dataset) -> None:
    """Raises InputError where the network's ends or the loss do not fit the data."""
    sizes = spec.network.sizes
    if spec.loss == "cross_entropy" and data.classes is None:
        raise InputError(
            "is cross_entropy, but y holds values, not classes; choose mse or l1",
            key="problem.loss",
        )
    ends = (
        ("first", sizes[0], data.features, "features"),
        ("last", sizes[-1], data.outputs, "outputs"),
    )
    for end, size, needed, what in ends:
        if size != needed:
            raise InputError(
                f"the {end} size is {size}, but the data have {needed} {what}; make it {needed}",
                key="problem.network.sizes",
            )
