"""Whether kernels can be had on this machine, and whether they compute what torch computes."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from importlib.util import find_spec

import torch

from engine.backends import rounds
from engine.backends.triton_rounds.backend import TritonBackend
from engine.backends.vmapped import VmappedBackend
from engine.steps.groups import Group
from engine.steps.recipe import Recipe
from engine.steps.rows import Rows, fresh

#: The number of beads of the trial, and the relative and absolute differences that it allows.
BEADS, RTOL, ATOL = 3, 1e-3, 1e-5
#: The share of a gradient's largest entry below which an entry is nothing but rounding. Optimizers
#: that divide by it make whole steps of it.
NOTHING = 1e-4


def why_not() -> str | None:
    """Returns why kernels cannot be compiled on this machine, or None where they can."""
    if find_spec("triton") is None:
        return "Triton cannot be imported; builds of torch for CUDA bring it"
    named = os.environ.get("CC")
    if not any(shutil.which(name) for name in ([named] if named else ["gcc", "clang"])):
        return f"there is no C compiler ({named or 'gcc or clang'}), which Triton needs"
    return None


def why_it_fails(backend: TritonBackend, recipe: Recipe) -> str | None:
    """Returns why the kernels of a recipe cannot be used here, or None where they can.

    Each of some random models takes its last step with them and with torch.
    """
    steps = recipe.training.max_steps - 1
    problem = backend.problem
    theta = torch.stack([problem.initial(seed) for seed in range(BEADS)]).to(problem.device)
    rows = fresh(theta, recipe.slots, -torch.inf, recipe.training.patience, range(BEADS))
    before = [Group(tuple(range(BEADS)), replace(rows, steps=rows.steps + steps))]
    plain = VmappedBackend(problem, backend.piece_bytes)
    # Torch goes on with rows that have ended until the round is over; one more step ends these.
    two = recipe.training.model_copy(update={"check_every": 2})
    try:
        (ours,) = backend.advance(recipe, before)
        (theirs,) = rounds.advance(plain, replace(recipe, training=two), before)
        same = _agree(ours.rows, theirs.rows, plain.loss_and_grad(theta)[1])
    except Exception as error:  # of a compiler, a driver or a device that cannot be foreseen
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None if same else "they compute something else than torch"


def _agree(ours: Rows, theirs: Rows, grad: torch.Tensor) -> bool:
    """Returns whether rows took the same steps, but for weights whose gradient is rounding."""
    clear = grad.abs() > NOTHING * grad.abs().amax(1, keepdim=True)
    pairs = [(ours.theta[clear], theirs.theta[clear]), (ours.loss, theirs.loss)]
    ended = bool((ours.end == theirs.end).all() and (ours.steps == theirs.steps).all())
    return ended and all(torch.allclose(a, b, RTOL, ATOL) for a, b in pairs)
