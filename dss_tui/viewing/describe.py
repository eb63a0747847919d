"""Describes presets in words and numbers."""

from __future__ import annotations

from rich.text import Text

from dss_tui.viewing.words import thousands
from engine.data import counts
from engine.errors import InputError
from engine.part import functions_in
from engine.spec.catalogue import Listed
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.problem import CustomLoss, Data, Loss, Network, WeightedCrossEntropy


def preset(name: str, spec: Spec) -> Text:
    """Returns a description of a preset in a few lines."""
    limits = spec.limits
    bounds = [
        f"{thousands(count) if isinstance(count, int) else f'{count:g}'} {what}"
        for what, count in (
            ("beads", limits.beads),
            ("bead-steps", limits.steps),
            ("s", limits.seconds),
        )
        if count is not None
    ]
    rows = [
        ("network", network(spec.problem.network)),
        ("data", data(spec.problem.data)),
        ("loss", loss(spec.problem.loss)),
        ("level", level(spec)),
        ("training", training(spec)),
        ("search", method(spec)),
        ("limits", ", ".join(bounds) or "none"),
    ]
    told = Text.assemble((name, "bold"), f"\n{spec.description}\n")
    for label, text in rows:
        told.append(f"\n{label:<9}", "dim").append(text)
    return told


def broken(entry: Listed) -> Text:
    """Returns where a preset lies that cannot be read as one."""
    return Text.assemble((entry.name, "bold"), f"\n{entry.path}\n\nE opens it in your editor")


def level(spec: Spec) -> str:
    """Returns the level, the objective, and the tolerance where there is one."""
    search = spec.search
    tolerance = f", tolerance {search.tolerance:g}" if search.tolerance else ""
    return f"{search.level_words} on the {search.level_on.words}{tolerance}"


def network(spec: Network) -> str:
    """Returns a network's sizes and its number of parameters, where that is known."""
    count = spec.parameter_count
    return spec.words + ("" if count is None else f", {thousands(count)} parameters")


def data(spec: Data) -> str:
    """Returns the kind of a data set and its numbers of samples, as far as they are known.

    Why they are not is told by the check of the preset.
    """
    for function in functions_in(spec):
        return f"what {function} returns"
    try:
        train, held_out = counts(spec)
    except InputError:
        return f"{spec.kind}, not readable here"
    said = f"{spec.kind}, {thousands(train)} to train + {thousands(held_out)}"
    note = spec.caveat()
    return said if note is None else f"{said}; {note}"


def loss(spec: Loss) -> str:
    """Returns the name of a loss, or of the function that makes it."""
    match spec:
        case CustomLoss(factory=factory):
            return f"what {factory} returns"
        case WeightedCrossEntropy(kind=kind):
            return f"{kind}, with weights of classes"
        case str():
            return spec


def method(spec: Spec) -> str:
    """Returns the method of a search, its main setting, and the kind of its ends."""
    search = spec.search
    detail = METHODS[search.method].words.format(s=search)
    start = "" if spec.endpoints.kind == "random" else f", {spec.endpoints.kind} endpoints"
    return f"{search.method}: {detail}{start}" + (", shortened" if search.shorten else "")


def training(spec: Spec) -> str:
    """Returns the optimizer, its learning rate, what changes it, and the batches of training."""
    how = spec.search.greedy
    parts = [how.optimizer.kind, f"lr {how.optimizer.lr:g}"]
    if how.schedule.kind != "constant":
        parts.append(how.schedule.kind)
    if how.optimizer.weight_decay:
        parts.append(f"weight decay {how.optimizer.weight_decay:g}")
    batches = f"{'growing ' * how.grow_batch}batches of {how.batch_size}"
    parts.append("all data" if how.batch_size == "full" else batches)
    return ", ".join(parts)
