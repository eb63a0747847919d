"""How each kind of network does with each backend, and how faults of one backend are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import pytest
import torch
from torch import Tensor

from engine.backends.backend import Way
from engine.doctor import networks, samples
from engine.doctor.arithmetic import Errors
from engine.doctor.findings import Finding, State
from engine.doctor.networks import ON_CPU, ON_GPUS, Tried, network
from engine.doctor.searches import PROBLEMS, search_of
from engine.run.choosing import possible
from engine.run.prepare import prepare
from tests.support.gpus import gpus_for_a_test

FINE = Errors(1e-7, 2e-7, 3e-8)


def found_of(kind: str, devices: str = "cpu") -> Finding:
    (found,) = network(kind, devices)
    return found


@pytest.mark.parametrize(("kind", "backends"), [("mlp", "fused, vmap and loop"), ("lstm", "vmap")])
def test_a_kind_with_all_backends(kind: str, backends: str) -> None:
    found = found_of(kind)
    assert found.state is State.OK and found.what == f"cpu {kind}"
    assert found.found.startswith(backends)
    dense = "; not fused, because only fully connected networks with the losses mse, l1 and cross_e"
    same = "of float64; a stopped search resumes to the same bits"
    assert (same + dense if kind == "lstm" else same) in found.found
    assert found.found.endswith(same) == (kind == "mlp")
    assert found.measured["loop.resumed"] == 0.0
    assert 0 < found.measured["vmap.gradient"] < 1e-5  # type: ignore[operator]


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_search_can_run_and_puts_a_bead_between_its_ends(kind: str) -> None:
    prepared = prepare(search_of(kind, "cpu", "loop"))
    assert prepared.backend.problem.parameter_count < 1000
    assert prepared.spec.search.min_inner_beads == 1
    assert (kind == "resnet") == prepared.backend.problem.normalizes


def tried(monkeypatch: pytest.MonkeyPatch, *backends: Tried) -> None:
    monkeypatch.setattr(networks, "_backends", lambda kind, devices: iter(backends))


def test_rounding_on_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tried(monkeypatch, Tried("vmap", FINE), Tried("graph", FINE, resumed=3e-6))
    found = found_of("cnn", "cuda:0")
    assert found.state is State.OK
    assert found.found == (
        "vmap and graph: losses to 1e-07, gradients to 2e-07 of float64; a stopped search resumes "
        "within rounding (3e-06)"
    )
    assert found_of("cnn", "cpu").state is State.WRONG


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Tried("vmap", Errors(1e-7, 0.02, 1e-8)), "vmap: gradients differ from float64 by 2e-02"),
        (Tried("vmap", Errors(float("nan"), 1e-7, 1e-8)), "losses differ from float64 by nan"),
        (Tried("vmap", FINE, resumed=0.5), "stopped and resumed differs by 5e-01"),
        (Tried("vmap", failure="RuntimeError: no kernel image"), "vmap: RuntimeError: no kernel"),
    ],
)
def test_a_fault_names_the_backend_and_one_that_works(
    monkeypatch: pytest.MonkeyPatch, fault: Tried, words: str
) -> None:
    tried(monkeypatch, fault, Tried("loop", FINE))
    found = found_of("cnn", "cuda:0")
    assert found.state is State.WRONG and words in found.found
    assert found.remedy.startswith("set search.batching=loop for such networks, and report")
    tried(monkeypatch, fault)
    assert found_of("cnn", "cuda:0").remedy.startswith("report")
    together = found_of("cnn", "cuda:0,cuda:1").remedy
    assert together.startswith("choose one of them, such as --device cuda:0, and report")


def test_a_backend_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> Errors:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel")

    monkeypatch.setattr(networks, "errors_of", fail)
    found = found_of("custom")
    assert found.state is State.WRONG
    assert found.found.startswith("vmap and loop: RuntimeError: CUDA error: an illegal memory")
    assert set(found.measured) == {"fused.refusal", "vmap.failure", "loop.failure"}


def test_every_backend_may_compute_somewhere() -> None:
    assert {*ON_CPU, *ON_GPUS} == set(get_args(Way))


@contextmanager
def gpu_where_all_compute_well(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Lends a GPU, on which whatever is not refused is said to compute well."""
    monkeypatch.setattr(networks, "errors_of", lambda pool, spec: FINE)
    monkeypatch.setattr(networks, "resumed", lambda spec, pool: 0.0)
    with gpus_for_a_test(1) as gpus:
        yield gpus.words


class AsksTheDevice(samples.OwnModule):
    """A module whose calls ask for a number that the device holds, for which the host waits."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float(self.scale)


def test_a_graph_that_is_refused_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"kind": "custom", "factory": f"{__name__}:AsksTheDevice"}
    monkeypatch.setitem(PROBLEMS, "custom", PROBLEMS["custom"] | {"network": network})
    with gpu_where_all_compute_well(monkeypatch) as device:
        found = found_of("custom", device)
    assert found.state is State.NOTE and not found.remedy
    assert found.found.startswith("vmap and loop: losses to 1e-07")
    assert "not graph, because steps cannot be recorded (" in found.found
    assert "synchroniz" in str(found.measured["graph.refusal"])
    assert "not triton, because only fully connected networks" in found.found
    assert "fused" not in found.found


def test_a_missing_compiler_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(possible, "why_not", lambda: "there is no C compiler")
    with gpu_where_all_compute_well(monkeypatch) as device:
        found = found_of("mlp", device)
    assert found.state is State.NOTE
    assert found.found.startswith("vmap, graph and loop: losses to 1e-07")
    assert found.found.endswith("same bits; not triton, because there is no C compiler")


def test_a_refusal_is_told_beside_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    tried(monkeypatch, Tried("vmap", failure="it broke"), Tried("graph", refusal="it waits"))
    found = found_of("cnn", "cuda:0")
    assert found.state is State.WRONG
    assert found.found == "vmap: it broke; not graph, because it waits"


def test_a_search_that_cannot_be_prepared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(networks, "prepare", fail)
    found = found_of("mlp")
    assert found.state is State.WRONG
    assert found.found == "fused, vmap and loop: OSError: no room"
    assert set(found.measured) == {f"{way}.failure" for way in ON_CPU}
