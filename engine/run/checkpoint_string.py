"""The newest whole string in a run's checkpoint, for runs that ended before they wrote a string.

Nothing is trained or measured, and nothing in the run's folder changes.
"""

from __future__ import annotations

import math

import torch

from engine.methods.method import KeptString, StagedMethod
from engine.path.chain_string import string_of_snapshot
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.string_file import StringFile
from engine.run import checkpoint
from engine.run.choosing import backend_to_verify
from engine.run.job import Job
from engine.run.prepare import problem_of
from engine.workers.pool import Pool


def string_of_checkpoint(run: RunDir, since_s: float = -math.inf) -> StringFile | None:
    """Returns the newest string in a run's checkpoint whose segments are all measured.

    That is the string as it was, or where some of its beads have moved since, the one with the
    lowest peak. Its beads may be mapped from the run's files. Returns None where there is no such
    string, where the checkpoint is not from later than `since_s` seconds of the run, and while an
    engine holds the run, which may delete these files.

    Raises InputError where the checkpoint cannot be read, or belongs to another preset.
    """
    if is_live(run) or checkpoint.saved_s(run) <= since_s:
        return None
    spec = run.load_spec()
    problem = problem_of(spec)
    with Pool(backend_to_verify(spec.problem, problem), [torch.device("cpu")]) as pool:
        job = Job.on(pool, spec)
        found = checkpoint.look(run, spec, job.method)
        whole = None if found is None else _whole(job.method)
        if found is None or whole is None:
            return None
        return job.file_of(whole, "running", found.elapsed_s)


def _whole(method: StagedMethod) -> KeptString | None:
    """Returns the newest string of a search that is measured as a whole; None without one."""
    chain = method.chain
    tried = method.descent is not None and method.descent.trying is not None
    if tried or (len(chain.order) > 1 and not chain.unmeasured):
        return method.kept_string()
    if chain.lowest is None:
        return None
    string = string_of_snapshot(chain.lowest, chain.grid)
    return KeptString(string, chain.lowest.order, chain.level)
