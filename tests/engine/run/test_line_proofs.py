"""What loss and error are proven not to exceed between two models, held against fine grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import engine
from engine.path.segments import Pair
from engine.run import line_proofs
from engine.run.ends import both_ends
from engine.run.line_proofs import with_proofs
from engine.run.lines import Line
from engine.run.two_models import TwoModels, described, two_models
from engine.spec.level import LevelOn
from engine.told import untold
from tests.support.pairs import string_of

SPEC = engine.load_preset("digits", {"problem.network.sizes": [64, 6, 10]})
METRICS = ("loss", "error_rate")


@pytest.fixture(scope="module")
def models() -> TwoModels:
    ends = both_ends(string_of(SPEC.problem, 2), None)
    return two_models(described(SPEC, ends, run_factories=False), ends, None, None)


def at(models: TwoModels, on: LevelOn, t: float) -> float:
    """A metric at a place of the line, by plain torch in float64."""
    x, y = models.problem.samples(on.split).part(slice(None), torch.float64)
    first, second = (each.double() for each in models.pair)
    named = models.problem.named(((1 - t) * first + t * second)[None])
    hidden = torch.relu(x @ named["layers.0.weight"][0].T + named["layers.0.bias"][0])
    output = hidden @ named["layers.1.weight"][0].T + named["layers.1.bias"][0]
    if on.metric == "loss":
        return float(torch.nn.functional.cross_entropy(output, y))
    return float((output.argmax(1) != y).double().mean())


def line(models: TwoModels, on: LevelOn) -> Line:
    """What a coarse measurement finds, which misses every peak between its points."""
    values = tuple(at(models, on, t) for t in (0.0, 0.5, 1.0))
    place = int(np.argmax(values))
    return Line(on, values, values[place], place / 2, 0.0)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_loss_and_error_are_bounded_on_both_splits(split: str, models: TwoModels) -> None:
    measured = [line(models, LevelOn(metric=m, split=split)) for m in METRICS]  # type: ignore[arg-type]
    shares: list[float] = []
    for before, found in zip(measured, with_proofs(models, measured, shares.append), strict=True):
        fine = max(at(models, found.measure, float(t)) for t in np.linspace(0, 1, 501))
        assert found.proven is not None and found.unproven == ""
        assert fine <= found.proven * (1 + 1e-12) and found.proven <= 1.03 * fine
        assert before.peak <= found.peak <= found.proven * (1 + 1e-12)
        assert at(models, found.measure, found.t_peak) == pytest.approx(found.peak)
        rise = found.peak - found.chord(found.t_peak)
        assert found.peak == before.peak or found.over_interpolation == pytest.approx(rise)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_lines_without_a_proof_say_why(models: TwoModels, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = line(models, LevelOn())
    wrong = replace(measured, values=tuple(2 * value for value in measured.values))
    (found,) = with_proofs(models, [wrong], untold)
    assert found.proven is None and "other values at both models" in found.unproven
    monkeypatch.setattr(line_proofs, "WORTH", 1e6)
    (found,) = with_proofs(models, [measured], untold)
    assert (found.proven, found.unproven) == (None, "a proof would take too long")


def test_a_level_is_never_needed(models: TwoModels) -> None:
    """Models without any error are proven to have none, and all that are the same, one value."""
    pair: Pair = (models.pair[0], models.pair[0] + 1e-9)
    near = replace(models, pair=pair)
    (found,) = with_proofs(near, [line(near, LevelOn())], untold)
    assert found.proven == pytest.approx(found.peak, rel=1e-3)
