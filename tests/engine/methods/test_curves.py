"""Curves that are trained for their expected loss, against what is known of them in closed form."""

from __future__ import annotations

import pytest
import torch

from engine.methods.curves import CurveSearch
from engine.record.events import Outcome
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.landscapes import landscape, ring, spec_for
from tests.support.searches import highest_loss, method_for, place_endpoints, run


def curve_spec(method: str, level: float, **keys: object) -> Spec:
    tree = spec_for(level).model_dump(mode="json")
    keys = {"optimizer": {"kind": "adam", "lr": 0.02}} | keys
    tree["search"] |= {"method": method, method: keys}
    return parse(tree)


def test_one_control_point_comes_to_the_optimum_of_the_expected_loss() -> None:
    """On the ring, between (1, 0) and (-1, 0), the curve of the control point (0, c) is
    (1 - 2t, 2t(1 - t)c). With s = t(1 - t) its loss is (4s² c² - 4s)², whose expectation is least
    where c² = E s³ / E s⁴ = 4.5.
    """
    keys = {"max_steps": 1200, "schedule": {"kind": "linear", "length": 1200}}
    spec = curve_spec("bezier", 1e-4, check_every=100, look_every=1200, **keys)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.0, 0.0], [-1.0, 0.0])
        (stage,) = (stage for stage in method.stages if isinstance(stage, CurveSearch))
        while not stage.trainer.groups:
            method.step(None)
        group = stage.trainer.groups[0]
        group.rows.theta[1] = torch.tensor([0.0, 1.0])  # on the line the gradient has no side
        run(method)
        x, y = stage.trainer.groups[0].rows.theta[1].tolist()
    assert x == pytest.approx(0.0, abs=0.1)
    assert y == pytest.approx(4.5**0.5, abs=0.1)


@pytest.mark.parametrize(
    ("method", "keys"),
    [("bezier", {"control_points": 3}), ("polychain", {"control_points": 4}), ("simplex", {})],
)
def test_a_curve_that_connects_is_a_string_below_the_level(
    method: str, keys: dict[str, object]
) -> None:
    spec = curve_spec(method, 0.3, look_every=40, **keys)
    with method_for(landscape(ring), spec) as search:
        place_endpoints(search, [1.0, 0.05], [-1.0, 0.05])
        run(search)
        assert search.verdict is not None
        assert search.verdict.outcome is Outcome.CONNECTED
        assert highest_loss(search) <= 0.3
        assert search.bead_steps > 0


def test_a_bent_curve_gets_more_beads_where_its_chords_leave_it_too_far() -> None:
    """The chords of few models on the ring cut its hill, though the models are in the valley."""
    spec = curve_spec("bezier", 0.06, control_points=4, look_every=50)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.0, 0.05], [-1.0, 0.05])
        run(method)
        assert method.verdict is not None
        assert method.verdict.outcome is Outcome.CONNECTED
        assert method.progress().beads > 7


def test_ends_with_a_straight_line_below_the_level_need_no_curve() -> None:
    with method_for(landscape(ring), curve_spec("polychain", 0.5)) as method:
        place_endpoints(method, [1.0, 0.0], [0.0, 1.0])
        run(method)
        assert method.progress().beads == 2
        assert method.bead_steps == 0


def test_the_ends_stay_where_they_are() -> None:
    spec = curve_spec("simplex", 0.3, look_every=40, volume=0.1, max_steps=80)
    with method_for(landscape(ring), spec) as method:
        place_endpoints(method, [1.0, 0.05], [-1.0, 0.05])
        run(method)
        beads = method.string().beads
    assert beads[0] == pytest.approx([1.0, 0.05])
    assert beads[-1] == pytest.approx([-1.0, 0.05])
