"""The user's own keys, in `keys.yaml` in dss-tui's configuration folder of the platform.

The file maps the ids of bindings to keys, separated by commas, such as `run.stop: ctrl+x`.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs
from textual.binding import Binding

from engine.errors import InputError
from engine.own_file import read_text
from engine.spec.yaml_file import read_yaml

#: The size in bytes of the largest file that is read.
LARGEST = 10_000


def moving(first: str, last: str) -> list[Binding]:
    """Returns bindings of j, k, g, G, home and end for a list.

    `first` and `last` are the list's actions for its first and last item.
    """
    actions = {"j": "cursor_down", "k": "cursor_up", "g,home": first, "G,end": last}
    return [Binding(key, action, show=False) for key, action in actions.items()]


def path() -> Path:
    """Returns the path of the file of the user's keys."""
    return Path(platformdirs.user_config_dir("dss-tui")) / "keys.yaml"


def keymap() -> dict[str, str]:
    """Returns the user's keys by the ids of bindings, none where there is no file.

    Raises InputError for a file that cannot be read or does not map names to keys.
    """
    file = path()
    try:
        text = read_text(file, LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from None
    tree = read_yaml(text, file)
    if not isinstance(tree, dict) or not all(isinstance(keys, str) for keys in tree.values()):
        raise InputError("must map names of bindings to keys, such as run.stop: ctrl+x", file=file)
    return {str(name): str(keys) for name, keys in tree.items()}
