"""The nudged elastic band on a surface whose saddle is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.methods.neb import BandSearch
from engine.record.events import Outcome
from engine.spec.keys import Spec
from engine.spec.search import Neb
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import highest_loss, method_for, place_endpoints, run

#: The surface of Müller & Brown (1979), its amplitudes and shapes, and where its terms are centred.
HEIGHT = (-200.0, -100.0, -170.0, 15.0)
SHAPE = ((-1.0, 0.0, -10.0), (-1.0, 0.0, -10.0), (-6.5, 11.0, -6.5), (0.7, 0.6, 0.7))
CENTRE = ((1.0, 0.0), (0.0, 0.5), (-0.5, 1.5), (-1.0, 1.0))
#: What is added, so that all losses are above 0.
RAISED = 150.0
#: Two of its minima, and the higher of the two saddles between them.
DEEP, SHALLOW = [-0.55822, 1.44173], [0.62350, 0.02804]
SADDLE, SADDLE_LOSS = [-0.82200, 0.62431], RAISED - 40.66484


def mueller_brown(w: Tensor) -> Tensor:
    total = torch.full((), RAISED, dtype=w.dtype)
    for height, (a, b, c), (x0, y0) in zip(HEIGHT, SHAPE, CENTRE, strict=True):
        x, y = w[0] - x0, w[1] - y0
        total = total + height * torch.exp(a * x * x + b * x * y + c * y * y)
    return total


def band_spec(level: float, **keys: object) -> Spec:
    spec = spec_for(level)
    search = {"method": "neb", "neb": Neb.model_validate(keys)}
    return spec.model_copy(update={"search": spec.search.model_copy(update=search)})


def test_the_climbing_bead_comes_to_the_saddle() -> None:
    keys = {"optimizer": {"kind": "sgd", "lr": 5e-4}, "max_steps": 900, "cycle": 150}
    spec = band_spec(100.0, **keys, climb=4, beads=9, spring=20.0, insert=10.0)
    with method_for(landscape(mueller_brown), spec) as method:
        place_endpoints(method, DEEP, SHALLOW)
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.NOT_CONNECTED
        string = method.string()
    top = int(string.losses.argmax())
    assert string.losses[top] == pytest.approx(SADDLE_LOSS, abs=1e-3)
    assert string.beads[top] == pytest.approx(SADDLE, abs=1e-3)


def test_beads_are_inserted_where_segments_rise_between_their_beads() -> None:
    spec = band_spec(0.1, optimizer={"kind": "sgd", "lr": 0.02}, beads=1, cycle=60, spring=0.1)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.0, 0.05], [-1.0, 0.05])
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(method) <= 0.1
        assert method.progress().beads > 3
        (stage,) = (stage for stage in method.stages if isinstance(stage, BandSearch))
        assert 0 < stage.steps < 2000


def test_ends_with_a_straight_line_below_the_level_need_no_band() -> None:
    with method_for(landscape(ring), band_spec(0.5)) as method:
        place_endpoints(method, [1.0, 0.0], [0.0, 1.0])
        run(method)
        assert method.progress().beads == 2
        assert method.bead_steps == 0
