"""What a preset will do, in words and numbers."""

from __future__ import annotations

from functools import lru_cache

from rich.markup import escape

from dss_tui.words import thousands
from engine.data import load_data
from engine.errors import InputError
from engine.fit import check_fit, parameter_count
from engine.spec import Data, LinearNetwork, Network, Spec


def preset(name: str, spec: Spec) -> str:
    """A few lines of Textual markup. Raises InputError where the parts do not fit."""
    search, limits = spec.search, spec.limits
    check_fit(spec.problem, _loaded(spec.problem.data))
    bounds = [
        f"{count} {what}"
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
        ("loss", spec.problem.loss),
        ("training", training(spec)),
        ("search", f"{search.method}, depth up to {search.greedy.max_depth}"),
        ("limits", ", ".join(bounds) or "none"),
    ]
    lines = [f"[b]{name}[/b]", escape(spec.description), ""]
    return "\n".join([*lines, *(f"[dim]{label:<9}[/dim]{escape(text)}" for label, text in rows)])


def network(spec: Network) -> str:
    sizes = "-".join(map(str, spec.sizes))
    count = f"{thousands(parameter_count(spec))} parameters"
    if isinstance(spec, LinearNetwork):
        return f"{sizes} linear, {count}"
    bias = "" if spec.bias else ", no biases"
    return f"{sizes} {spec.activation}{bias}, {count}"


def data(spec: Data) -> str:
    try:
        loaded = _loaded(spec)
    except InputError as error:
        return str(error)
    return f"{spec.kind}, {thousands(len(loaded.x))} to train + {thousands(len(loaded.x_held_out))}"


def training(spec: Spec) -> str:
    how = spec.search.greedy
    batch = "all data" if how.batch_size == "full" else f"batches of {how.batch_size}"
    return f"{how.optimizer.kind}, lr {how.optimizer.lr:g}, {batch}"


_loaded = lru_cache(maxsize=8)(load_data)
