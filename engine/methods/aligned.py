"""Ends of which the second is relabelled into the order of the first (`endpoints.align`)."""

from __future__ import annotations

import logging

from engine.alignment.align import align, symmetries
from engine.problem.problem import Problem
from engine.record.costs import NOTHING, Costs
from engine.record.events import LAST
from engine.shapes import Weights
from engine.spec.keys import Spec

log = logging.getLogger(__name__)


def check_alignable(spec: Spec, problem: Problem) -> None:
    """Raises InputError where ends are to be aligned and the network's hidden units are not found.

    A search says so before anything is trained.
    """
    if spec.endpoints.align is not None:
        symmetries(problem)


def aligned(spec: Spec, problem: Problem, first: Weights, last: Weights) -> tuple[Weights, Costs]:
    """Returns the last end (param,) as it is to be connected, and what that has cost.

    It is relabelled where that is asked for. Raises InputError as `alignment.align.align` does.
    """
    if spec.endpoints.align is None:
        return last, NOTHING
    found = align(problem, first, last, spec.endpoints.align)
    log.info("endpoint %d was %s", LAST, found.words)
    return found.theta, Costs(forward_samples=found.passes)
