"""The command `dss-tui align`: one model with its hidden units in another one's order."""

from __future__ import annotations

import argparse

from dss_tui.commands.two_models import check_writable, models_of
from dss_tui.viewing.waiting import Waiting


def align(asked: argparse.Namespace) -> int:
    """Relabels a model, writes it, and returns 0.

    Raises InputError where that cannot be done or a file not be written.
    """
    check_writable(asked.out, "--out", ".safetensors", ".pt")
    if asked.permutation is not None:
        check_writable(asked.permutation, "--permutation", ".safetensors")
    spec = models_of(asked)
    from engine.run.align import align as aligned

    with Waiting("aligned") as told:
        found = aligned(
            asked.first,
            asked.second,
            spec,
            asked.by,
            permutation=asked.apply,
            key=asked.key,
            prefix=asked.prefix,
            run_factories=asked.run_factories,
            told=told,
        )
    found.write(asked.out)
    if asked.permutation is not None:
        found.write_permutation(asked.permutation)
    print(f"{asked.out}: {found.name}, {found.words}")
    for line in found.aligned.table:
        print(f"  {line}")
    print(
        f"its outputs on training samples differ by {found.aligned.off:.1g} of the largest one; "
        f"{found.aligned.passes} samples were passed through the network"
    )
    return 0
