"""How each kind of network does with each backend, and how faults of one backend are told."""

from __future__ import annotations

import pytest

from engine.backends.backend import Way
from engine.doctor import networks
from engine.doctor.arithmetic import Errors
from engine.doctor.findings import Finding, State
from engine.doctor.networks import Tried, network
from engine.doctor.searches import PROBLEMS, search_of
from engine.run.prepare import prepare

FINE = Errors(1e-7, 2e-7, 3e-8)


def found_of(kind: str, devices: str = "cpu") -> Finding:
    (found,) = network(kind, devices)
    return found


@pytest.mark.parametrize(("kind", "backends"), [("mlp", "fused, vmap and loop"), ("lstm", "vmap")])
def test_a_kind_with_all_backends(kind: str, backends: str) -> None:
    found = found_of(kind)
    assert found.state is State.OK and found.what == f"cpu {kind}"
    assert found.found.startswith(backends)
    assert found.found.endswith("of float64; a stopped search resumes to the same bits")
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
    assert set(found.measured) == {"vmap.failure", "loop.failure"}


def test_a_search_that_cannot_be_prepared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spec: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(networks, "prepare", fail)
    found = found_of("mlp")
    assert found.state is State.WRONG
    assert found.found == "fused, triton, vmap, graph and 1 more: OSError: no room"
    ways: tuple[Way, ...] = ("fused", "triton", "vmap", "graph", "loop")
    assert set(found.measured) == {f"{way}.failure" for way in ways}
