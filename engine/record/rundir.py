"""The paths of a run directory, through which an engine and its viewers talk. No torch here.

The engine writes there with a `RunWriter`. Everybody else reads, at any time and from any process.
Files that are replaced are replaced atomically; `events.jsonl` and `commands.jsonl` only grow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.record.reading import LARGEST_PRESET, read_text
from engine.spec.keys import Spec
from engine.spec.yaml_file import read_yaml, revised, spec_of


@dataclass(frozen=True)
class RunDir:
    """The folder of one run, and the paths of the files in it."""

    path: Path
    """The folder."""

    @property
    def spec(self) -> Path:
        """The preset with every default and override resolved."""
        return self.path / "run.yaml"

    @property
    def meta(self) -> Path:
        """The machine and the versions of the newest session (`meta.Meta`)."""
        return self.path / "meta.json"

    @property
    def events(self) -> Path:
        """The events of the search, one JSON object per line (`events`)."""
        return self.path / "events.jsonl"

    @property
    def progress(self) -> Path:
        """The newest counters and profiles (`progress.Progress`)."""
        return self.path / "progress.json"

    @property
    def commands(self) -> Path:
        """The commands of viewers, one JSON object per line (`commands`)."""
        return self.path / "commands.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The state from which the search can go on."""
        return self.path / "checkpoint.safetensors"

    @property
    def checkpoint_before(self) -> Path:
        """The checkpoint before that one, where beads at rest have files of their own."""
        return self.path / "checkpoint.before.safetensors"

    @property
    def beads(self) -> Path:
        """The folder of the beads at rest that checkpoints refer to."""
        return self.path / "beads"

    @property
    def string(self) -> Path:
        """The newest string (`string_file`)."""
        return self.path / "string.safetensors"

    @property
    def planes(self) -> Path:
        """The folder of the loss planes that were asked for (`loss_plane`)."""
        return self.path / "planes"

    @property
    def measures(self) -> Path:
        """The folder of the quantities along the string that were measured (`quantity`)."""
        return self.path / "measures"

    @property
    def log(self) -> Path:
        """The warnings and tracebacks of the engine."""
        return self.path / "engine.log"

    @property
    def notes(self) -> Path:
        """The user's note on the run (`notes.Notes`)."""
        return self.path / "notes.json"

    @property
    def lock(self) -> Path:
        """The file that an engine keeps locked while it runs the run."""
        return self.path / ".lock"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def load_spec(self, overrides: Iterable[str] = ()) -> Spec:
        """Returns the run's preset with `a.b=value` overrides. Raises InputError."""
        return spec_of(self.read_tree(), self.spec, overrides)

    def revised(self, overrides: Iterable[str]) -> str:
        """Returns the text of the run's preset with `a.b=value` overrides. Raises InputError."""
        return revised(self.read_tree(), self.spec, overrides)

    def read_tree(self) -> Any:
        """Returns the plain value of the run's preset as it is written. Raises InputError."""
        return read_yaml(read_text(self.spec, LARGEST_PRESET), self.spec)
