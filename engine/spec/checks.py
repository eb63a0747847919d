"""Whether the parts of a spec fit each other, and how large its problem is. No torch here."""

from __future__ import annotations

from engine.data import Dataset, counts, load_data
from engine.errors import InputError
from engine.networks.sizes import (
    check_linear_sizes,
    check_network,
    input_size,
    output_size,
    parameter_count,
)
from engine.spec.keys import (
    CnnNetwork,
    CustomData,
    Images,
    LinearNetwork,
    LstmNetwork,
    MlpNetwork,
    Network,
    ProblemSpec,
    ResNetwork,
    Spec,
)

__all__ = ["check_fit", "check_level_on", "check_method", "check_quickly", "parameter_count"]

#: The keys of a network's ends.
ENDS = {
    "linear": ("sizes", "sizes"),
    "mlp": ("sizes", "sizes"),
    "cnn": ("input", "outputs"),
    "resnet": ("input", "outputs"),
    "lstm": ("vocabulary", "vocabulary"),
}


def check_quickly(spec: ProblemSpec) -> None:
    """`check_fit` as far as it goes without decoding images or running code of the user's own."""
    match spec.data:
        case Images():
            check_network(spec.network)
            counts(spec.data)
        case CustomData():
            check_network(spec.network)
        case _:
            check_fit(spec, load_data(spec.data))


def check_fit(spec: ProblemSpec, data: Dataset) -> None:
    """Raises InputError where the network's ends or the loss do not fit the data."""
    check_network(spec.network)
    if spec.loss == "cross_entropy" and data.classes is None:
        raise InputError(
            "is cross_entropy, but y holds values, not classes; choose mse or l1",
            key="problem.loss",
        )
    tokens = data.x.dtype.kind == "i"
    if isinstance(spec.network, LstmNetwork) != tokens and spec.network.kind != "custom":
        kind = "lstm" if tokens else "mlp or cnn"
        what = "tokens" if tokens else "values"
        raise InputError(
            f"is {spec.network.kind}, but the data are {what}; choose {kind}",
            key="problem.network.kind",
        )
    if tokens and spec.loss in ("mse", "l1"):
        raise InputError(
            f"is {spec.loss}, but the data are tokens; choose cross_entropy", key="problem.loss"
        )
    _check_ends(spec.network, data)


def _check_ends(network: Network, data: Dataset) -> None:
    first, last = ENDS.get(network.kind, ("", ""))
    ends = (
        ("first", first, input_size(network), data.features, "features"),
        ("last", last, output_size(network), data.outputs, "outputs"),
    )
    for end, key, size, needed, what in ends:
        if size is None or size == needed:
            continue
        said = f"the {end} size is {size}" if key == "sizes" else _said(network, key, size)
        raise InputError(
            f"{said}, but the data have {needed} {what}; make it {needed}",
            key=f"problem.network.{key}",
        )


def _said(network: Network, key: str, size: int) -> str:
    if isinstance(network, CnnNetwork | ResNetwork) and key == "input":
        return f"is {list(network.input)} = {size} values"
    return f"is {size}"


def check_level_on(spec: Spec, classes: int | None, held_out: int) -> None:
    """Raises InputError where the data have no such metric or no such split."""
    on = spec.search.level_on
    if on.split == "held_out" and not held_out:
        raise InputError(
            "is held_out, but the data hold nothing out; choose train",
            key="search.level_on.split",
        )
    if on.metric == "error_rate" and classes is None:
        raise InputError(
            "is error_rate, but y holds no classes, or the network gives no score for each; choose "
            "loss",
            key="search.level_on.metric",
        )
    if on.metric == "error_rate" and spec.search.level >= 1:
        raise InputError(
            f"is {spec.search.level:g}, but an error rate is a share: 0.02 is 2 %",
            key="search.level",
        )
    if on.metric == "perplexity" and spec.problem.loss != "cross_entropy":
        raise InputError(
            "is perplexity, which is that of a cross_entropy; choose loss",
            key="search.level_on.metric",
        )


def check_method(spec: Spec) -> None:
    """Raises InputError where the method or the endpoints ask for another network."""
    network, endpoints = spec.problem.network, spec.endpoints
    if spec.search.method == "linear" and spec.search.string is None:
        if not isinstance(network, LinearNetwork):
            raise InputError(
                f"is linear, but the network is of kind {network.kind}; choose greedy, "
                "constrained or auto, or problem.network.kind: linear",
                key="search.method",
            )
        check_linear_sizes(network.sizes)
    if endpoints.kind == "permuted":
        if not isinstance(network, LinearNetwork | MlpNetwork):
            raise InputError(
                f"is permuted, but the network is of kind {network.kind}; choose random, or "
                "problem.network.kind: mlp",
                key="endpoints.kind",
            )
        widths = network.sizes[1:-1]
        if not widths:
            raise InputError(
                "is permuted, but the network has no hidden layer; choose random",
                key="endpoints.kind",
            )
        if max(endpoints.swap) >= widths[0] or len(set(endpoints.swap)) < 2:
            raise InputError(
                f"is {list(endpoints.swap)}; name two different hidden units from 0 to "
                f"{widths[0] - 1}",
                key="endpoints.swap",
            )
