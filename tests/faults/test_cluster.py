"""What `tests.support.faults.cluster` does to the processes of a command.

`python -m tests.support.faults.cluster` kills workers of sweeps; docs/reliability.md has its
counts, and `tests/engine/run/cluster/test_dask.py` kills one.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time

from tests.support.faults.cluster import killed, workers_of

#: Starts two processes as Dask does, tells it, and ends once both have ended.
STARTS_TWO = """
import multiprocessing, time
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=time.sleep, args=(60,)) for _ in range(2)]
    for each in started:
        each.start()
    print("started", flush=True)
    for each in started:
        each.join()
    print([each.exitcode for each in started], flush=True)
"""


def test_workers_are_found_and_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_TWO], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        assert len(workers_of(process.pid)) == 2
        assert killed(process, [0.0, 0.2], random.Random(0)) == 2
        assert process.stdout.readline() == "[-9, -9]\n"
        assert process.wait() == 0
        assert workers_of(process.pid) == []


def test_a_process_that_ends_by_itself_is_let_be() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], text=True)
    began = time.monotonic()
    assert killed(process, [60.0], random.Random(0)) == 0
    assert time.monotonic() - began < 30
