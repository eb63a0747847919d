"""Recorded rounds: sizes, padding, distrust, with a recorder that needs no GPU; and on GPUs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.backends.backend import Tensors
from engine.backends.cuda_graphs import (
    MOST,
    CudaGraphsBackend,
    Graphs,
    Recording,
    refusal,
    rounded_up,
)
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.workers.pool import prepare_thread
from tests.support.gpus import gpus_for_a_test
from tests.support.workers import vmapped


class Recorder:
    """Records a call as a GPU would: what is replayed reads and writes the same tensors."""

    def __init__(self, error: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.replays = 0
        self.pools: set[int] = set()
        self.error = error

    def __call__(self, call: Callable[[], Tensors], pool: Any) -> Recording:
        outputs = tuple(torch.zeros_like(output) for output in call())
        self.sizes.append(len(outputs[0]))
        self.pools.add(pool)

        def replay() -> None:
            self.replays += 1
            for output, found in zip(outputs, call(), strict=True):
                output.copy_(found + self.error)

        return replay, outputs


def graphs_of(recorder: Callable[..., Recording]) -> Graphs:
    """Graphs whose pools are numbered."""
    pools = iter(range(9))
    return Graphs(recorder, lambda: next(pools))


def make(network: str = "mlp") -> Problem:
    data = {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 30}
    layers = {"kind": network, "sizes": [1, 3, 1], "activation": "tanh"}
    return build_problem(validated(ProblemSpec, {"data": data, "network": layers, "loss": "mse"}))


def with_graphs(problem: Problem, graphs: Graphs) -> CudaGraphsBackend:
    backend = CudaGraphsBackend(problem)
    backend.graphs = graphs
    return backend


def beads(problem: Problem, count: int) -> Tensor:
    return torch.stack([problem.initial(seed) for seed in range(count)])


def test_sizes_are_rounded_up_by_a_third_at_most() -> None:
    sizes = [rounded_up(rows) for rows in range(1, 200)]
    assert sorted(set(sizes)) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
    assert all(rows <= size < 1.5 * rows for rows, size in enumerate(sizes, 1))


def test_replays_give_what_the_function_gives() -> None:
    plain, recorder = make(), Recorder()
    recorded = with_graphs(plain, graphs_of(recorder))
    for count in (9, 11, 10, 17, 18, 9, 12):
        theta = beads(plain, count) + 0.1 * torch.randn(count, plain.parameter_count)
        ours, theirs = recorded.loss_and_grad(theta), vmapped(plain).loss_and_grad(theta)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    assert recorder.sizes == [
        12,
        24,
    ]  # one each, for sizes 9 to 12 and for 17, from the second call
    assert recorder.replays == 2 + 3 and recorder.pools == {0}


def test_what_a_replay_gave_stays() -> None:
    problem = make()
    backend = with_graphs(problem, graphs_of(Recorder()))
    first, second = beads(problem, 8), beads(problem, 16)[8:]
    backend.loss_and_grad(second)
    losses, grads = backend.loss_and_grad(first)
    kept = losses.clone(), grads.clone()
    backend.loss_and_grad(second)
    assert torch.equal(losses, kept[0]) and torch.equal(grads, kept[1])


def test_tensors_that_all_rows_see_are_given_as_they_are() -> None:
    graphs = graphs_of(Recorder())

    def picked(numbers: Tensor, scale: Tensor, values: Tensor) -> Tensors:
        return (values[numbers] * scale,)

    for start in range(4):
        values = torch.arange(5.0) + start
        numbers = torch.arange(3) + start % 2
        (found,) = graphs.run("picked", picked, (numbers, torch.full((3,), 2.0)), (values,))
        assert found.tolist() == [2.0 * (n + start) for n in numbers.tolist()]
    assert len(graphs) == 1


def test_a_function_within_another_is_part_of_its_recording() -> None:
    graphs, recorder = Graphs(), Recorder()
    graphs = graphs_of(recorder)

    def inner(x: Tensor) -> Tensors:
        return (x + 1,)

    def outer(x: Tensor) -> Tensors:
        return graphs.run("inner", inner, graphs.run("inner", inner, (x,)))

    for _ in range(3):
        (found,) = graphs.run("outer", outer, (torch.full((2, 3), 5.0),))
        assert found.tolist() == [[7.0] * 3] * 2
    assert recorder.sizes == [2]


def test_a_graph_that_computes_something_else_is_not_used(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    plain, recorder = make(), Recorder(error=0.1)
    wrong = with_graphs(plain, graphs_of(recorder))
    for count in (8, 8, 40, 40):
        theta = beads(plain, count)
        torch.testing.assert_close(wrong.loss_and_grad(theta), vmapped(plain).loss_and_grad(theta))
    assert recorder.sizes == [8]  # and none is tried again
    assert "no CUDA graphs here from now on (it computes something else)" in caplog.text


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("operation not permitted when stream is capturing\nmore"), "operation not"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "memory ran out"),
    ],
)
def test_what_cannot_be_recorded_is_computed_without(
    error: Exception,
    why: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    plain, recorder = make(), Recorder()

    def refuse_more(call: Callable[[], Tensors], pool: Any) -> Recording:
        if recorder.sizes:
            raise error
        return recorder(call, pool)

    backend = with_graphs(plain, graphs_of(refuse_more))
    for count in (9, 9, 20, 20, 9):
        theta = beads(plain, count)
        ours = backend.loss_and_grad(theta)
        torch.testing.assert_close(ours, vmapped(plain).loss_and_grad(theta))
    assert f"({why}" in caplog.text and len(backend.graphs) == 0
    assert backend.graphs.failed is not None and backend.graphs.failed.startswith(why)


def test_those_used_last_are_kept() -> None:
    recorder = Recorder()
    graphs = graphs_of(recorder)

    def double(theta: Tensor) -> Tensors:
        return 2 * theta[:, 0], 2 * theta

    for width in range(1, MOST + 4):
        for _ in range(2):
            losses, _ = graphs.run("double", double, (torch.full((3, width), 1.5),))
            assert losses.tolist() == [3.0, 3.0, 3.0]
    assert len(graphs) == MOST and len(recorder.sizes) == MOST + 3
    for width in (MOST + 3, 1):
        graphs.run("double", double, (torch.full((3, width), 1.5),))
    assert len(recorder.sizes) == MOST + 4


def test_smaller_pieces_begin_without_graphs() -> None:
    backend = with_graphs(make(), graphs_of(Recorder()))
    for _ in range(2):
        backend.loss_and_grad(beads(backend.problem, 8))
    assert len(backend.graphs) == 1
    smaller = backend.within(1000)
    assert len(backend.graphs) == len(smaller.graphs) == 0 and smaller.piece_bytes == 1000


def in_a_thread(device: torch.device, work: Callable[[], None]) -> None:
    """Does work in a thread like a worker's, whose stream is its own."""
    with ThreadPoolExecutor(1, initializer=prepare_thread, initargs=(device,)) as thread:
        thread.submit(work).result()


def test_graphs_of_a_gpu() -> None:
    with gpus_for_a_test(1) as gpus:
        plain = make().to(gpus.devices[0])
        recorded = CudaGraphsBackend(plain)

        def compare() -> None:
            for count in (9, 12, 30, 30):
                theta = beads(plain, count)
                for _ in range(3):
                    ours, theirs = (p.loss_and_grad(theta) for p in (recorded, vmapped(plain)))
                    torch.testing.assert_close(ours, theirs)

        in_a_thread(gpus.devices[0], compare)
        assert len(recorded.graphs) == 2 and recorded.graphs.failed is None
        gpus.check()


def test_memory_that_is_pinned_within_a_call_keeps_it_from_being_recorded() -> None:
    """As in pytorch/pytorch, pull request 146924. Another thread may pin meanwhile, as the one does
    that takes checkpoints (vllm-project/vllm 46933), since a capture concerns its own thread.
    """
    with gpus_for_a_test(1) as gpus:
        device = gpus.devices[0]

        def pinning(x: Tensor) -> Tensors:
            return (x + torch.ones(3).pin_memory().to(device, non_blocking=True),)

        def with_another_thread(x: Tensor) -> Tensors:
            with ThreadPoolExecutor(1) as other:
                other.submit(torch.ones(3).pin_memory).result()
            return (x + 1,)

        def record() -> None:
            for function, able in ((with_another_thread, True), (pinning, False)):
                graphs = Graphs()
                for _ in range(3):
                    (found,) = graphs.run("f", function, (torch.zeros(2, 3, device=device),))
                    assert found.tolist() == [[1.0] * 3] * 2
                assert (graphs.failed is None) == able and len(graphs) == able

        in_a_thread(device, record)


def test_a_call_that_makes_the_host_wait_is_refused_before_it_is_captured() -> None:
    with gpus_for_a_test(1) as gpus:
        x = torch.arange(4.0, device=gpus.devices[0])

        def ask() -> None:
            assert refusal(lambda: x * 2) is None
            assert "synchroniz" in (refusal(lambda: x[x > 1]) or "")
            assert refusal(lambda: x + 1) is None and (x > 1).any().item()

        in_a_thread(gpus.devices[0], ask)
