"""The acted cards hold code against the rules of CUDA: devices, streams, graphs, syncs, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import vmap

from tests.support.acted.cuda import acted
from tests.support.acted.machine import Card, Machine, cards

cuda: Any = torch.cuda


@pytest.fixture
def machine() -> Iterator[Machine]:
    with acted(2) as machine:
        yield machine


def test_outside_the_block_all_is_as_before() -> None:
    before = torch.Tensor.to, torch.zeros, torch.cuda.Stream, torch.cuda.is_available()
    with acted(3):
        assert torch.cuda.device_count() == 3 and torch.zeros(2, device="cuda:2").is_cuda
    assert (torch.Tensor.to, torch.zeros, torch.cuda.Stream, torch.cuda.is_available()) == before
    assert torch.zeros(2).device == torch.device("cpu")


def test_values_are_those_of_the_cpu(machine: Machine) -> None:
    torch.manual_seed(3)
    here: Any = nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2))
    there: Any = nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2))
    x, kept = torch.randn(5, 4), there[0].weight
    there.to("cuda:1")
    there.load_state_dict({name: each.cuda(1) for name, each in here.state_dict().items()})
    assert kept is there[0].weight and kept.device == torch.device("cuda:1")
    losses = [one(at).square().sum() for one, at in ((here, x), (there, x.to("cuda:1")))]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == losses[1].item()
    assert torch.equal(here[0].weight.grad, there[0].weight.grad.cpu())


@pytest.mark.parametrize("other", ["cpu", "cuda:1"])
def test_two_devices_do_not_meet(machine: Machine, other: str) -> None:
    left, right = torch.ones(3, device="cuda:0"), torch.ones(3, device=other)
    for meet in (torch.add, torch.dot, lambda a, b: torch.stack([a, b])):
        with pytest.raises(RuntimeError, match="at least two devices"):
            meet(left, right)
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        left.numpy()
    assert (left + torch.tensor(2.0)).tolist() == [3.0, 3.0, 3.0]  # a number may come from the host


def test_tensors_within_vmap_know_their_device(machine: Machine) -> None:
    def of_one(x: torch.Tensor) -> torch.Tensor:
        assert x.device == torch.device("cuda:1") and x.is_cuda
        return x.sum() + torch.ones(2, device=x.device)

    found = vmap(of_one)(torch.ones(3, 4, device="cuda:1"))
    assert found.device == torch.device("cuda:1") and found.cpu().tolist() == 3 * [[5.0, 5.0]]


def test_launches_copies_and_waits_are_counted(machine: Machine) -> None:
    x = torch.arange(6.0).reshape(2, 3).to("cuda:0")
    machine.count_anew()
    y = (x.t() @ x).relu()[0]  # a view needs no kernel
    assert machine.counts.sums == {
        "launches": 2,
        "syncs": 0,
        "copies from the host": 0,
        "copies between devices": 0,
        "replays": 0,
    }
    assert y.max().item() == 15.0 and x[x > 1].shape == (4,)
    torch.tensor([1.0], device="cuda:0")
    y.to("cuda:1")
    sums = machine.counts.sums
    assert sums["syncs"] == 3  # item, the size of what a mask leaves, a copy of pageable memory
    assert sums["copies from the host"] == sums["copies between devices"] == 1
    assert not machine.counts.races


def test_pinned_memory_is_copied_without_a_wait(machine: Machine) -> None:
    held = torch.ones(4).pin_memory()
    machine.count_anew()
    x = held.to("cuda:0", non_blocking=True)
    held.copy_(x, non_blocking=True)
    assert machine.counts.sums["syncs"] == 0
    held.to("cuda:0")
    assert machine.counts.sums["syncs"] == 1


def test_waits_are_refused_where_they_are_to_be(machine: Machine) -> None:
    x = torch.ones(3, device="cuda:0")
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(RuntimeError, match="synchronizing"):
        x.sum().item()
    torch.cuda.set_sync_debug_mode("default")
    assert x.sum().item() == 3.0


def test_a_race_between_streams_is_found(machine: Machine) -> None:
    first, second = cuda.Stream(), cuda.Stream()
    with torch.cuda.stream(first):
        x = torch.ones(3, device="cuda:0")
    for ordered in (False, True):
        machine.count_anew()
        if ordered:
            second.wait_stream(first)
        with torch.cuda.stream(second):
            y = 2 * x
        assert bool(machine.counts.races) is not ordered
    with torch.cuda.stream(first):
        x.zero_()  # while the second may still read it
    assert any("in use" in race for race in machine.counts.races)
    torch.cuda.synchronize()
    assert y.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("recorded", [False, True])
def test_memory_that_is_reused_too_early_is_found(machine: Machine, recorded: bool) -> None:
    first, second = cuda.Stream(), cuda.Stream()
    with torch.cuda.stream(first):
        x = torch.ones(3, device="cuda:0")
    second.wait_stream(first)
    with torch.cuda.stream(second):
        y = 2 * x
    if recorded:
        x.record_stream(second)
    del x
    with torch.cuda.stream(first):
        torch.ones(3, device="cuda:0")
    assert bool(machine.counts.races) is not recorded
    assert y.shape == (3,)


def test_a_graph_computes_only_when_it_is_replayed(machine: Machine) -> None:
    stream, graph = cuda.Stream(), cuda.CUDAGraph()
    torch.cuda.set_stream(stream)
    x, steps = torch.full((3,), 2.0, device="cuda:0"), torch.zeros(1, device="cuda:0")
    with cuda.graph(graph, stream=stream):
        y = x.square() + torch.ones(3, device="cuda:0")
        steps.add_(1)
    assert y.isnan().all() and steps.item() == 0
    machine.count_anew()
    for value in (2.0, 3.0):
        x.fill_(value)
        graph.replay()
        assert y.tolist() == 3 * [value**2 + 1]
    counts = machine.counts
    assert steps.item() == 2 and counts.replays == 2 and counts.replayed == 2 * 4
    assert counts.launches["replay"] == 2 and not counts.races


@pytest.mark.parametrize("asks", ["item", "copy", "mask"])
def test_a_capture_refuses_what_waits(machine: Machine, asks: str) -> None:
    torch.cuda.set_stream(cuda.Stream())
    x, graph = torch.ones(3, device="cuda:0"), cuda.CUDAGraph()
    ways: dict[str, Callable[[], object]] = {
        "item": lambda: x.sum().item(),
        "copy": lambda: torch.tensor([1.0], device="cuda:0"),
        "mask": lambda: x[x > 0],
    }
    capture = cuda.graph(graph, stream=torch.cuda.current_stream())
    with pytest.raises(RuntimeError, match="capture"), capture:
        ways[asks]()
    assert machine.counts.refused and not torch.cuda.is_current_stream_capturing()
    with pytest.raises(RuntimeError, match="without a preceding"):
        graph.replay()


def test_a_replay_on_memory_that_is_gone_is_found(machine: Machine) -> None:
    torch.cuda.set_stream(cuda.Stream())
    x, graph = torch.ones(3, device="cuda:0"), cuda.CUDAGraph()
    with cuda.graph(graph, stream=torch.cuda.current_stream()):
        y = 2 * x
    graph.replay()
    assert not machine.counts.races and y.tolist() == 3 * [2.0]
    del x
    graph.replay()
    assert any("given back" in race for race in machine.counts.races)


def test_memory_runs_out_and_is_given_back() -> None:
    with acted(cards(1, Card(total=2**20, used_by_others=2**19))) as machine:
        assert torch.cuda.mem_get_info() == (2**19, 2**20)
        x = torch.zeros(2**16, device="cuda")
        assert torch.cuda.memory_allocated() == 2**18
        with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
            torch.zeros(2**16 + 1, device="cuda")
        y = x.view(2, -1)
        del x
        assert torch.cuda.memory_allocated() == 2**18  # the view holds it
        del y
        assert torch.cuda.memory_allocated() == 0 and machine.peaks == [2**18]


def test_an_operation_fails_as_often_as_it_is_told_to(machine: Machine) -> None:
    machine.fail("mm", RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), times=1)
    x = torch.eye(2, device="cuda:0")
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        x @ x
    assert (x @ x).cpu().equal(torch.eye(2))


def test_draws_come_from_the_cards_own_generator(machine: Machine) -> None:
    before = torch.get_rng_state()
    cuda.default_generators[1].manual_seed(7)
    drawn = torch.zeros(9, device="cuda:1").bernoulli_(0.5).cpu()
    assert torch.equal(before, torch.get_rng_state())
    expected = torch.zeros(9).bernoulli_(0.5, generator=torch.Generator().manual_seed(7))
    assert torch.equal(drawn, expected)


def test_cards_have_names_and_uuids() -> None:
    with acted(cards(2, Card(name="Acted T4", capability=(7, 5)))):
        facts: list[Any] = [cuda.get_device_properties(number) for number in range(2)]
        assert torch.cuda.get_device_name("cuda:1") == "Acted T4"
        assert facts[0].uuid != facts[1].uuid
        assert (facts[0].major, facts[0].minor) == (7, 5)
        with pytest.raises(RuntimeError, match="invalid device ordinal"):
            torch.zeros(1, device="cuda:2")
