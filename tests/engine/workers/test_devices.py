"""Devices: those that a spec names, what is free on them, and what float64 costs there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.errors import InputError
from engine.path.audit import Audit
from engine.workers.devices import float64_cost, free_bytes, resolve_devices, roomiest
from engine.workers.pool import cores
from tests.support.acted.cuda import acted
from tests.support.acted.machine import GIB, Card, cards
from tests.support.landscapes import spec_for


def resolved(device: str) -> tuple[str, int | None]:
    spec = resolve_devices(spec_for(0.3).model_copy(update={"device": device, "workers": None}))
    return spec.device, spec.workers


def test_names_are_resolved() -> None:
    with acted(3):
        assert resolved("cuda") == ("cuda:0,cuda:1,cuda:2", 1)
        assert resolved("cuda:2,cuda:0") == ("cuda:2,cuda:0", 1)
        assert resolved("cpu") == ("cpu", cores())
        assert resolved("auto") == ("auto", cores())  # the problem decides
        with pytest.raises(InputError, match="device: is cuda:3, but torch sees 3 CUDA devices"):
            resolved("cuda:3")
    if not torch.cuda.is_available():
        assert resolved("auto") == ("cpu", cores())
        with pytest.raises(InputError, match="is cuda, but torch sees 0 CUDA devices"):
            resolved("cuda")


def test_the_roomiest_card_is_that_with_the_most_free_memory() -> None:
    with acted([Card(total=80 * GIB, used_by_others=70 * GIB), Card(total=24 * GIB)]):
        assert roomiest() == "cuda:1"
        assert free_bytes("cuda:1") == 23 * GIB
        held = torch.empty(15 * GIB // 2, dtype=torch.float16, device="cuda:1")
        assert free_bytes("cuda:1") == 8 * GIB and roomiest() == "cuda:0"
        assert held.is_cuda


def test_a_card_that_does_not_tell_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: object) -> tuple[int, int]:
        raise RuntimeError("CUDA error: operation not supported")

    with acted([Card(total=24 * GIB)]):
        monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
        assert free_bytes("cuda:0") == 24 * GIB


KINDS = [("A100", (8, 0), 2), ("H100", (9, 0), 2), ("T4", (7, 5), 32), ("RTX 4090", (8, 9), 64)]


@pytest.mark.parametrize(("name", "capability", "cost"), KINDS)
def test_float64_costs_most_on_consumer_cards(
    name: str, capability: tuple[int, int], cost: int
) -> None:
    with acted([Card(name=name, capability=capability)]):
        assert float64_cost(torch.device("cuda:0")) == cost
    assert float64_cost(torch.device("cpu")) == 2


def test_an_audit_that_is_cheap_on_the_cpu_may_not_be_on_a_consumer_card() -> None:
    """It is then made in float32 on a coarser grid, and says so."""
    found = {}
    for capability in ((9, 0), (8, 9)):
        with acted(cards(1, Card(capability=capability))):
            found[capability] = audit_of(products=3 * 10**6, device=torch.device("cuda:0"))
    assert found[9, 0].precision == "float64" and found[8, 9].precision == "float32"
    assert len(found[8, 9].grid) < len(found[9, 0].grid)


def audit_of(products: int, device: torch.device) -> Audit:
    spec = spec_for(0.3)
    problem = SimpleNamespace(
        objective_samples=50, cost=SimpleNamespace(products=products), train=range(50)
    )
    pool = SimpleNamespace(devices=(device,), costs=None)
    chain: Any = SimpleNamespace(problem=problem, pool=pool, grid=range(4), keys=[(1, 2)])
    return Audit(spec, chain, bead_steps=0)
