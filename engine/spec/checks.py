"""Checks that the parts of a spec fit each other. This module imports no torch."""

from __future__ import annotations

from engine.data import Dataset, load_data
from engine.data.base import IGNORED
from engine.devices.memory import GIB, host_memory
from engine.errors import InputError
from engine.networks import DenseLayout, NetworkKeys
from engine.networks.linear import check_linear_sizes
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.problem import CustomLoss, Loss, ProblemSpec, WeightedCrossEntropy
from engine.spec.stages import stages_of
from engine.spec.training import Endpoints

__all__ = ["check_fit", "check_level_on", "check_method", "check_quickly"]

#: The kinds of networks to choose for each kind of samples.
READERS = {"tokens": "lstm", "values": "mlp or cnn"}


def check_quickly(spec: ProblemSpec) -> None:
    """Makes those checks of `check_fit` that take a moment and run no code of the user's own.

    Raises InputError where a network's layers do not fit each other, files of the data are missing,
    or network and loss do not fit data that are quickly read.
    """
    if spec.data.quick:
        check_fit(spec, load_data(spec.data))
    else:
        spec.network.check()
        spec.data.stored_counts()


def check_fit(spec: ProblemSpec, data: Dataset) -> None:
    """Raises InputError where the network's ends or the loss do not fit the data."""
    network = spec.network
    network.check()
    _check_memory(network)
    _check_targets(spec.loss, data)
    samples = "tokens" if data.reads == "tokens" else "values"
    if data.x.dtype.names is not None and network.reads != "anything":
        raise InputError(
            f"is {network.kind}, but the data have several inputs; choose custom",
            key="problem.network.kind",
        )
    if network.reads not in (samples, "anything"):
        raise InputError(
            f"is {network.kind}, but the data are {samples}; choose {READERS[samples]}",
            key="problem.network.kind",
        )
    _check_class_weights(spec, data)
    _check_ends(network, data)


def _check_memory(network: NetworkKeys) -> None:
    """Raises InputError where a single model takes more memory than there is."""
    weights, memory = network.parameter_count, host_memory()
    if weights is not None and memory is not None and 4 * weights > memory.total:
        raise InputError(
            f"has {weights} weights, {4 * weights / GIB:.1f} GiB, but this machine has "
            f"{memory.total / GIB:.1f} GiB of memory; take smaller layers",
            key="problem.network",
        )


def _check_targets(loss: Loss, data: Dataset) -> None:
    """Raises InputError where a loss of ours does not take the targets."""
    if isinstance(loss, CustomLoss):
        return
    name = loss if isinstance(loss, str) else loss.kind
    if data.y.dtype.kind in "iub" and data.classes is None:
        raise InputError(
            f"is {name}, but y holds whole numbers below 0, and classes are numbered from 0; let y "
            f"be {IGNORED} where cross_entropy is to pass over a sample, give a loss of your own, "
            "or let y hold values for mse or l1 (problem.data.targets: values)",
            key="problem.loss",
        )
    if name != "cross_entropy" and data.ignores:
        raise InputError(
            f"is {name}, but y holds {IGNORED}, the class of samples that only cross_entropy "
            "passes over; choose it, leave them out, or let y hold values "
            "(problem.data.targets: values)",
            key="problem.loss",
        )
    if name == "cross_entropy" and data.classes is None:
        raise InputError(
            "is cross_entropy, but y holds values, not classes; choose mse or l1",
            key="problem.loss",
        )
    if name != "cross_entropy" and data.classes is not None and data.y.ndim > 1:
        raise InputError(
            f"is {name}, but y holds several classes or tokens a sample; choose cross_entropy, or "
            "let y hold values",
            key="problem.loss",
        )


def _check_class_weights(spec: ProblemSpec, data: Dataset) -> None:
    """Raises InputError where the loss does not have a weight for each class of the data."""
    if isinstance(spec.loss, WeightedCrossEntropy):
        given, needed = len(spec.loss.class_weights), data.classes
        if given != needed:
            raise InputError(
                f"has {given} weights, but the data have {needed} classes; give one for each",
                key="problem.loss.class_weights",
            )


def _check_ends(network: NetworkKeys, data: Dataset) -> None:
    """Raises InputError where the network takes or gives another number of values than the data."""
    for end, needed, what in (
        (network.takes, data.features, "features"),
        (network.gives, data.outputs, "outputs"),
    ):
        if end is not None and end.size != needed:
            raise InputError(
                f"{end.said}, but the data have {needed} {what}; make it {needed}",
                key=f"problem.network.{end.key}",
            )


def check_level_on(spec: Spec, classes: int | None, held_out: int) -> None:
    """Raises InputError where the level is held against what the data do not have.

    `classes` is the number of classes that the network scores, or None; `held_out` is the number of
    samples held out.
    """
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
    level = spec.search.number
    if on.metric == "error_rate" and level is not None and level >= 1:
        raise InputError(
            f"is {level:g}, but an error rate is a share: 0.02 is 2 %",
            key="search.level",
        )
    if on.metric == "perplexity" and spec.problem.loss != "cross_entropy":
        raise InputError(
            "is perplexity, which is that of a cross_entropy; choose loss",
            key="search.level_on.metric",
        )


def check_method(spec: Spec) -> None:
    """Raises InputError where the method or the endpoints need a network of another structure."""
    layout, kind = spec.problem.network.layout, spec.problem.network.kind
    closed = spec.search.method == "linear" or spec.endpoints.kind == "permuted"
    if spec.path_parameters is not None and closed:
        raise InputError(
            "is given, but search.method linear and permuted endpoints move all parameters; leave "
            "it out, or choose others",
            key="path_parameters",
        )
    _check_level(spec)
    _check_inner_beads(spec)
    _check_average(spec)
    _check_growth(spec)
    if spec.search.method == "linear" and spec.search.string is None:
        if layout is None or not layout.linear:
            raise InputError(
                f"is linear, but the network is of kind {kind}; choose greedy, "
                "constrained or auto, or problem.network.kind: linear",
                key="search.method",
            )
        check_linear_sizes(layout.sizes)
    if spec.endpoints.kind == "permuted":
        if layout is None:
            raise InputError(
                f"is permuted, but the network is of kind {kind}; choose random, or "
                "problem.network.kind: mlp",
                key="endpoints.kind",
            )
        _check_swap(spec.endpoints.swap, layout)


def _check_level(spec: Spec) -> None:
    """Raises InputError where a level that comes about in the search cannot do so."""
    search, ends = spec.search, spec.endpoints
    if search.number is not None:
        return
    asked = "lowest" if search.level == "lowest" else "a multiple of the ends"
    if not ends.held and search.string is None:
        raise InputError(
            f"is {asked}, but the ends are trained until they reach a share of the level; choose "
            "endpoints.until: epochs, or endpoints.kind: files",
            key="search.level",
        )
    if search.level != "lowest":
        return
    if search.tolerance:
        raise InputError(
            f"is {search.tolerance:g}, but a lowest level is looked for to search.resolution; "
            "choose 0",
            key="search.tolerance",
        )
    if search.min_inner_beads:
        raise InputError(
            f"is {search.min_inner_beads}, but a lowest level takes the beads that lower it; "
            "choose 0",
            key="search.min_inner_beads",
        )


def _check_swap(swap: tuple[int, int], layout: DenseLayout) -> None:
    """Raises InputError where these are not two hidden units of the first hidden layer."""
    widths = layout.sizes[1:-1]
    if not widths:
        raise InputError(
            "is permuted, but the network has no hidden layer; choose random",
            key="endpoints.kind",
        )
    if max(swap) >= widths[0] or len(set(swap)) < 2:
        raise InputError(
            f"is {list(swap)}; name two different hidden units from 0 to {widths[0] - 1}",
            key="endpoints.swap",
        )


def _check_average(spec: Spec) -> None:
    """Raises InputError where an average of ends is asked for and no stage trains ends alone."""
    method, together = spec.search.method, spec.endpoints.kind == "random"
    together = together and spec.endpoints.align is None
    for key in ("ema", "swa"):
        value = getattr(spec.endpoints, key)
        if value is not None and method == "constrained" and together:
            raise InputError(
                f"is {value:g}, but with search.method constrained the ends are trained as beads "
                "of the string; choose greedy or auto, or leave it null",
                key=f"endpoints.{key}",
            )


def _check_growth(spec: Spec) -> None:
    """Raises InputError where mini-batches are to grow, and something counts in equal ones."""
    for key, training in stages_of(spec).by_key.items():
        if not training.grow_batch:
            continue
        if key == "search.constrained":
            reason = "the beads of a string take their steps together; leave it out there"
        elif training.schedule.unit == "epochs":
            reason = "passes then differ in length; let the schedule's unit be steps"
        elif training.drop_last:
            reason = "its steps walk round the samples without an end; leave drop_last out"
        elif isinstance(training, Endpoints) and (training.until, training.swa) != ("level", None):
            reason = "epochs are then of no equal length; choose until: level, without swa"
        else:
            continue
        raise InputError(f"is true, but {reason}", key=f"{key}.grow_batch")


def _check_inner_beads(spec: Spec) -> None:
    """Raises InputError where another method, or too few beads, are asked for as well."""
    wanted, method, most = spec.search.min_inner_beads, spec.search.method, spec.limits.beads
    if not wanted:
        return
    if not METHODS[method].splits:
        raise InputError(
            f"is {wanted}, but search.method is {method}, which decides by itself where beads go; "
            "choose 0, or search.method: greedy or auto",
            key="search.min_inner_beads",
        )
    if most is not None and wanted + 2 > most:
        raise InputError(
            f"is {wanted}, but limits.beads allows {most} beads, the two ends included; choose at "
            f"most {most - 2}, or raise limits.beads",
            key="search.min_inner_beads",
        )
