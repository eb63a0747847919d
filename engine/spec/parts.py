"""A problem from three texts, for those who have no preset. No torch here.

Each text is what stands behind a key of `problem` in a preset, the path of a YAML file that holds
it, or in short a function of the user's own or the name of a kind.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.part import renamed
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.spec.yaml_file import anchored, read_tree, read_yaml


def problem_of_parts(network: str, data: str, loss: str) -> ProblemSpec:
    """Returns the problem of a network, data and a loss, each in a text.

    A text is YAML as in a preset, such as `{kind: mlp, sizes: [64, 32, 10]}`; the path of a .yaml
    file with such keys, whose own files are looked for beside it; a function, such as
    `mine.py:Classifier`; or a word: the name of a kind of data without other keys, or of a loss.
    Raises InputError where they cannot be read, or are no keys of a problem.
    """
    texts = {"network": network, "data": data, "loss": loss}
    trees = {part: _tree(part, text) for part, text in texts.items()}
    found = validated(ProblemSpec, trees)
    folders = {part: _folder(text) for part, text in texts.items()}
    placed = {
        part: renamed(value, partial(anchored, folder=folder))
        for part, folder in folders.items()
        if not isinstance(value := getattr(found, part), str)
    }
    drawn = found.batch_norm.model_copy(update={"seed": 0})  # as in a new run
    return found.model_copy(update=placed | {"batch_norm": drawn})


def _tree(part: str, text: str) -> Any:
    """Returns the plain value of a part of a problem. Raises InputError."""
    value = read_tree(Path(text)) if _is_path(text) else read_yaml(text, f"--{part}")
    if isinstance(value, str):
        if ":" in value:
            value = {"factory": value}
        elif part != "loss":
            value = {"kind": value}
    if value is None:
        raise InputError("is empty; see `dss-tui presets digits` for an example", key=f"--{part}")
    if part != "loss" and isinstance(value, dict) and "factory" in value:
        return {"kind": "custom"} | value
    return value


def _folder(text: str) -> Path:
    """Returns the folder in which the files that a text names are looked for first."""
    return Path(text).parent if _is_path(text) else Path.cwd()


def _is_path(text: str) -> bool:
    """Returns whether a text is the path of a YAML file."""
    return text.endswith((".yaml", ".yml"))
