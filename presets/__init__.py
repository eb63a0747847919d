"""The presets that ship with the package: commented YAML files, by name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from engine.errors import InputError, nearest
from engine.spec.keys import Spec
from engine.spec.yaml_file import load

FOLDER = Path(str(resources.files("presets")))


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path_of(preset: str) -> Path:
    """The file of a shipped preset's name, or a path to a .yaml. Raises InputError."""
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset).expanduser()
        if not path.is_file():
            raise InputError("no such file", file=preset)
        return path
    if preset not in names():
        raise InputError(
            f"no such preset; {nearest(preset, names())} (or give the path of a .yaml file)",
            file=preset,
        )
    return FOLDER / f"{preset}.yaml"


def load_preset(preset: str, overrides: Iterable[str] = ()) -> Spec:
    """The spec of a preset with `a.b=value` overrides. Raises InputError."""
    return load(path_of(preset), overrides)


def source(preset: str) -> str:
    """The text of a preset, comments and all. Raises InputError."""
    return path_of(preset).read_text(encoding="utf-8")
