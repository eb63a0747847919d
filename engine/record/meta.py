"""The machine and the versions that computed a run, as `meta.json` holds them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from engine.record.events import dump_json
from engine.record.marks import Count
from engine.record.reading import read_json
from engine.record.rundir import RunDir


@dataclass(frozen=True)
class Meta:
    """The machine and the versions of a run's newest session."""

    version: str = ""
    """The version of dss-tui."""
    host: str = ""
    """The name of the machine."""
    pid: Count = 0
    """The process number of the engine on that machine."""
    devices: tuple[str, ...] = ()
    """The names of the GPUs, or the CPU with its number of threads."""
    torch: str = ""
    """The version of torch."""
    numpy: str = ""
    """The version of numpy."""
    python: str = ""
    """The version of Python."""
    started: str = ""
    """The time when the run's first session began, in ISO 8601 with its offset from UTC."""
    session_started: str = ""
    """The time when the newest session began, in the same format."""

    def to_json(self) -> bytes:
        """Returns the content of `meta.json`."""
        return dump_json(self).encode()


def read_meta(run: RunDir) -> Meta | None:
    """Returns the facts of a run's newest session, or None before the first. Raises Damaged."""
    return read_json(Meta, run.meta)
