"""Where and with what a run was computed: what `meta.json` holds. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from engine.record.decoding import Count
from engine.record.events import dump_json
from engine.record.reading import read_json
from engine.record.rundir import RunDir


@dataclass(frozen=True)
class Meta:
    """The machine and the versions of a run's newest session."""

    version: str = ""
    """Version of this program."""
    host: str = ""
    pid: Count = 0
    """Process number of the engine on that host."""
    devices: tuple[str, ...] = ()
    """Names of the GPUs, or the CPU with its number of threads."""
    torch: str = ""
    numpy: str = ""
    python: str = ""
    started: str = ""
    """When the run's first session began, in ISO 8601 with its offset."""
    session_started: str = ""
    """When the newest session began."""

    def to_json(self) -> bytes:
        """Returns what `meta.json` holds."""
        return dump_json(self).encode()


def read_meta(run: RunDir) -> Meta | None:
    """Returns the newest session's facts, None before the first session. Raises Damaged."""
    return read_json(Meta, run.meta)
