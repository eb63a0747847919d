"""The audit: what it may cost, how fine it is, and what it does with what it finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.path import audit
from engine.path.audit import AT_ONCE, Audit
from engine.path.chain import Chain
from engine.path.segments import search_grid
from engine.record.events import FIRST, LAST, AuditFailed
from engine.spec.keys import Spec
from tests.support.landscapes import Surface, goal, landscape, ring, spec_for
from tests.support.workers import Here, vmapped

POINTS = 17


def spec_with(grid: str = "auto") -> Spec:
    spec = spec_for(level=0.3)
    audit = spec.search.audit.model_copy(update={"grid": grid})
    return spec.model_copy(update={"search": spec.search.model_copy(update={"audit": audit})})


def chain_of(surface: Surface, *beads: list[float], level: float = 0.3) -> Chain:
    """A measured string through these points."""
    problem = landscape(surface)
    chain = Chain(Here(vmapped(problem)), goal(level), POINTS)
    ids = [FIRST, *range(LAST + 1, LAST + len(beads) - 1), LAST]
    chain.begin([(bead, torch.tensor(at), 0) for bead, at in zip(ids, beads, strict=True)])
    chain.measure(chain.keys)
    return chain


def look(audit: Audit) -> int:
    """Looks at all segments; how many steps that took."""
    steps = 1
    while not audit.step():
        steps += 1
    return steps


# ---------------------------------------------------------------- what it may cost


@pytest.mark.parametrize("segments", [1, 3])
def test_it_is_fine_where_that_costs_at_most_a_fifth_of_the_run(
    segments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in passes over the data: a point in float64 is two, a step of a bead three."""
    monkeypatch.setattr(audit, "ALWAYS_CHEAP", 0.0)
    chain = chain_of(ring, *([1.0, 0.1 * number] for number in range(segments + 1)))
    passes = 2 * (10 * POINTS) * segments
    enough = -(-5 * passes // 3)
    assert Audit(spec_with(), chain, enough).fine
    coarse = Audit(spec_with(), chain, enough - 1)
    assert not coarse.fine
    assert coarse.precision == "float32"


def test_some_seconds_of_work_are_always_spent() -> None:
    assert Audit(spec_with(), chain_of(ring, [1.0, 0.0], [0.0, 1.0]), bead_steps=0).fine


@pytest.mark.parametrize(
    ("grid", "bead_steps", "fine"), [("fine", 0, True), ("coarse", 10**9, False)]
)
def test_a_preset_may_choose(
    grid: str, bead_steps: int, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ALWAYS_CHEAP", 0.0)
    chain = chain_of(ring, [1.0, 0.0], [0.0, 1.0])
    assert Audit(spec_with(grid), chain, bead_steps).fine is fine


# ---------------------------------------------------------------- how it looks


@pytest.mark.parametrize(
    ("grid", "finer", "precision"), [("fine", 10, "float64"), ("coarse", 2, "float32")]
)
def test_its_grid_is_finer_and_shares_no_inner_point_with_the_search(
    grid: str, finer: int, precision: str
) -> None:
    chain = chain_of(ring, [1.0, 0.0], [0.6, 0.8])
    looked = Audit(spec_with(grid), chain, 100)
    assert look(looked) == 1
    (found,) = looked.measured.values()
    inner = looked.grid[1:-1]
    assert np.diff(looked.grid).max() <= 1.5 / (finer * (POINTS - 1))
    assert np.abs(inner[:, None] - search_grid(POINTS)).min() > 1e-6
    exact = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    t = torch.from_numpy(found.t)[:, None]
    losses = torch.stack([ring(w) for w in torch.lerp(exact[0], exact[1], t)])
    np.testing.assert_allclose(found.losses, losses, atol=1e-6)
    assert looked.description() == {
        "points": len(looked.grid),
        "search_points": POINTS,
        "precision": precision,
        "max_peak": found.peak,
    }
    assert found.peak == pytest.approx((0.8 - 1) ** 2, rel=1e-5)  # half-way, where |w|² is 0.8


def test_a_few_segments_are_looked_at_in_a_step() -> None:
    angles = np.linspace(0.0, 3.0, 2 * AT_ONCE + 2)
    chain = chain_of(ring, *([np.cos(a), np.sin(a)] for a in angles))
    looked = Audit(spec_with(), chain, 100)
    assert not looked.step()
    assert list(looked.measured) == chain.keys[:AT_ONCE]
    assert look(looked) == 2
    assert list(looked.measured) == chain.keys


# ---------------------------------------------------------------- what it finds


def spiked(w: Tensor) -> Tensor:
    """No loss, but for a peak of height 1 at w₁ = 0.03, too thin for a search on [-1, 1]."""
    return (1 - 40 * (w[0] - 0.03).abs()).clamp(min=0)


def test_a_segment_above_the_level_is_opened_again() -> None:
    chain = chain_of(spiked, [-3.0, 0.0], [-1.0, 0.0], [1.0, 0.0])
    assert {segment.state for segment in chain.in_order()} == {"closed"}
    looked = Audit(spec_with("fine"), chain, 100)
    look(looked)
    (failed,) = looked.reopen()
    assert isinstance(failed, AuditFailed)
    assert (failed.left, failed.right) == (3, LAST)
    assert failed.peak == pytest.approx(1.0, rel=1e-2)
    assert failed.t == pytest.approx((0.03 + 1) / 2, abs=1e-3)
    assert [segment.state for segment in chain.in_order()] == ["closed", "open"]
    assert chain.segments[3, LAST].measured.peak == failed.peak


def test_a_string_that_holds_is_left_as_it_is() -> None:
    chain = chain_of(ring, [1.0, 0.0], [0.6, 0.8])
    looked, before = Audit(spec_with(), chain, 100), chain.in_order()
    look(looked)
    assert looked.reopen() == []
    assert all(one is other for one, other in zip(chain.in_order(), before, strict=True))
