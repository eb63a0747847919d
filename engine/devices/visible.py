"""Which GPUs CUDA_VISIBLE_DEVICES lets a process use. No torch here."""

from __future__ import annotations

import re

from engine.devices.nvml import PART, WHOLE

#: The name of the variable.
VARIABLE = "CUDA_VISIBLE_DEVICES"
#: An entry that CUDA understands: a number, a GPU or a part of one (also by its GPU, as before).
ENTRY = re.compile(r"\d+|(?:GPU|MIG)-[\w/-]+")


def entries(value: str | None) -> tuple[str, ...] | None:
    """Returns the entries of the variable's value that count; None where all GPUs may be used.

    As in CUDA, nothing counts from the first entry on that is not understood, such as -1.
    """
    if value is None:
        return None
    found: list[str] = []
    for entry in map(str.strip, value.split(",")):
        if not ENTRY.fullmatch(entry):
            break
        found.append(entry)
    return tuple(found)


def uuid_of(number: int, told: str | None, value: str | None) -> str:
    """Returns the identifier of the GPU that this process numbers so; empty where not known.

    An entry that names a part of a GPU goes first, because some versions of CUDA tell the whole
    one's identifier of it. A number in the variable names no GPU: CUDA orders them by speed, the
    management library by their places.

    Args:
        number: The number in the device's name, such as 1 of cuda:1.
        told: The identifier that torch tells, or None where it tells none.
        value: The value of CUDA_VISIBLE_DEVICES, or None where it is not set.
    """
    named = entries(value) or ()
    entry = named[number] if number < len(named) else ""
    if entry.startswith(PART):
        return entry
    if told:
        return told if told.startswith((WHOLE, PART)) else f"{WHOLE}{told}"
    return entry if entry.startswith(WHOLE) else ""
