"""A problem from three texts, which is that of a preset with the same keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.spec.parts import problem_of_parts
from engine.spec.shipped import load_preset

MLP = "{kind: mlp, sizes: [64, 32, 10]}"


def test_yaml_stands_for_what_it_stands_for_in_a_preset() -> None:
    expected = load_preset("digits").of_a_new_run().problem
    assert problem_of_parts(MLP, "digits", "cross_entropy") == expected
    assert problem_of_parts(MLP, "{kind: digits}", "cross_entropy") == expected


def test_functions_and_files_are_found_from_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "other.py").write_text("")
    (tmp_path / "there" / "net.yaml").write_text("factory: other.py:net\nargs: {width: 3}\n")
    monkeypatch.chdir(tmp_path)
    found = problem_of_parts("there/net.yaml", "mine.py:moons", "mine.py:focal")
    told = found.model_dump(exclude_defaults=True, exclude={"batch_norm"})
    here, there = (tmp_path / place for place in ("mine.py", "there/other.py"))
    assert told["network"] == {
        "kind": "custom",
        "factory": f"{there.resolve()}:net",
        "args": {"width": 3},
    }
    assert told["data"] == {
        "kind": "custom",
        "factory": f"{here.resolve()}:moons",
    }
    assert told["loss"] == {"factory": f"{here.resolve()}:focal"}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("mpl", "digits", "mse"), r"network\.kind: unknown kind 'mpl'; did you mean 'mlp'"),
        ((MLP, "digits", "mes"), r"loss: is \"mes\"; did you mean 'mse'"),
        ((MLP, "", "mse"), "^--data: is empty"),
        (("{kind: mlp", "digits", "mse"), "^--network: YAML: "),
        (("gone.yaml", "digits", "mse"), r"gone\.yaml: cannot be read"),
    ],
)
def test_mistakes_are_told(texts: tuple[str, str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        problem_of_parts(*texts)
