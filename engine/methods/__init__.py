"""The search methods. Each is a state that starts, steps and knows when it is done."""

from __future__ import annotations

from engine.methods.base import Method
from engine.methods.greedy import GreedyMethod
from engine.pool import Pool
from engine.problem import Problem
from engine.spec import Spec

__all__ = ["Method", "build_method"]


def build_method(spec: Spec, problem: Problem, pool: Pool) -> Method:
    match spec.search.method:
        case "greedy":
            return GreedyMethod(spec, problem, pool)
