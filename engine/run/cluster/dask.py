"""A Dask cluster by its address: workers of this machine, or those of a scheduler elsewhere.

Only this module imports Dask, which is the extra `cluster`.
"""

from __future__ import annotations

import importlib.util
import logging
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import InputError
from engine.run.cluster.address import Address
from engine.run.cluster.errand import GO, Word

#: The seconds in which a scheduler must answer, and those in which it must have a worker.
CONNECT_S, WORKERS_S = 10, 60
#: The seconds that a worker waits to hear what is asked for.
HEAR_S = 5
#: The most attempts to start workers on this machine.
STARTS = 3
#: What a worker with a GPU declares (`dask worker --resources GPU=1`).
GPU = "GPU"


@dataclass(frozen=True)
class Dask:
    """The workers of a Dask cluster, through the executor of its client."""

    client: Any
    """The `distributed.Client`."""
    channel: str
    """The name of the variable of the scheduler that holds the word for all cells."""

    def submit(self, work: Callable[..., Any], *arguments: Any, gpu: bool = False) -> Future[Any]:
        """Asks a worker to call a function; another one does if that worker is lost.

        With `gpu` it is a worker that declares a GPU, where any worker does.
        """
        resources = {GPU: 1} if gpu and _declares_gpus(self.client) else None
        executor = self.client.get_executor(pure=False, resources=resources)
        future: Future[Any] = executor.submit(work, *arguments)
        return future

    def tell(self, word: Word) -> None:
        """Tells all cells of this session what they are asked for."""
        from distributed import Variable

        Variable(self.channel, client=self.client).set(word)

    @property
    def ask(self) -> Callable[[], Word]:
        """What a worker calls to hear that word."""
        return partial(heard, self.channel)


def heard(channel: str) -> Word:
    """Returns, on a worker, the word that the variable of that name holds."""
    from distributed import Variable, get_client

    return str(Variable(channel, client=get_client()).get(timeout=HEAR_S))


@contextmanager
def open_cluster(address: Address) -> Iterator[Dask]:
    """Connects to a cluster, or starts its workers on this machine, for as long as the block takes.

    Raises InputError where Dask is not installed, nothing answers there, or no worker comes.
    """
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            f"is {address.text}, but Dask is not installed; install the extra `cluster` "
            "(pip install 'dss-tui[cluster]')",
            key="--cluster",
        )
    with _client(address) as client:
        cluster = Dask(client, f"dss-tui-{secrets.token_hex(8)}")
        cluster.tell(GO)
        yield cluster


@contextmanager
def _client(address: Address) -> Iterator[Any]:
    """Gives a client of the cluster with at least one worker. Raises InputError."""
    from distributed import Client

    if address.kind == "local":
        with _started(address) as workers, Client(workers) as client:
            yield client
        return
    try:
        client = Client(address.text, timeout=CONNECT_S)
    except TypeError as error:  # what Dask raises for want of certificates
        raise InputError(
            f"is {address.text}, but no certificates are named here ({error}); name them in Dask's "
            "configuration, such as ~/.config/dask/tls.yaml",
            key="--cluster",
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"is {address.text}, where no Dask scheduler answers ({why}); start one with `dask "
            "scheduler`",
            key="--cluster",
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise InputError(
                f"is {address.text}, whose scheduler has no worker; start one with `dask worker "
                f"{address.text}`",
                key="--cluster",
            ) from None
        yield client


def _started(address: Address) -> Any:
    """Returns a `LocalCluster` whose workers have started, anew where one was lost meanwhile.

    Raises InputError where they do not start at the last attempt either.
    """
    from distributed import LocalCluster

    why = ""
    for _ in range(STARTS):
        try:
            return LocalCluster(
                n_workers=address.workers,
                threads_per_worker=1,
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.ERROR,
            )
        except RuntimeError as error:  # it has closed itself
            why = str(error).strip().rstrip(".")
    raise InputError(
        f"is {address.text}, whose workers do not start ({why}); give fewer, or leave it out",
        key="--cluster",
    )


def _declares_gpus(client: Any) -> bool:
    """Returns whether any worker declares a GPU."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker["resources"].get(GPU, 0) for worker in workers)
