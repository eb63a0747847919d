"""Mistakes in a preset as sentences that name the key and the remedy."""

from __future__ import annotations

import pytest

from engine.spec.keys import Spec
from engine.spec.validation import faults
from engine.spec.yaml_file import read_yaml, with_overrides
from tests.support.preset import PRESET, refusal

UNKNOWN = [
    ("serach.level=0.3", "serach", "did you mean 'search'?"),
    ("limits.bead=30", "limits.bead", "did you mean 'beads'?"),
    ("problem.data.pionts=30", "problem.data.pionts", "did you mean 'points'?"),
    ("problem.network.activatoin=tanh", "problem.network.activatoin", "did you mean 'activation'?"),
    ("search.greedy.gird=9", "search.greedy.gird", "did you mean 'grid'?"),
    ("search.audit.gird=fine", "search.audit.gird", "did you mean 'grid'?"),
    (
        "search.greedy.optimizer={kind: adam, betsa: [0.7, 0.8]}",
        "search.greedy.optimizer.betsa",
        "did you mean 'betas'?",
    ),
    ("problem.data={kind: digits, points: 30}", "problem.data.points", "choose from kind"),
    ("problem.network={kind: linear, bais: true}", "problem.network.bais", "choose from kind, si"),
    ("limits.zzz=3", "limits.zzz", "choose from beads, memory, seconds, steps"),
]


@pytest.mark.parametrize(("override", "key", "hint"), UNKNOWN)
def test_an_unknown_key_is_named_with_the_nearest_of_its_place(
    override: str, key: str, hint: str
) -> None:
    message = refusal(override)
    assert message.startswith(f"p.yaml: {key}: ")
    assert hint in message


def test_a_misspelt_required_key_is_said_to_be_misspelt() -> None:
    text = PRESET.replace("{level:", "{levle:")
    assert refusal(text=text) == "p.yaml: search.levle: unknown key; did you mean 'level'?"


VALUES = [
    ("search.alpha=1.5", "search.alpha: is 1.5, but must be less than 1"),
    ("search.alpha=0", "search.alpha: is 0, but must be greater than 0"),
    ("search.level=-1", "search.level: is -1, but must be greater than 0"),
    ("search.level=.nan", "search.level: is NaN, but must be a finite number"),
    ("search.level=-.inf", "search.level: is -Infinity, but must be a finite number"),
    ("search.level=true", "search.level: is true, but must be a valid number"),
    ("search.level='0.3'", 'search.level: is "0.3", but must be a valid number'),
    ("search.level={deep: 3}", "search.level.deep: unknown key; choose from times_ends"),
    ("search=null", "search: is null, but must be a mapping of keys"),
    ("search.greedy.margin=0.5", "search.greedy.margin: is 0.5, but must be less than 0.5"),
    ("search.greedy.grid=4", "search.greedy.grid: is 4, but must be greater than or equal to 5"),
    ("search.greedy.t_star=0.3", "search.greedy.t_star: is 0.3; choose from half, peak"),
    ("search.method=gredy", "search.method: is \"gredy\"; did you mean 'greedy'?"),
    (
        "search.greedy.batch_size=halff",
        "search.greedy.batch_size: is \"halff\", but must be 'full' or a valid integer",
    ),
    (
        "endpoints.batch_size=-3",
        "endpoints.batch_size: is -3, but must be 'full' or greater than 0",
    ),
    (
        "endpoints.batch_size=true",
        "endpoints.batch_size: is true, but must be 'full' or a valid integer",
    ),
    ("seed=true", "seed: is true, but must be a valid integer"),
    ("seed=2.5", "seed: is 2.5, but must be a valid integer"),
    ("seed=-3", "seed: is -3, but must be greater than or equal to 0"),
    ("workers=0", "workers: is 0, but must be greater than 0"),
    ("limits.beads=1", "limits.beads: is 1, but must be greater than or equal to 2"),
    ("limits.seconds=0", "limits.seconds: is 0, but must be greater than 0"),
    ("description=true", "description: is true, but must be a valid string"),
    (
        "device=mps",
        "device: is 'mps'; Apple's GPUs have no float64, in which strings are audited; choose cpu",
    ),
    ("device=rocm:1", "device: is 'rocm:1'; torch calls AMD's GPUs cuda as well; choose cuda"),
    (
        "device='cuda:0,cuda:1,cuda:0'",
        "device: is 'cuda:0,cuda:1,cuda:0'; name cuda:0 once, since a GPU has one worker",
    ),
    ("device=gpu", "device: is 'gpu'; choose auto, cpu, cuda, or a list: cuda:0,cuda:1"),
    ("problem.loss=mae", "problem.loss: is \"mae\"; did you mean 'mse'?"),
    ("problem.data.points=true", "problem.data.points: is true, but must be a valid integer"),
    ("problem.data.points=lots", 'problem.data.points: is "lots", but must be a valid integer'),
    (
        "problem.data.coefficients=[]",
        "problem.data.coefficients: is [], but must be a list of at least 1 item",
    ),
    (
        "problem.data.coefficients=[0.3, x]",
        'problem.data.coefficients.1: is "x", but must be a valid number',
    ),
    ("problem.network.bias=off", 'problem.network.bias: is "off", but must be a valid boolean'),
    (
        "problem.network.sizes=[4]",
        "problem.network.sizes: is [4], but must be a list of at least 2 items",
    ),
    (
        "problem.network.sizes=[1, true, 1]",
        "problem.network.sizes.1: is true, but must be a valid integer",
    ),
    ("problem.network.sizes=5", "problem.network.sizes: is 5, but must be a valid list"),
    ("problem.network=mlp", 'problem.network: is "mlp", but must be a mapping of keys'),
    (
        "problem.network.kind=mpl",
        "problem.network.kind: unknown kind 'mpl'; did you mean 'mlp'?",
    ),
    (
        "endpoints.optimizer={kind: newton}",
        "endpoints.optimizer.kind: unknown kind 'newton'; choose from adam, adamw, rmsprop, sgd",
    ),
    (
        "problem.network={sizes: [2, 3]}",
        "problem.network: needs a kind; choose from cnn, custom, linear, lstm, mlp, resnet",
    ),
    (
        "search.greedy.optimizer.lr=0.3",
        "search.greedy.optimizer: needs a kind; choose from adam, adamw, rmsprop, sgd",
    ),
    (
        "search.greedy.optimizer={kind: adam, betas: [0.8, 1.5]}",
        "search.greedy.optimizer.betas.1: is 1.5, but must be less than 1",
    ),
    ("problem.data={kind: arrays}", "problem.data.path: is missing; give it a value"),
]


@pytest.mark.parametrize(("override", "sentence"), VALUES)
def test_an_impossible_value_is_refused_in_one_sentence(override: str, sentence: str) -> None:
    assert refusal(override) == f"p.yaml: {sentence}"


@pytest.mark.parametrize(
    ("missing", "key"),
    [
        ("search: {level: 2.5e-3}\n", "search"),
        ("  loss: l1\n", "problem.loss"),
        ("level: 2.5e-3", "search.level"),
        (", sizes: [1, 3, 1]", "problem.network.sizes"),
    ],
)
def test_a_required_key_is_missed(missing: str, key: str) -> None:
    assert missing in PRESET
    text = PRESET.replace(missing, "")
    assert refusal(text=text) == f"p.yaml: {key}: is missing; give it a value"


@pytest.mark.parametrize("key", ["3", "true", "~", "2024-02-03"])
def test_keys_that_are_no_words_are_unknown(key: str) -> None:
    sentence = refusal(text=f"{PRESET}{key}: 4\n")
    assert sentence.endswith(f"unknown key; choose from {', '.join(sorted(Spec.model_fields))}")


def test_all_faults_are_told_each_at_its_key() -> None:
    lines = ["search.level=low", "seed=-1", "limits.beeds=3", "problem.network.activation=rulu"]
    tree = with_overrides(read_yaml(PRESET, "p.yaml"), lines)
    told = {error.key: error.what for error in faults(Spec, tree, "p.yaml")}
    assert told == {
        "search.level": 'is "low"; give a number above 0, {times_ends: 1.5} or lowest',
        "seed": "is -1, but must be greater than or equal to 0",
        "limits.beeds": "unknown key; did you mean 'beads'?",
        "problem.network.activation": "is \"rulu\"; did you mean 'relu'?",
    }
    assert all(str(error).startswith("p.yaml: ") for error in faults(Spec, tree, "p.yaml"))


def test_what_is_valid_has_no_faults() -> None:
    assert faults(Spec, read_yaml(PRESET, "p.yaml")) == []
    (error,) = faults(Spec, [1], "p.yaml")
    assert str(error).startswith("p.yaml: holds no keys")
