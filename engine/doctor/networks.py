"""Whether each kind of network is computed, stopped and resumed as it should be, on each device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from engine.backends.backend import Way
from engine.doctor.arithmetic import ROUNDING, Errors, errors_of
from engine.doctor.findings import REPORT, Finding, State, plainly
from engine.doctor.resuming import resumed
from engine.doctor.searches import search_of
from engine.errors import InputError, listed
from engine.run.prepare import prepare
from engine.workers.pool import open_pool


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
    """Yields how a kind of network does on some devices, with every backend that can compute it."""
    tried = list(_backends(kind, devices))
    faults: dict[str, list[Way]] = {}
    for each in tried:
        faults.setdefault(each.fault(devices), []).append(each.backend)
    well = faults.pop("", [])
    what = f"{devices} {kind}"
    if not faults:
        yield Finding(what, State.OK, _words(tried), measured=_facts(tried))
        return
    told = "; ".join(f"{listed(ways)}: {fault}" for fault, ways in faults.items())
    yield Finding(what, State.WRONG, told, _remedy(devices, well), measured=_facts(tried))


def _remedy(devices: str, well: list[Way]) -> str:
    """Returns what to do where backends are at fault, and `well` are those that are not."""
    if well:
        return f"set search.batching={well[0]} for such networks, and {REPORT}"
    first, *others = devices.split(",")
    return f"choose one of them, such as --device {first}, and {REPORT}" if others else REPORT


def _backends(kind: str, devices: str) -> Iterator[Tried]:
    """Yields what becomes of each backend that can compute a kind of network on some devices."""
    for way in get_args(Way):
        try:
            prepared = prepare(search_of(kind, devices, way))
        except InputError as error:
            if error.key == "search.batching":  # it does not compute such networks there
                continue
            yield Tried(way, failure=plainly(error))
            continue
        except Exception as error:
            yield Tried(way, failure=plainly(error))
            continue
        try:
            with open_pool(prepared.backend, prepared.spec) as pool:
                yield Tried(way, errors_of(pool, prepared.spec), resumed(prepared.spec, pool))
        except Exception as error:
            yield Tried(way, failure=plainly(error))


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
        if each.failure or each.errors is None:
            facts[f"{each.backend}.failure"] = each.failure
            continue
        errors = each.errors
        for name in ("loss", "gradient", "objective"):
            facts[f"{each.backend}.{name}"] = getattr(errors, name)
        facts[f"{each.backend}.resumed"] = each.resumed
    return facts
