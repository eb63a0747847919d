"""Counts what searches ask of acted GPUs, step by step: launches, waits, and copies between them.

`python -m tests.support.launches [1,2,8]` prints the table of docs/gpus.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from engine.run.job import Job
from engine.run.prepare import prepare
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from engine.workers import pool as pools
from engine.workers.pool import open_pool
from tests.support.acted.cuda import acted
from tests.support.acted.machine import Machine

ADAM = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 600, "check_every": 10}


def preset(method: str, device: str, **search: Any) -> dict[str, Any]:
    """A search of a second or so on acted GPUs."""
    data: dict[str, Any] = {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 20}
    network: dict[str, Any] = {"kind": "mlp", "sizes": [1, 4, 4, 1], "activation": "tanh"}
    if method == "linear":
        data = {"kind": "linear_map", "features": 3, "outputs": 2, "samples": 20, "noise": 0.1}
        network = {"kind": "linear", "sizes": [3, 4, 2]}
    return {
        "problem": {"data": data, "network": network, "loss": "mse"},
        "endpoints": ADAM,
        "search": {
            "method": method,
            "level": {"linear": 0.1, "constrained": 0.04}.get(method, 0.03),
            "batching": "vmap",
            "certify": "off",
            "greedy": ADAM | {"grid": 9},
            "constrained": ADAM | {"max_beads": 9, "grid": 9},
        }
        | search,
        "device": device,
        "workers": 1,
        "seed": 3,
    }


@dataclass(frozen=True)
class Asked:
    """What the steps of a phase of a search asked of the devices."""

    steps: int
    """The number of steps."""
    launches: int
    """The kernels, or graphs, that the host launched in a typical step."""
    waits: int
    """How often the host waited for a device in a typical step."""
    most_waits: int
    """How often it did so where it did it most."""
    between: int
    """The copies from one device to another in a typical step."""

    @property
    def cells(self) -> str:
        """Three cells of a table."""
        return f"{self.launches} | {self.waits} ({self.most_waits}) | {self.between}"


def asked_of(machine: Machine, spec: Spec) -> dict[str, Asked]:
    """Searches on acted GPUs, and returns what each phase asked of them, by its name."""
    sums: dict[str, list[Mapping[str, int]]] = {}
    prepared = prepare(spec)
    with open_pool(prepared.backend, prepared.spec) as pool:
        method = Job.on(pool, prepared.spec).method
        while method.verdict is None:
            phase = method.phase
            machine.count_anew()
            method.step(None)
            sums.setdefault(phase, []).append(machine.counts.sums)
    assert not machine.counts.races, dict(machine.counts.races)
    return {phase: _of(each) for phase, each in sums.items()}


def _of(steps: list[Mapping[str, int]]) -> Asked:
    """Returns what is told of the steps of a phase."""
    return Asked(
        len(steps),
        round(median(each["launches"] for each in steps)),
        round(median(each["syncs"] for each in steps)),
        max(each["syncs"] for each in steps),
        round(median(each["copies between devices"] for each in steps)),
    )


#: Steps so short that a phase has many rounds, most of which are alike.
SHORT = ADAM | {"optimizer": {"kind": "adam", "lr": 0.003}, "batch_size": 7}
SHORTENED = {"shorten": True, "shortening": {"doublings": 0, "sweeps": 3}}
#: What is counted: the method, and keys of its search.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    f"{name}, {way}": (method, keys | {"batching": way})
    for name, method, keys in (
        ("greedy", "greedy", {"greedy": SHORT | {"grid": 9}}),
        ("shortened", "greedy", {"greedy": SHORT | {"grid": 9}} | SHORTENED),
        ("constrained", "constrained", {"constrained": SHORT | {"max_beads": 9, "grid": 9}}),
        ("auto", "auto", {"greedy": SHORT | {"grid": 9}}),
        ("linear", "linear", {}),
    )
    for way in ("vmap", "graph")
}


def main() -> None:
    """Prints a line for each case and each phase of it."""
    pools.WORTH_A_GPU = 1  # the few beads of these searches are shared out as many are elsewhere
    counts = [int(word) for word in (sys.argv[1:] or ["1,2,8"])[0].split(",")]
    columns = [
        f"{each} × {count}" for count in counts for each in ("launches", "waits (most)", "copies")
    ]
    print("| search | phase | " + " | ".join(columns) + " |")
    print("|" + "---|" * (2 + len(columns)))
    for name, (method, keys) in CASES.items():
        found = []
        for count in counts:
            with acted(count) as machine:
                device = ",".join(f"cuda:{number}" for number in range(count))
                tree = preset(method, device, **keys) | {"endpoints": SHORT}
                found.append(asked_of(machine, parse(tree)))
        for phase in found[0]:
            known = [each.get(phase) for each in found]
            cells = ["– | – | –" if asked is None else asked.cells for asked in known]
            print(f"| {name} | {phase} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
