"""The crew of a sweep by the word that names it on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.run.sweep import Prepare, here


@contextmanager
def crew_of(word: str | None) -> Iterator[Prepare]:
    """Gives what prepares a sweep, for as long as the block takes.

    Args:
        word: The number of cells that are under way at a time in this process, None for as many as
            is usual, or the address of a cluster, which is joined.

    Raises:
        InputError: The word is neither, or there is no such cluster.
    """
    if word is None or (word.isdecimal() and int(word)):
        yield here(int(word)) if word else here()
        return
    from engine.run.cluster.address import parse_address

    address = parse_address(word)
    from engine.run.cluster.crew import on_cluster
    from engine.run.cluster.dask import open_cluster

    with open_cluster(address) as cluster:
        yield on_cluster(cluster)
