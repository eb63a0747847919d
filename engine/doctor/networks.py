"""Whether each kind of network is computed, stopped and resumed as it should be, on each device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.backends.backend import Way
from engine.doctor.arithmetic import ROUNDING, Errors, errors_of
from engine.doctor.findings import REPORT, Finding, State, plainly
from engine.doctor.resuming import resumed
from engine.doctor.searches import search_of
from engine.errors import listed
from engine.run.choosing import Impossible
from engine.run.prepare import prepare
from engine.workers.pool import open_pool

#: The backends that may compute on the CPU, and on GPUs.
ON_CPU: tuple[Way, ...] = ("fused", "vmap", "loop")
ON_GPUS: tuple[Way, ...] = ("triton", "vmap", "graph", "loop")
#: The backends that compute fully connected networks alone, and the kind of these.
DENSE: tuple[Way, ...] = ("fused", "triton")
DENSE_KIND = "mlp"


@dataclass(frozen=True)
class Tried:
    """A backend that was tried with a kind of network on some devices."""

    backend: Way
    errors: Errors | None = None
    """How far it is from float64; None where it failed."""
    resumed: float = 0.0
    """How far a search that was stopped and resumed is from one that was not; 0: the same bits."""
    failure: str = ""
    """The sentence of the exception with which it failed."""
    refusal: str = ""
    """Why it does not compute such networks there, where it is refused before anything is tried."""

    def fault(self, devices: str) -> str:
        """Returns what is wrong with it, or an empty text."""
        if self.failure or self.errors is None:
            return self.failure
        name, worst = self.errors.worst
        if not worst <= ROUNDING:
            return f"{name} differ from float64 by {worst:.0e}"
        if self.resumed > (0.0 if devices == "cpu" else ROUNDING):
            return f"a search that was stopped and resumed differs by {self.resumed:.0e}"
        return ""


def network(kind: str, devices: str) -> Iterator[Finding]:
    """Yields how a kind of network does on some devices, with every backend that may compute there.

    The reason is told for which a backend is refused. That makes it a note, unless the backend is
    made for another kind of network.
    """
    every = list(_backends(kind, devices))
    refused = [each for each in every if each.refusal]
    tried = [each for each in every if not each.refusal]
    faults: dict[str, list[Way]] = {}
    for each in tried:
        faults.setdefault(each.fault(devices), []).append(each.backend)
    well = faults.pop("", [])
    told = [f"{listed(ways)}: {fault}" for fault, ways in faults.items()] or [_words(tried)]
    found = "; ".join([*told, *(f"not {each.backend}, because {each.refusal}" for each in refused)])
    state, remedy = State.OK, ""
    if faults:
        state, remedy = State.WRONG, _remedy(devices, well)
    elif any(kind == DENSE_KIND or each.backend not in DENSE for each in refused):
        state = State.NOTE
    yield Finding(f"{devices} {kind}", state, found, remedy, measured=_facts(every))


def _remedy(devices: str, well: list[Way]) -> str:
    """Returns what to do where backends are at fault, and `well` are those that are not."""
    if well:
        return f"set search.batching={well[0]} for such networks, and {REPORT}"
    first, *others = devices.split(",")
    return f"choose one of them, such as --device {first}, and {REPORT}" if others else REPORT


def _backends(kind: str, devices: str) -> Iterator[Tried]:
    """Yields what becomes of each backend that may compute on some devices."""
    for way in ON_CPU if devices == "cpu" else ON_GPUS:
        try:
            yield _tried(kind, devices, way)
        except Exception as error:
            yield Tried(way, failure=plainly(error))


def _tried(kind: str, devices: str, way: Way) -> Tried:
    """Returns what becomes of a backend that is not at fault. Raises whatever it fails with."""
    try:
        prepared = prepare(search_of(kind, devices, way))
    except Impossible as error:
        return Tried(way, refusal=error.why)
    with open_pool(prepared.backend, prepared.spec) as pool:
        return Tried(way, errors_of(pool, prepared.spec), resumed(prepared.spec, pool))


def _words(tried: list[Tried]) -> str:
    """Returns how well all backends agree."""
    names = listed([each.backend for each in tried], most=9)
    errors = [each.errors for each in tried if each.errors is not None]
    loss = max(max(each.loss, each.objective) for each in errors)
    gradient = max(each.gradient for each in errors)
    worst = max(each.resumed for each in tried)
    how = "to the same bits" if worst == 0 else f"within rounding ({worst:.0e})"
    return (
        f"{names}: losses to {loss:.0e}, gradients to {gradient:.0e} of float64; a stopped search "
        f"resumes {how}"
    )


def _facts(tried: list[Tried]) -> dict[str, float | str]:
    """Returns the numbers of all backends by names such as "vmap.gradient"."""
    facts: dict[str, float | str] = {}
    for each in tried:
        if each.refusal:
            facts[f"{each.backend}.refusal"] = each.refusal
            continue
        if each.failure or each.errors is None:
            facts[f"{each.backend}.failure"] = each.failure
            continue
        errors = each.errors
        for name in ("loss", "gradient", "objective"):
            facts[f"{each.backend}.{name}"] = getattr(errors, name)
        facts[f"{each.backend}.resumed"] = each.resumed
    return facts
