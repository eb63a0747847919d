"""The address of a cluster, as `--cluster` names it. No torch and no Dask here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from engine.errors import InputError

#: The forms of an address, for sentences.
FORMS = "give local:N with N workers of this machine, tcp://HOST:PORT or tls://HOST:PORT"
#: The most workers that are started on this machine.
MOST_LOCAL = 1024


@dataclass(frozen=True)
class Address:
    """The address of a cluster."""

    text: str
    """The address as it was given."""
    kind: Literal["local", "tcp", "tls"]
    workers: int = 0
    """The number of workers to start on this machine, of `local`."""

    @property
    def warning(self) -> str | None:
        """The sentence about what this kind of address lets others do, or None."""
        if self.kind != "tcp":
            return None
        return (
            f"--cluster {self.text}: whoever reaches this address can run code on the workers, and "
            "read the weights and data that pass, since Dask's messages are pickles; tls:// asks "
            "for certificates and encrypts"
        )


def parse_address(text: str) -> Address:
    """Returns the address in a text. Raises InputError for what is none."""
    if found := re.fullmatch(r"local:([0-9]{1,4})", text):
        workers = int(found[1])
        if not 1 <= workers <= MOST_LOCAL:
            raise InputError(
                f"is {text!r}; give a number of workers from 1 to {MOST_LOCAL}", key="--cluster"
            )
        return Address(text, "local", workers)
    if re.fullmatch(r"tcp://[^\s/]+:[0-9]{1,5}", text):
        return Address(text, "tcp")
    if re.fullmatch(r"tls://[^\s/]+:[0-9]{1,5}", text):
        return Address(text, "tls")
    raise InputError(f"is {text!r}; {FORMS}", key="--cluster")
