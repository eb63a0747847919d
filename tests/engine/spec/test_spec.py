"""The preset: what is accepted, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AliasChoices, Field

import presets
from engine.data.arrays import ArraysData
from engine.data.polynomial import PolynomialData
from engine.errors import InputError
from engine.networks.linear import LinearNetwork
from engine.networks.mlp import MlpNetwork
from engine.spec.keys import Adam, Sgd, Spec
from engine.spec.validation import validated
from engine.spec.yaml_file import dump, load, parse, read_yaml, revised, with_overrides

PRESET = """\
description: a small parabola
problem:
  data: {kind: polynomial, coefficients: [0.3, 0.25, 0.5], points: 40}
  network: {kind: mlp, sizes: [1, 3, 1], bias: false}
  loss: l1
search: {level: 2.5e-3}
limits: {beads: 70}
seed: 7
"""


def spec_of(*overrides: str, text: str = PRESET) -> Spec:
    return parse(with_overrides(read_yaml(text, "p.yaml"), overrides, "p.yaml"), "p.yaml")


def refusal(*overrides: str, text: str = PRESET) -> str:
    with pytest.raises(InputError) as caught:
        spec_of(*overrides, text=text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def scalar(text: str) -> object:
    value: object = read_yaml(f"v: {text}\n", "p.yaml")["v"]
    return value


# ---------------------------------------------------------------- accepted


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("1.0e-3", 1e-3),
        ("+1e3", 1000.0),
        ("-2.5e+2", -250.0),
        (".5", 0.5),
        ("3.", 3.0),
    ],
)
def test_every_way_to_write_a_float_is_one(text: str, value: float) -> None:
    read = scalar(text)
    assert isinstance(read, float)
    assert read == value


@pytest.mark.parametrize("text", ["7", "-12", "+3"])
def test_an_integer_stays_one(text: str) -> None:
    assert type(scalar(text)) is int
    assert scalar(text) == int(text)


@pytest.mark.parametrize(
    "text", ["off", "on", "yes", "No", "y", "1.2.3", "e3", "1e-", "2024-02-03", "2024-13-45"]
)
def test_words_and_dates_are_strings(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("false", False), ("FALSE", False)]
)
def test_true_and_false_are_booleans(text: str, value: bool) -> None:
    assert scalar(text) is value


@pytest.mark.parametrize("text", ["~", "null", ""])
def test_an_empty_value_is_null(text: str) -> None:
    assert scalar(text) is None


def test_a_level_without_a_dot_is_a_number() -> None:
    assert spec_of(text=PRESET.replace("2.5e-3", "4e-3")).search.level == 4e-3


def test_a_section_can_be_merged_from_an_anchor() -> None:
    text = PRESET + ("endpoints: &how {optimizer: {kind: sgd, lr: 0.3}, max_steps: 90}\n")
    text = text.replace("search: {level: 2.5e-3}\n", "") + (
        "search:\n  level: 0.04\n  greedy:\n    <<: *how\n    max_steps: 60\n"
    )
    greedy = spec_of(text=text).search.greedy
    assert (greedy.optimizer, greedy.max_steps) == (Sgd(kind="sgd", lr=0.3), 60)


def test_a_limit_can_be_lifted() -> None:
    assert spec_of("limits.beads=null").limits.beads is None


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:2", "cuda:0,cuda:3"])
def test_devices_that_can_be_named(device: str) -> None:
    assert spec_of(f"device={device}").device == device


@pytest.mark.parametrize("name", presets.names())
def test_shipped_presets_survive_their_resolved_form(name: str) -> None:
    spec = presets.load_preset(name)
    assert parse(read_yaml(dump(spec), name)) == spec


# ---------------------------------------------------------------- refused

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
    ("search.level={deep: 3}", 'search.level: is {"deep": 3}, but must be a valid number'),
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
        "endpoints.optimizer.kind: unknown kind 'newton'; choose from adam, rmsprop, sgd",
    ),
    (
        "problem.network={sizes: [2, 3]}",
        "problem.network: needs a kind; choose from cnn, custom, linear, lstm, mlp, resnet",
    ),
    (
        "search.greedy.optimizer.lr=0.3",
        "search.greedy.optimizer: needs a kind; choose from adam, rmsprop, sgd",
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


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "- 3\n- 4\n", "words\n", "5\n"])
@pytest.mark.parametrize("overrides", [(), ("seed=3",)])
def test_a_file_without_keys_is_refused(text: str, overrides: tuple[str, ...]) -> None:
    assert refusal(*overrides, text=text).startswith("p.yaml: holds no keys; see `dss-tui presets")


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        ("a: b: c\n", "mapping values are not allowed here in line 9: 'a: b: c'"),
        ("a: [3, 4\n", "got '<stream end>' in line 10: 'end of the file'"),
        ("\tseed: 3\n", "cannot start any token in line 9: 'seed: 3'"),
        ("a: *nowhere\n", "found undefined alias 'nowhere' in line 9: 'a: *nowhere'"),
        ("seed: 8\n", "the key 'seed' stands twice in line 9: 'seed: 8'"),
        ("workers:\n  a: 3\n  b: 4\n  a: 5\n", "the key 'a' stands twice in line 12: 'a: 5'"),
        ("? [a, b]\n: 3\n", "found unhashable key in line 9: '? [a, b]'"),
        ("a: !!python/name:os.system\n", "in line 9: 'a: !!python/name:os.system'"),
    ],
)
def test_a_yaml_error_shows_its_line(added: str, sentence: str) -> None:
    message = refusal(text=PRESET + added)
    assert message.startswith("p.yaml: YAML: ")
    assert message.endswith(sentence)


@pytest.mark.parametrize(
    "added",
    [
        "a: &x [*x]\n",
        "a: !!int x\n",
        "a: !!float x\n",
        "a: !!bool x\n",
        "a: !!timestamp x\n",
        "a: " + "9" * 5000 + "\n",
        "a: " + "[" * 900 + "]" * 900 + "\n",
        "a: \x00\n",
    ],
    ids=["cycle", "int", "float", "bool", "timestamp", "long", "deep", "NUL"],
)
def test_a_hostile_document_is_bad_input_not_a_crash(added: str) -> None:
    assert refusal(text=PRESET + added).startswith("p.yaml: YAML: ")


@pytest.mark.parametrize("key", ["3", "true", "~", "2024-02-03"])
def test_keys_that_are_no_words_are_unknown(key: str) -> None:
    sentence = refusal(text=f"{PRESET}{key}: 4\n")
    assert sentence.endswith(f"unknown key; choose from {', '.join(sorted(Spec.model_fields))}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("description: schön\n".encode("latin-1"))
    for path, reason in [
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (latin, "it is not UTF-8 text"),
    ]:
        with pytest.raises(InputError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: cannot be read: {reason}"


# ---------------------------------------------------------------- --set


def test_overrides_reach_any_depth_and_make_their_sections() -> None:
    spec = spec_of(
        "seed=12",
        "search.level=4e-3",
        "search.greedy.optimizer={kind: adam, lr: 3e-2}",
        "search.audit.grid=fine",
        "limits.seconds=3.5",
        "problem.network={kind: linear, sizes: [1, 2, 1]}",
    )
    assert (spec.seed, spec.search.level, spec.search.audit.grid) == (12, 4e-3, "fine")
    assert spec.search.greedy.optimizer == Adam(kind="adam", lr=3e-2)
    assert (spec.limits.seconds, spec.limits.beads) == (3.5, 70)
    assert spec.problem.network == LinearNetwork(kind="linear", sizes=(1, 2, 1))


def test_overrides_build_a_section_key_by_key() -> None:
    spec = spec_of("endpoints.optimizer.kind=sgd", "endpoints.optimizer.momentum=0.6")
    assert spec.endpoints.optimizer == Sgd(kind="sgd", momentum=0.6)


def test_an_override_fills_a_section_left_empty() -> None:
    text = PRESET.replace("limits: {beads: 70}", "limits:")
    assert spec_of("limits.steps=900", text=text).limits.steps == 900


@pytest.mark.parametrize(
    ("override", "description"),
    [("description=off", "off"), ("description=a=b", "a=b"), ("description='3'", "3")],
)
def test_the_value_of_an_override_is_read_as_yaml(override: str, description: str) -> None:
    assert spec_of(override).description == description


def test_the_last_override_of_a_key_counts() -> None:
    assert spec_of("seed=4", "seed=9").seed == 9


def test_overrides_leave_the_tree_they_start_from() -> None:
    tree = read_yaml(PRESET, "p.yaml")
    with_overrides(tree, ["search.level=0.3", "limits.seconds=3"])
    assert tree == read_yaml(PRESET, "p.yaml")


@pytest.mark.parametrize("override", ["search.level", "=3", ".seed=3", "a..b=3", "seed.=3", ""])
def test_a_malformed_override_says_the_form(override: str) -> None:
    assert refusal(override) == f"p.yaml: --set {override!r} is not of the form a.b=value"


def test_an_override_below_a_value_names_it() -> None:
    assert refusal("problem.loss.deep.er=3") == (
        'p.yaml: problem.loss: is "l1" and has no keys below it, '
        "but --set gives 'problem.loss.deep.er=3'"
    )


def test_an_override_that_is_no_yaml_names_itself() -> None:
    message = refusal("limits.beads=[")
    assert message.startswith("--set limits.beads=[: YAML: ")
    assert message.endswith("in line 1: '['")


# ---------------------------------------------------------------- resolved form


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


def test_a_revised_file_changes_in_the_keys_that_are_set(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(PRESET)
    before = read_yaml(PRESET, file)
    text = revised(before, file, ["limits.beads=71", "limits.steps=9"])
    assert read_yaml(text, file) == before | {"limits": {"beads": 71, "steps": 9}}


def test_a_file_is_not_revised_to_what_is_no_spec(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(PRESET)
    with pytest.raises(InputError, match=r"run.yaml: limits.beads: is 1, but must be"):
        revised(read_yaml(PRESET, file), file, ["limits.beads=1"])


# ---------------------------------------------------------------- data beside the preset

ARRAYS = PRESET.replace(
    "{kind: polynomial, coefficients: [0.3, 0.25, 0.5], points: 40}", "{kind: arrays, path: PATH}"
)


def path_in(preset: Path) -> str:
    data = load(preset).problem.data
    assert isinstance(data, ArraysData)
    return data.path


def test_a_relative_data_path_is_taken_from_the_presets_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "sets").mkdir(parents=True)
    (folder / "sets" / "waves.npz").touch()
    preset = folder / "p.yaml"
    preset.write_text(ARRAYS.replace("PATH", "sets/waves.npz"))
    monkeypatch.chdir(elsewhere)
    assert path_in(preset) == str((folder / "sets" / "waves.npz").resolve())
    assert path_in(Path("../project/p.yaml")) == path_in(preset)


@pytest.mark.parametrize("path", ["not-here.npz", "/data/waves.npz"])
def test_other_data_paths_stay_as_they_are(path: str, tmp_path: Path) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text(ARRAYS.replace("PATH", path))
    assert path_in(preset) == path
