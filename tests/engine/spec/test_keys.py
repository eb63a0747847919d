"""A preset's keys: defaults, the resolved form, and the fingerprint of a run."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AliasChoices, Field

import presets
from engine.data.polynomial import PolynomialData
from engine.networks.mlp import MlpNetwork
from engine.spec.keys import ASIDE, Spec, digest
from engine.spec.validation import validated
from engine.spec.yaml_file import dump, parse, read_yaml
from tests.support.preset import PRESET, spec_of


def test_a_preset_becomes_its_spec_with_every_default_in_place() -> None:
    spec = spec_of()
    assert spec.problem.data == PolynomialData(
        kind="polynomial", coefficients=(0.3, 0.25, 0.5), points=40, sampling="grid"
    )
    assert spec.problem.network == MlpNetwork(
        kind="mlp", sizes=(1, 3, 1), bias=False, activation="relu", output_activation="identity"
    )
    assert (spec.problem.loss, spec.search.level, spec.seed) == ("l1", 2.5e-3, 7)
    assert (spec.limits.beads, spec.limits.seconds) == (70, None)
    assert (spec.search.method, spec.search.alpha, spec.search.greedy.grid) == ("greedy", 0.8, 33)
    assert (spec.endpoints.restarts, spec.endpoints.batch_size, spec.device) == (5, "full", "auto")


def test_a_limit_can_be_lifted() -> None:
    assert spec_of("limits.beads=null").limits.beads is None


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:2", "cuda:0,cuda:3"])
def test_devices_that_can_be_named(device: str) -> None:
    assert spec_of(f"device={device}").device == device


@pytest.mark.parametrize("name", presets.names())
def test_shipped_presets_survive_their_resolved_form(name: str) -> None:
    spec = presets.load_preset(name)
    assert parse(read_yaml(dump(spec), name)) == spec


@pytest.mark.parametrize(
    "description",
    [
        "1e-3",
        "1.5e3",
        "2.5",
        "017",
        "off",
        "True",
        "null",
        "~",
        "2024-02-03",
        "<<",
        "#3: 'x' \"y\"",
        "ρ ≤ ½, schön",
        "two\nlines",
        " blank ends ",
        "\x00\x85",
    ],
)
def test_the_resolved_form_reads_back_equal(description: str) -> None:
    spec = spec_of("search.greedy.optimizer={kind: adam, eps: 1e-12, betas: [0.7, 0.95]}")
    spec = spec.model_copy(update={"description": description})
    again = parse(read_yaml(dump(spec), "run.yaml"), "run.yaml")
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()


def test_the_resolved_form_spells_every_default_out() -> None:
    spec = spec_of()
    assert read_yaml(dump(spec), "run.yaml") == spec.model_dump(mode="json")


@pytest.mark.parametrize(
    "override",
    [
        "description=other words",
        "limits.beads=9",
        "limits.seconds=3.5",
        "limits.steps=800",
        "checkpoint_seconds=2.5",
    ],
)
def test_limits_words_and_pace_leave_the_fingerprint(override: str) -> None:
    assert spec_of(override) != spec_of()
    assert spec_of(override).fingerprint() == spec_of().fingerprint()


@pytest.mark.parametrize(
    "override",
    [
        "seed=8",
        "search.level=2.6e-3",
        "search.alpha=0.7",
        "search.greedy.grid=35",
        "endpoints.optimizer={kind: rmsprop, lr: 2e-3}",
        "problem.data.points=41",
        "problem.network.sizes=[1, 4, 1]",
        "workers=3",
    ],
)
def test_whatever_changes_the_search_changes_the_fingerprint(override: str) -> None:
    assert spec_of(override).fingerprint() != spec_of().fingerprint()


class Before(Spec):
    """A spec as one version of the program knows it."""

    slots: int = 5


class Renamed(Spec):
    """The same after `slots` was renamed to `places`."""

    places: Annotated[
        int, Field(validation_alias=AliasChoices("places", "slots"), serialization_alias="slots")
    ] = 5


def test_a_new_key_with_a_default_leaves_the_fingerprint() -> None:
    tree = read_yaml(PRESET, "p.yaml")
    assert validated(Before, tree).fingerprint() == spec_of().fingerprint()
    assert validated(Before, tree | {"slots": 6}).fingerprint() != spec_of().fingerprint()


def test_a_renamed_key_leaves_the_fingerprint() -> None:
    tree = read_yaml(PRESET, "p.yaml")
    before = validated(Before, tree | {"slots": 6})
    for name in ("slots", "places"):
        renamed = validated(Renamed, tree | {name: 6})
        assert renamed.places == 6
        assert renamed.fingerprint() == before.fingerprint()


def test_a_default_that_is_spelled_out_leaves_the_fingerprint() -> None:
    spelled = ["search.greedy.grid=33", "endpoints.optimizer={kind: rmsprop, lr: 1e-3}"]
    assert spec_of(*spelled).fingerprint() == spec_of().fingerprint()


def test_a_new_run_lets_the_device_decide_on_orders_and_an_old_one_keeps_its_own() -> None:
    older = spec_of()
    assert older.mini_batches == "shuffled"
    assert older.of_a_new_run().mini_batches == "auto"
    named = spec_of("mini_batches=shuffled")
    assert named.of_a_new_run().mini_batches == "shuffled"
    assert named.fingerprint() == older.fingerprint()
    assert spec_of("mini_batches=hashed").fingerprint() != older.fingerprint()


@pytest.mark.parametrize("value", [60, 61, 100])
def test_a_default_that_changed_leaves_the_fingerprint_known(
    value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One checksum is that of a spec whose defaults are still the former ones."""
    spec = spec_of(f"search.shortening.sweeps={value}", "search.shortening.gain=1e-3")
    now = {"sweeps": spec.search.shortening.sweeps, "gain": 1e-3}
    former = {"sweeps": 60, "gain": 1e-3, "doublings": 2}
    differing = {key: each for key, each in (now | {"doublings": 1}).items() if each != former[key]}
    plain = spec_of().model_dump(mode="json", exclude=ASIDE, exclude_defaults=True, by_alias=True)
    plain["search"]["shortening"] = differing
    assert spec.known_fingerprints() == (spec.fingerprint(), digest(plain))
    monkeypatch.setattr("engine.spec.keys.FORMER_DEFAULTS", ())
    assert spec.known_fingerprints() == (spec.fingerprint(),)
