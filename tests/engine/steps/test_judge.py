"""What becomes of a row by its loss: each end, and the compiled twin to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backends.fused.kernels import arrays
from engine.steps.judge import IMPROVEMENT, judge
from engine.steps.rows import End, Rows, fresh

numba = pytest.importorskip("numba")
judging = pytest.importorskip("engine.backends.fused.kernels.judging")

MAX_STEPS = 40


def judged(loss: float, target: float, best: float, best_step: int, steps: int) -> Any:
    """Returns what `judge` says of one row whose patience is 10."""

    def one(value: float, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([value], dtype=dtype)

    real, whole = torch.float32, torch.int64
    best_now, best_step_now, end = judge(
        one(loss, real),
        one(target, real),
        one(best, real),
        one(best_step, whole),
        one(steps, whole),
        one(10, whole),
        MAX_STEPS,
    )
    return best_now.item(), best_step_now.item(), End(int(end))


def test_a_row_goes_on_while_its_loss_falls() -> None:
    assert judged(0.5, 0.1, best=0.6, best_step=3, steps=12) == (0.5, 12, End.GOING)


def test_a_loss_that_is_hardly_lower_does_not_count() -> None:
    best = np.float32(0.6)
    hardly = float(np.float32(0.6 * (1 - IMPROVEMENT / 2)))
    assert judged(hardly, 0.1, best=0.6, best_step=3, steps=12) == (best, 3, End.GOING)
    assert judged(hardly, 0.1, best=0.6, best_step=2, steps=12) == (best, 2, End.STUCK)


def test_at_its_target_a_row_has_all_its_patience_again() -> None:
    assert judged(0.1, 0.1, best=0.6, best_step=3, steps=12) == (np.inf, 12, End.REACHED)


def test_the_steps_of_a_row_run_out() -> None:
    assert judged(0.5, 0.1, best=0.6, best_step=39, steps=40)[2] is End.OUT_OF_STEPS
    assert judged(0.05, 0.1, best=0.6, best_step=39, steps=40)[2] is End.REACHED


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_an_end(loss: float) -> None:
    assert judged(loss, 0.1, best=0.6, best_step=3, steps=4)[2] is End.DIVERGED


# ---------------------------------------------------------------- the compiled twin


def compiled(rows: Rows, loss: np.ndarray) -> list[bytes]:
    """The columns that the compiled judge leaves."""
    columns = {
        name: getattr(rows, name).numpy().copy()
        for name in ("target", "patience", "steps", "loss", "best", "best_step", "end")
    }
    theta = rows.theta.numpy()
    in_kernel = arrays.Rows(theta=theta, slow=theta, square=theta, **columns)
    all_rows(in_kernel, loss.astype(np.float64), arrays.Budget(1, MAX_STEPS, IMPROVEMENT, 1, 0))
    return [columns[name].tobytes() for name in ("best", "best_step", "end")]


@numba.njit  # type: ignore[untyped-decorator]
def all_rows(rows: Any, loss: Any, budget: Any) -> None:
    """The compiled judge, row by row."""
    for row in range(loss.size):
        judging.judge(rows, row, loss[row], budget)


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, 0.25, 0.25 * (1 - IMPROVEMENT)]
LOSSES = st.sampled_from(SPECIAL) | st.floats(-2, 2, width=32)
ROWS = st.lists(
    st.tuples(
        LOSSES,
        st.sampled_from([0.25, 0.1, np.inf, 0.0]) | st.floats(0, 1, width=32),
        st.sampled_from([np.inf, 0.25, 0.5]) | st.floats(0, 2, width=32),
        st.integers(0, 45),
        st.integers(0, 45),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@given(drawn=ROWS)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_the_compiled_twin_agrees_to_the_bit(dtype: torch.dtype, drawn: list[Any]) -> None:
    loss, target, best, best_step, steps, patience = zip(*drawn, strict=True)
    rows = fresh(torch.zeros(len(drawn), 1, dtype=dtype), (), 0.0, 1, range(len(drawn)))
    columns = {"target": target, "best": best, "best_step": best_step, "steps": steps}
    for name, values in {**columns, "patience": patience}.items():
        getattr(rows, name)[:] = torch.tensor(values, dtype=getattr(rows, name).dtype)
    seen = torch.tensor(loss, dtype=dtype)
    found = judge(
        seen, rows.target, rows.best, rows.best_step, rows.steps, rows.patience, MAX_STEPS
    )
    assert [column.numpy().tobytes() for column in found] == compiled(rows, seen.numpy())
