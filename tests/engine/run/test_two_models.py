"""Two models: what they are of, and the second one relabelled."""

from __future__ import annotations

import pytest
import torch

import engine
from engine.errors import InputError
from engine.run.ends import both_ends
from engine.run.two_models import described, relabelling, two_models
from engine.spec.level import LevelOn
from engine.told import untold
from tests.support.pairs import string_of

SPEC = engine.load_preset("quadratic", {"problem.data.points": 16})


def test_what_models_are_of_is_said_by_a_preset_or_by_a_string() -> None:
    ends = both_ends(string_of(SPEC.problem, 2), None)
    by_string = described(None, ends, run_factories=False)
    by_preset = described(SPEC, ends, run_factories=False)
    by_problem = described(SPEC.problem, ends, run_factories=False)
    assert by_string.problem.checksum == by_preset.problem.checksum == by_problem.problem.checksum
    vectors = both_ends(*(each.held.string.beads[0] for each in ends))  # type: ignore[union-attr]
    with pytest.raises(InputError, match="do not say what they are of"):
        described(None, vectors, run_factories=False)


def test_the_second_model_may_be_relabelled() -> None:
    ends = both_ends(string_of(SPEC.problem, 2), None)
    of = described(SPEC, ends, run_factories=False)
    models = two_models(of, ends, None, None)
    relabel = relabelling("weights", None)
    assert relabel is not None and relabelling(None, None) is None
    found = models.relabelled(relabel)
    assert (models.aligned, found.aligned) == (None, "weights")
    assert torch.equal(found.pair[0], models.pair[0])
    with found.of.pool(LevelOn()) as pool:
        objective = pool.backend.objective(torch.stack([models.pair[1], found.pair[1]]))
    assert objective[0] == pytest.approx(float(objective[1]), rel=1e-5)
    with pytest.raises(InputError, match="leave align out"):
        relabelling("weights", "order.safetensors", untold)


def test_the_same_model_twice_is_refused() -> None:
    held = string_of(SPEC.problem, 2)
    beads = held.string.beads
    ends = both_ends(beads[0], beads[0].copy())
    with pytest.raises(InputError, match="is the same model as the first model"):
        two_models(described(SPEC, ends, run_factories=False), ends, None, None)
