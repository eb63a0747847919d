"""A problem small enough to be trained in every test."""

from __future__ import annotations

from engine.problem.problem import Problem, build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated


def small_problem() -> Problem:
    """A parabola at fifty points, and a network of 33 weights."""
    tree = {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 50},
        "network": {"kind": "mlp", "sizes": [1, 4, 4, 1], "activation": "tanh"},
        "loss": "mse",
    }
    return build_problem(validated(ProblemSpec, tree))
