"""The presets that ship: commented YAML files, by name, before the user's own. No torch here.

They lie in the folder `presets` beside the package `engine`, in a clone as in an installation. The
folder is found by its place and not by its name, because a user's own folder may be called
`presets` as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import InputError, nearest
from engine.spec import own
from engine.spec.keys import Spec
from engine.spec.yaml_file import load

#: The folder of the shipped presets.
FOLDER = Path(__file__).parents[2] / "presets"

Overrides = Iterable[str] | Mapping[str, Any]
"""Keys of a preset that are to be set, and their values: `a.b=value` texts, or a mapping."""


def names() -> list[str]:
    """Returns the names of the shipped presets, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path_of(preset: str) -> Path:
    """Returns the file of a preset: a shipped name, an own one, or the path of a `.yaml` file.

    A name means the shipped preset of that name; where there is none, the file of that name in the
    user's presets folder, and then the one in the current folder (`own`). Raises InputError where
    there is no such name or file.
    """
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset).expanduser()
        if not path.is_file():
            raise InputError("no such file", file=preset)
        return path
    if preset in names():
        return FOLDER / f"{preset}.yaml"
    own_files = own.files()
    for path in own_files:
        if path.stem == preset:
            return path
    known = {*names(), *(path.stem for path in own_files)}
    raise InputError(
        f"no such preset; {nearest(preset, known)} (or give the path of a .yaml file)", file=preset
    )


def load_preset(
    preset: str | Path,
    overrides: Overrides = (),
    *,
    seed: int | None = None,
    device: str | None = None,
) -> Spec:
    """Returns what a preset asks for, validated and with every default in place.

    Args:
        preset: The name of a shipped preset, such as "digits", or of one of the user's own, or the
            path of a `.yaml` file.
        overrides: Keys to set, of any depth: `{"search.level": 0.1}`, or texts as `--set` takes
            them, `["search.level=0.1"]`. They are validated like the file.
        seed: The key `seed` where it is given; it counts more than the overrides.
        device: The key `device` where it is given, such as "cpu" or "cuda:0,cuda:1".

    Raises:
        InputError: There is no such preset, or a key or value is not allowed; the sentence names
            the file, the key, the value and the remedy.
    """
    lines = _lines(overrides)
    lines += [] if seed is None else [f"seed={seed}"]
    lines += [] if device is None else [f"device={device}"]
    return load(path_of(str(preset)), lines)


def _lines(overrides: Overrides) -> list[str]:
    """Returns overrides as `a.b=value` texts, each value as JSON, which YAML reads."""
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return [overrides] if isinstance(overrides, str) else list(overrides)


def source(preset: str) -> str:
    """Returns the text of a preset, comments and all.

    Raises InputError as `path_of` does, and for a file that cannot be read.
    """
    return own.read(path_of(preset))
