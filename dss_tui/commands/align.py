"""The command `dss-tui align`: one model with its hidden units in another one's order."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.errors import InputError


def align(asked: argparse.Namespace) -> int:
    """Relabels a checkpoint, writes it, and returns 0.

    Raises InputError where that cannot be done or a file not be written.
    """
    for path, option in ((asked.out, "--out"), (asked.permutation, "--permutation")):
        if path is not None:
            _check_writable(path, option)
    from engine.run.align import align as aligned
    from engine.run.align import check_ending
    from presets import load_preset

    check_ending(asked.out)
    spec = load_preset(asked.preset, asked.overrides)
    found = aligned(
        asked.first,
        asked.second,
        spec,
        asked.by,
        permutation=asked.apply,
        key=asked.key,
        prefix=asked.prefix,
    )
    found.write(asked.out)
    if asked.permutation is not None:
        found.write_permutation(asked.permutation)
    print(f"{asked.out}: {asked.second}, {found.words}")
    for line in found.aligned.table:
        print(f"  {line}")
    print(
        f"its outputs on training samples differ by {found.aligned.off:.1g} of the largest one; "
        f"{found.aligned.passes} samples were passed through the network"
    )
    return 0


def _check_writable(path: Path, option: str) -> None:
    """Raises InputError where a file cannot be written there."""
    if not path.absolute().parent.is_dir():
        raise InputError("its folder does not exist; make it first", file=path, key=option)
    if option == "--permutation" and path.suffix != ".safetensors":
        raise InputError("must end in .safetensors; choose another name", file=path, key=option)
