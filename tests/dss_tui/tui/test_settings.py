"""What a user can switch off, and files that say it badly."""

from __future__ import annotations

from pathlib import Path

import pytest

from dss_tui.tui import settings as module
from dss_tui.tui.settings import Settings, images, settings
from engine.errors import InputError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "path", lambda: tmp_path / "settings.yaml")
    return tmp_path / "settings.yaml"


def test_without_a_file_all_is_on(file: Path) -> None:
    assert settings() == Settings(bell=True, title=True, images=None)


def test_each_can_be_switched_off(file: Path) -> None:
    file.write_text("bell: false\n")
    assert settings() == Settings(bell=False, title=True)
    file.write_text("{title: false, bell: true}\n")
    assert settings() == Settings(bell=True, title=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bell: 3\n", "true or false"),
        ("- bell\n", "true or false"),
        ("bells: true\n", "bell, title, images"),
        ("bell: [\n", "settings.yaml"),
    ],
)
def test_a_bad_file_is_named_with_the_remedy(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=r"settings\.yaml") as caught:
        settings()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_in_its_place_is_said(file: Path) -> None:
    file.mkdir()
    with pytest.raises(InputError, match="directory"):
        settings()


def test_images_are_as_the_file_says_and_undecided_without_it(file: Path) -> None:
    assert images() is None
    for word, value in (("true", True), ("false", False)):
        file.write_text(f"images: {word}\n")
        assert images() is value
    file.write_text("images: [\n")
    assert images() is None
