"""Presets as text: numbers, words, anchors, overrides, files, and what is no YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.data.arrays import ArraysData
from engine.errors import InputError
from engine.networks.linear import LinearNetwork
from engine.spec.optimizers import Adam, Sgd
from engine.spec.yaml_file import faults_in, load, read_yaml, revised, with_overrides
from tests.support.preset import PRESET, refusal, spec_of


def scalar(text: str) -> object:
    value: object = read_yaml(f"v: {text}\n", "p.yaml")["v"]
    return value


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


def test_a_full_path_stays_as_it_is_behind_links_too(tmp_path: Path) -> None:
    """So a run.yaml says the same wherever, and whenever, it is read."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "waves.npz").touch()
    preset = tmp_path / "p.yaml"
    preset.write_text(ARRAYS.replace("PATH", str(tmp_path / "link" / "waves.npz")))
    assert path_in(preset) == str(tmp_path / "link" / "waves.npz")


@pytest.mark.parametrize("path", ["not-here.npz", "/data/waves.npz"])
def test_other_data_paths_stay_as_they_are(path: str, tmp_path: Path) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text(ARRAYS.replace("PATH", path))
    assert path_in(preset) == path


def test_faults_of_a_file_and_of_its_overrides_come_together(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(PRESET)
    assert faults_in(path, ["seed=3"]) == []
    lines = ["search.level=[", "no equals sign", "seed.x=1", "search.alpha=7"]
    told = [(error.key, error.what) for error in faults_in(path, lines)]
    assert [key for key, _ in told] == ["search.level", "no equals sign", "seed", "search.alpha"]
    assert told[0][1].startswith("YAML: ")
    path.write_text("a: [")
    (error,) = faults_in(path, lines)
    assert "YAML" in str(error)
    path.unlink()
    (error,) = faults_in(path)
    assert str(error) == f"{path}: cannot be read: No such file or directory"
