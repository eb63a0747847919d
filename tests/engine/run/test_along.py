"""`engine.measure_along`: strings, weights, own networks, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.record.string_file import StringFile
from engine.spec.keys import Spec
from engine.spec.level import LevelOn

NETWORK = """
import torch
from torch import nn

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        tokens = torch.stack([self.first(x), self.first(x.flip(1))], 1)
        return self.last(self.encoder(tokens).mean(1))

def points():
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(3))
    return x, (x[:, 0] * x[:, 1] > 0).long()
"""


@pytest.fixture(scope="module")
def spec() -> Spec:
    return engine.load_preset("quadratic", {"problem.data.points": 64, "search.level": 0.05})


@pytest.fixture(scope="module")
def string(spec: Spec) -> StringFile:
    search = engine.search(spec)
    assert search.run().outcome is engine.Outcome.CONNECTED
    return search.string()


def test_all_is_what_the_network_allows(string: StringFile) -> None:
    shares: list[float] = []
    found = engine.measure_along(string, ["all"], told=shares.append)
    assert list(found.quantities) == [
        *("ensemble", "distances", "swa", "gradient", "cka", "sharpness")
    ]
    reason = "the network gives no scores of classes"
    assert found.left_out == {"calibration": reason, "classes": reason}
    assert shares == sorted(shares) and shares[-1] == 1.0
    for each in found.quantities.values():
        assert each.beads == string.header.bead_ids and each.arc[-1] == 1
        assert each.time == string.header.elapsed_s and each.precision == "float64"
    losses = found.quantities["swa"].series[0].values
    np.testing.assert_allclose(losses, string.string.losses, rtol=1e-5)


def test_weights_with_a_preset_are_measured_alike(string: StringFile, spec: Spec) -> None:
    what = ("gradient", "ensemble")
    own = engine.measure_along(string, what).quantities
    other = engine.measure_along(string.string.beads.tolist(), what, spec).quantities
    assert list(own) == ["ensemble", "gradient"]
    for name in what:
        for one, two in zip(own[name].series, other[name].series, strict=True):
            np.testing.assert_allclose(one.values, two.values)
    assert other["gradient"].beads == tuple(range(1, len(string.string.beads) + 1))


def test_points_between_are_measured_too(string: StringFile) -> None:
    (found,) = engine.measure_along(string, "gradient", between=3).quantities.values()
    assert len(found.beads) == 4 * len(string.string.beads) - 3
    (at_beads,) = engine.measure_along(string, "gradient").quantities.values()
    np.testing.assert_allclose(found.series[0].values[::4], at_beads.series[0].values)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("calibration", "^what: calibration cannot be measured here: the network gives no scores"),
        (["swa", "classes"], "^what: classes cannot be measured here"),
        (["swa", "hessian"], "^what: is 'hessian'; choose from ensemble, distances, swa, "),
        ([], "^what: names no quantity"),
        (["all", "swa"], r"^what: is 'all'; choose from .* or all alone"),
    ],
)
def test_what_cannot_be_measured_is_refused(string: StringFile, what: Any, words: str) -> None:
    with pytest.raises(engine.InputError, match=words):
        engine.measure_along(string, what)


def test_weights_that_do_not_fit_are_refused(spec: Spec) -> None:
    with pytest.raises(engine.InputError, match=r"have shape \(2, 5\); give \(bead, 33\)"):
        engine.measure_along(np.zeros((2, 5)), "swa", spec)
    with pytest.raises(engine.InputError, match=r"^spec: weights alone do not say"):
        engine.measure_along(np.zeros((2, 33)), "swa")


def test_the_level_may_be_on_anything(string: StringFile) -> None:
    """Losses and gradients are those of the training loss in any case."""
    on = LevelOn(split="held_out")
    other = replace(string, header=replace(string.header, level_on=on))
    one, two = (engine.measure_along(each, ("gradient", "swa")) for each in (string, other))
    assert one == two


def test_a_network_of_a_users_own_runs_only_where_that_is_allowed(tmp_path: Path) -> None:
    """A transformer in evaluation, whose fast path would pass by the layers within it."""
    file = tmp_path / "of_along.py"
    file.write_text(NETWORK)
    spec = engine.load_preset(
        "custom-example",
        {
            "problem.network": {"kind": "custom", "factory": f"{file}:Encoder"},
            "problem.data": {"kind": "custom", "factory": f"{file}:points"},
            "search.level": 50.0,
        },
    )
    search = engine.search(spec)
    assert search.run().outcome is engine.Outcome.CONNECTED
    string = search.string()
    with pytest.raises(engine.InputError, match="would be imported and run"):
        engine.measure_along(string, "cka")
    found = engine.measure_along(string, run_factories=True)
    assert not found.left_out
    names = {each.key for each in found.quantities["cka"].series}
    within = {"encoder.self_attn", "encoder.linear1", "encoder.linear2"}
    assert {f"first_into_{name}" for name in within} <= names
    for each in found.quantities.values():
        for series in each.series:
            assert np.isfinite(series.values[-1]), series.key


SEVERAL = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.value, self.score = nn.Linear(2, 5), nn.Linear(5, 1), nn.Linear(5, 2)

    def forward(self, x):
        hidden = torch.tanh(self.body(x))
        return {"value": self.value(hidden), "score": self.score(hidden)}

def points():
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(3))
    return x, (x[:, 0] * x[:, 1] > 0).long()

def loss():
    def of(output, target):
        scores = nn.functional.cross_entropy(output["score"], target, reduction="none")
        return scores + output["value"][:, 0] ** 2
    return of
"""


def test_several_outputs_at_once_are_no_ensemble(tmp_path: Path) -> None:
    file = tmp_path / "of_along.py"
    file.write_text(SEVERAL)
    parts = {"network": "Two", "data": "points", "loss": "loss"}
    sets = {f"problem.{key}": {"factory": f"{file}:{name}"} for key, name in parts.items()}
    for key in ("network", "data"):
        sets[f"problem.{key}"]["kind"] = "custom"
    spec = engine.load_preset("custom-example", sets)
    beads = np.random.default_rng(3).normal(size=(3, 33))
    found = engine.measure_along(beads, spec=spec)
    reason = "its loss sees several outputs at once"
    assert {name: why for name, why in found.left_out.items() if why == reason} == {
        "ensemble": reason,
        "distances": reason,
        "cka": reason,
    }
    assert {"swa", "gradient", "sharpness"} <= set(found.quantities)


HELD = """
import torch
from torch import nn

def network():
    outer = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2))
    made = [outer[0].weight.detach().clone()]
    outer[0].register_forward_hook(lambda layer, args, out: out + made[0].sum())
    return outer

def points():
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(3))
    return x, (x[:, 0] * x[:, 1] > 0).long()
"""


def test_what_plain_torch_finds_otherwise_is_refused(tmp_path: Path) -> None:
    """A network whose output depends on the weights that it was made with."""
    file = tmp_path / "of_along.py"
    file.write_text(HELD)
    spec = engine.load_preset(
        "custom-example",
        {
            "problem.network": {"kind": "custom", "factory": f"{file}:network"},
            "problem.data": {"kind": "custom", "factory": f"{file}:points"},
            "problem.loss": "cross_entropy",
        },
    )
    beads = np.random.default_rng(3).normal(size=(3, 32))
    with pytest.raises(engine.InputError, match=r"^problem\.network: .* by plain torch"):
        engine.measure_along(beads, "swa", spec)
