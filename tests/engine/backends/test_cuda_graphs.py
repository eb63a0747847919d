"""Recorded gradients: sizes, padding, distrust, with a recorder that needs no GPU; and on one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from engine.backends.cuda_graphs import MOST, CudaGraphsBackend, Graphs, Outputs, rounded_up
from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.workers.pool import prepare_thread
from tests.support.gpus import Gpus
from tests.support.workers import vmapped


class Recorder:
    """Records a function as a GPU would: what is replayed reads and writes the same tensors."""

    def __init__(self, error: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.replays = 0
        self.error = error

    def __call__(
        self, function: Callable[..., Outputs], inputs: tuple[Tensor, ...]
    ) -> tuple[Callable[[], None], Outputs]:
        self.sizes.append(len(inputs[0]))
        losses, grads = (torch.zeros_like(output) for output in function(*inputs))

        def replay() -> None:
            self.replays += 1
            found = function(*inputs)
            losses.copy_(found[0] + self.error)
            grads.copy_(found[1])

        return replay, (losses, grads)


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


@pytest.mark.parametrize("on_batches", [False, True])
def test_replays_give_what_the_function_gives(on_batches: bool) -> None:
    plain, recorder = make(), Recorder()
    recorded = with_graphs(plain, Graphs(recorder))
    random = torch.Generator().manual_seed(4)
    for count in (9, 11, 17, 9, 12):
        theta = beads(plain, count) + 0.1 * torch.randn(count, plain.parameter_count)
        if on_batches:
            batches = torch.randint(0, 30, (count, 7), generator=random)
            pairs = (p.loss_and_grad_on(theta, batches) for p in (recorded, vmapped(plain)))
        else:
            pairs = (p.loss_and_grad(theta) for p in (recorded, vmapped(plain)))
        ours, theirs = pairs
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    assert recorder.sizes == [12, 24]  # one each, for sizes 9 to 12 and for 17
    assert recorder.replays == 2 + 5


def test_what_a_replay_gave_stays() -> None:
    problem = make()
    backend = with_graphs(problem, Graphs(Recorder()))
    first, second = beads(problem, 8), beads(problem, 16)[8:]
    losses, grads = backend.loss_and_grad(first)
    kept = losses.clone(), grads.clone()
    backend.loss_and_grad(second)
    assert torch.equal(losses, kept[0]) and torch.equal(grads, kept[1])


def test_a_graph_that_computes_something_else_is_not_used(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    plain, recorder = make(), Recorder(error=0.1)
    wrong = with_graphs(plain, Graphs(recorder))
    for count in (8, 40):
        theta = beads(plain, count)
        torch.testing.assert_close(wrong.loss_and_grad(theta), vmapped(plain).loss_and_grad(theta))
    assert recorder.sizes == [8]  # and none is tried again
    assert "no CUDA graphs here (it computes something else)" in caplog.text


def test_what_cannot_be_recorded_is_computed_without(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)

    def refuse(function: object, inputs: object) -> tuple[Callable[[], None], Outputs]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    plain = make()
    backend = with_graphs(plain, Graphs(refuse))
    theta = beads(plain, 9)
    torch.testing.assert_close(backend.loss_and_grad(theta), vmapped(plain).loss_and_grad(theta))
    assert "(operation not permitted when stream is capturing)" in caplog.text


def test_no_more_are_kept_than_there_is_room_for() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder)

    def double(theta: Tensor) -> Outputs:
        return 2 * theta[:, 0], 2 * theta

    for width in range(1, MOST + 4):
        losses, _ = graphs.run(double, torch.full((3, width), 1.5))
        assert losses.tolist() == [3.0, 3.0, 3.0]
    assert len(recorder.sizes) == MOST


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.parametrize("on_batches", [False, True])
def test_graphs_of_a_gpu(on_batches: bool, gpus: Gpus) -> None:
    def compare() -> None:
        prepare_thread(gpus.devices[0])
        plain = make().to(gpus.devices[0])
        recorded = with_graphs(plain, Graphs())
        for count in (9, 12, 30):
            theta = beads(plain, count)
            batches = torch.randint(0, 30, (count, 7), device=gpus.devices[0])
            for _ in range(3):
                ours, theirs = (
                    p.loss_and_grad_on(theta, batches) if on_batches else p.loss_and_grad(theta)
                    for p in (recorded, vmapped(plain))
                )
                torch.testing.assert_close(ours, theirs)
        assert not recorded.graphs.failed

    with ThreadPoolExecutor(1) as thread:  # whose stream is its own
        thread.submit(compare).result()
    if gpus.machine is not None:
        assert gpus.machine.counts.captures == 2 and gpus.machine.counts.replays == 2 + 9
