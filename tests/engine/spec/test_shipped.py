"""Shipped presets by name, with keys set from a program or a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import presets
from engine.errors import InputError
from engine.spec.shipped import FOLDER, load_preset, names, path_of, source

SHIPPED = Path(presets.__file__).parent


def test_the_folder_is_that_of_the_package() -> None:
    assert FOLDER == SHIPPED
    assert names() == sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    assert {"digits", "quadratic"} <= set(names())


def test_a_user_s_own_folder_of_that_name_does_not_hide_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "digits.yaml").write_text("search: {level: 7}")
    monkeypatch.chdir(tmp_path)
    assert path_of("digits") == SHIPPED / "digits.yaml"
    assert source("digits") == (SHIPPED / "digits.yaml").read_text(encoding="utf-8")


def test_keys_are_set_by_a_mapping_as_by_texts() -> None:
    adam = {"kind": "adam", "lr": 3e-7}
    by_mapping = load_preset(
        "digits", {"search.level": 1e-5, "endpoints.optimizer": adam, "limits.seconds": None}
    )
    by_texts = load_preset(
        "digits",
        ["search.level=1e-5", "endpoints.optimizer={kind: adam, lr: 3e-7}", "limits.seconds=null"],
    )
    assert by_mapping == by_texts
    assert (by_mapping.search.level, by_mapping.endpoints.optimizer.lr) == (1e-5, 3e-7)
    assert load_preset("digits", "search.level=0.3").search.level == 0.3


def test_a_seed_and_a_device_count_more_than_the_keys() -> None:
    spec = load_preset("digits", {"seed": 4, "device": "auto"}, seed=11, device="cpu")
    assert (spec.seed, spec.device) == (11, "cpu")
    assert load_preset("digits", {"seed": 4}).seed == 4


def test_a_path_is_a_preset_too(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text(source("digits"))
    assert load_preset(copy) == load_preset(str(copy)) == load_preset("digits")


@pytest.mark.parametrize(
    ("preset", "overrides", "words"),
    [
        ("digit", (), r"^digit: no such preset; did you mean 'digits'\?"),
        ("mine.yml", (), r"^mine\.yml: no such file"),
        ("digits", {"search.levle": 0.1}, r"digits\.yaml: search\.levle.*'level'"),
        ("digits", {"search.alpha": 7}, r"digits\.yaml: search\.alpha: .*7"),
        ("digits", ["search.alpha"], r"--set 'search\.alpha' is not of the form"),
    ],
)
def test_what_is_no_preset_is_refused(preset: str, overrides: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_preset(preset, overrides)  # type: ignore[arg-type]
