"""The crew of a folder of many runs by the word that names it on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.run.batched import Batched
from engine.run.crew import Crew
from engine.run.grid import AT_ONCE


@contextmanager
def crew_of(word: str | None, usual: int = AT_ONCE) -> Iterator[Crew]:
    """Gives a crew, for as long as the block takes.

    Args:
        word: The number of tasks that are under way at a time in this process, None for `usual`, or
            the address of a cluster, which is joined.
        usual: The number of tasks that are usual.

    Raises:
        InputError: The word is neither, or there is no such cluster.
    """
    if word is None or (word.isdecimal() and int(word)):
        yield Batched(int(word or usual))
        return
    from engine.run.cluster.address import parse_address

    address = parse_address(word)
    from engine.run.cluster.crew import OnCluster
    from engine.run.cluster.dask import open_cluster

    with open_cluster(address) as cluster:
        yield OnCluster(cluster)
