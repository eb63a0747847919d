"""Memory that runs out: how it is recognised, and that work goes on down to one item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch

from engine.backends.backend import Backend
from engine.errors import CompilerMemoryError
from engine.problem.problem import Problem
from engine.workers.memory import Frugal, out_of_memory
from engine.workers.pool import Pool
from tests.support.acted.cuda import acted
from tests.support.acted.machine import Card, cards
from tests.support.small_problem import small_problem
from tests.support.workers import vmapped

SAID = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate`"),
    RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]
OTHER = [
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    ValueError("the allocator is out of memory"),
]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return small_problem()


@pytest.mark.parametrize("error", SAID, ids=str)
def test_a_failed_allocation_is_recognised(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_other_failures_are_not_taken_for_one(error: Exception) -> None:
    assert not out_of_memory(error)


@dataclass(frozen=True)
class Fits:
    """A task that fits where it has few enough items, and pieces of few enough bytes."""

    items: int
    piece_bytes: int
    calls: list[tuple[int, int]] = field(default_factory=list, compare=False)

    def size(self, item: int) -> int:
        return 1

    def __call__(self, backend: Backend, items: Sequence[int]) -> list[int]:
        self.calls.append((len(items), backend.piece_bytes))
        if len(items) > self.items or backend.piece_bytes > self.piece_bytes:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")
        return [10 * item for item in items]


def test_pieces_are_halved_first_and_then_the_items_too(problem: Problem) -> None:
    worker = Frugal(vmapped(problem).within(8000))
    fits = Fits(items=7, piece_bytes=4000)
    assert worker.run(fits, range(7)) == [10 * item for item in range(7)]
    assert fits.calls == [(7, 8000), (7, 4000)]
    tight = Fits(items=2, piece_bytes=10**6)
    assert worker.run(tight, range(7)) == [10 * item for item in range(7)]
    assert [count for count, _ in tight.calls][:3] == [7, 7, 4]
    tight.calls.clear()
    assert worker.run(tight, range(7)) == [10 * item for item in range(7)]
    assert max(count for count, _ in tight.calls) == 2  # it has learned


def test_it_goes_on_down_to_one_item_and_one_sample(problem: Problem) -> None:
    sample = problem.cost.values * problem.dtype.itemsize
    worker = Frugal(vmapped(problem).within(1000 * sample))
    fits = Fits(items=1, piece_bytes=2 * sample)
    assert worker.run(fits, range(3)) == [0, 10, 20]
    nothing = Fits(items=0, piece_bytes=0)
    with pytest.raises(MemoryError, match="not enough memory on cpu for one item in pieces of one"):
        worker.run(nothing, range(3))
    assert nothing.calls[-1] == (1, worker.backend.piece_bytes)
    assert worker.backend.piece_bytes <= sample


def test_smaller_pieces_are_not_tried_where_they_do_not_help(problem: Problem) -> None:
    calls: list[int] = []

    def compiles(backend: Backend, items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        raise CompilerMemoryError("to compile a function takes 256 MiB, and there is less")

    with pytest.raises(CompilerMemoryError, match="to compile a function"):
        Frugal(vmapped(problem)).run(compiles, range(7))
    assert calls == [7]


@pytest.mark.parametrize("said", SAID[:3], ids=str)
def test_a_card_that_is_full_for_a_moment_does_not_end_the_call(
    problem: Problem, said: Exception
) -> None:
    theta = torch.stack([problem.initial(seed) for seed in range(5)])

    @dataclass(frozen=True)
    class Losses:
        def size(self, item: torch.Tensor) -> int:
            return 50

        def __call__(self, backend: Backend, items: Sequence[torch.Tensor]) -> list[float]:
            found: list[float] = backend.losses(torch.stack(list(items)).to("cuda:0")).tolist()
            return found

    expected = vmapped(problem).losses(theta).tolist()
    with acted(1) as machine, Pool(vmapped(problem), [torch.device("cuda:0")]) as pool:
        machine.fail("bmm", said, times=3)
        assert pool.run(Losses(), list(theta)) == pytest.approx(expected, rel=1e-5)
        assert not any(failure.left for failure in machine.failures)


def test_a_card_that_is_too_small_is_said_to_be(problem: Problem) -> None:
    with acted(cards(1, Card(total=10**5, used_by_others=0))):
        theta = torch.zeros(1, problem.parameter_count)

        @dataclass(frozen=True)
        class Much:
            def size(self, item: int) -> int:
                return 50

            def __call__(self, backend: Backend, items: Sequence[int]) -> list[torch.Tensor]:
                return [theta.to("cuda:0").repeat(10**4, 1) for _ in items]

        with (
            Pool(vmapped(problem), [torch.device("cuda:0")]) as pool,
            pytest.raises(MemoryError, match=r"on cuda:0 for one item.*CUDA out of memory"),
        ):
            pool.run(Much(), [1, 2])
