"""What is counted of a step, and the time that blocks of threads are predicted to take."""

from __future__ import annotations

import pytest
import torch

from benchmarks.predicted import GPUS, Code, Counting, Kernel, of_launches, of_whole_rounds

H100 = GPUS[0]


def test_kernels_are_counted_without_views() -> None:
    a, b = torch.ones(3, 5), torch.ones(5, 2)
    with Counting() as counting:
        (a @ b).T.reshape(-1).exp()
    product, copied, exponential = counting.kernels
    assert product == Kernel(4 * (15 + 10 + 6), 2 * 3 * 5 * 2)
    assert copied.bytes == exponential.bytes == 4 * 12


def test_launches_bytes_and_operations_bound_a_step() -> None:
    few, many = Kernel(1, 1), Kernel(int(0.5 * 3.35e12), 1)
    assert of_launches([few] * 10, 8, H100) == pytest.approx((8 / 100e-6, 8 / 20e-6))
    assert of_launches([few, many], 8, H100) == pytest.approx((8, 8), rel=1e-4)


def test_blocks_wait_for_themselves_and_then_for_each_other() -> None:
    code = Code(piece=700, step=0, registers=64, barriers_piece=0, barriers_step=0)
    alone = 2 * 700 / 0.35 + 8 * 300
    one = of_whole_rounds(code, 2, 4, 1, H100)
    assert one == pytest.approx(1.98e9 / alone)
    assert of_whole_rounds(code, 2, 4, 132, H100) == pytest.approx(132 * one)
    full = of_whole_rounds(code, 2, 4, 132 * 8, H100)  # 8 blocks of 8192 registers
    assert full == pytest.approx(132 * 1.98e9 * 4 / (2 * 700 * 4))
    assert of_whole_rounds(code, 2, 4, 132 * 16, H100) == pytest.approx(full)
