"""The presets that ship with the package: commented YAML files, by name.

`engine.spec.shipped` looks them up, so that `engine.load_preset` knows their names too.
"""

from __future__ import annotations

from engine.spec.shipped import FOLDER, load_preset, names, path_of, source

__all__ = ["FOLDER", "load_preset", "names", "path_of", "source"]
