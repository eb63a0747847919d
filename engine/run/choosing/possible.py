"""Tells which backends can compute a problem, and why others cannot."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from engine.backends.backend import Way
from engine.backends.compiled import why_not_compiled
from engine.backends.compiled_steps import why_not_compiled_together
from engine.backends.fused.compilation import available
from engine.backends.fused.layout import fused_layout
from engine.backends.in_place import InPlaceBackend
from engine.backends.triton_rounds.availability import why_it_fails, why_not
from engine.backends.triton_rounds.tiles import fits
from engine.backends.vmapped import FEW_TOGETHER, VmappedBackend
from engine.errors import InputError
from engine.problem.losses import CrossEntropy
from engine.problem.problem import Problem
from engine.run.choosing.making import piece_bytes, triton_of
from engine.spec.keys import Spec
from engine.spec.methods import METHODS
from engine.spec.stages import stages_of
from engine.spec.training import Training
from engine.steps.practice import PLAIN
from engine.steps.recipe import recipe_of

log = logging.getLogger("engine")

#: The bytes of all samples in float32 up to which they are copied for compiled code.
FUSED_BYTES = 2**30


class Impossible(InputError):
    """Raised where the backend that search.batching names cannot compute a problem."""

    def __init__(self, way: Way, why: str, *, instead: str = "auto") -> None:
        """Makes the sentence of the reason and of what to choose. `why` stays at hand."""
        self.why = why
        super().__init__(f"is {way}, but {why}; choose {instead}", key="search.batching")


def most_of(spec: Spec) -> Training:
    """Returns the training in which the method of a spec spends most of its time."""
    return stages_of(spec).method


def compiled_way(spec: Spec, problem: Problem) -> Way:
    """Returns the way in which steps are compiled by torch: all models together, or one by one.

    Together, where that is possible and the preset leaves it open. Raises InputError where steps
    cannot be compiled in the way that the preset names, or in none.
    """
    chosen: Way | Literal["auto"] = spec.search.batching
    both: tuple[Way, Way] = ("vmap", "loop")
    if chosen not in ("auto", *both):
        raise InputError(
            f"is true, but search.batching is {spec.search.batching}, and only vmap and loop are "
            "compiled; choose auto",
            key="search.compile",
        )
    practices = [recipe_of(spec, each).practice(problem) for each in stages_of(spec).trainings]
    if any(practice.dropout for practice in practices):
        raise InputError(
            "is true, but steps with dropout are not compiled; choose false", key="search.compile"
        )
    there = problem.to(torch.device(spec.device.split(",")[0]))
    reason = None
    for way in both if chosen == "auto" else (chosen,):
        if way == "vmap":
            reason = why_not_vmap(spec, problem) or why_not_compiled_together(there)
        else:
            reason = why_not_compiled(there)
        if reason is None:
            return way
        log.info("search.compile: not by %s, because %s", way, reason)
    raise InputError(
        f"is true, but torch.compile fails ({reason}); choose false", key="search.compile"
    )


def check_fused(spec: Spec, problem: Problem) -> None:
    """Raises Impossible where compiled code cannot compute the problem."""
    reason = why_not_fused(spec, problem)
    if reason is not None:
        raise Impossible("fused", reason)


def why_not_fused(spec: Spec, problem: Problem) -> str | None:
    """Returns why compiled code cannot compute the problem, or None where it can."""
    if spec.device != "cpu":
        return f"the device is {spec.device}"
    reason = _why_not_dense(spec, problem)
    if reason is not None:
        return reason
    if not available():
        log.warning("numba cannot be imported: small networks train many times slower")
        return "numba cannot be imported"
    return None


def _why_not_dense(spec: Spec, problem: Problem) -> str | None:
    """Returns why code for fully connected networks cannot compute the problem, or None."""
    if spec.path_parameters is not None:
        return "path_parameters lets some parameters stay"
    if fused_layout(spec.problem.network, spec.problem.loss) is None:
        return "only fully connected networks with the losses mse, l1 and cross_entropy are"
    if spec.problem.loss == "cross_entropy" and isinstance(problem.sample_loss, CrossEntropy):
        return "some of its samples have no class"
    if problem.sample_bytes > FUSED_BYTES:
        return f"it would copy {problem.sample_bytes / 2**30:.1f} GiB of samples into memory"
    practice = recipe_of(spec, most_of(spec)).practice(problem)
    if practice != PLAIN:
        return f"its steps have no {practice.words}"
    return None


def check_triton(spec: Spec, problem: Problem) -> None:
    """Raises Impossible where no kernel takes whole rounds of the problem."""
    reason = why_no_rounds(spec, problem) or why_not() or why_rounds_fail(spec, problem)
    if reason is not None:
        raise Impossible("triton", reason)


def takes_rounds(spec: Spec, problem: Problem) -> bool:
    """Returns whether a kernel takes whole rounds of most beads here, or says why none does."""
    method = METHODS[spec.search.method]
    alone = method.splits or method.training == "endpoints"
    if not alone or why_no_rounds(spec, problem) is not None:
        return False
    reason = why_not() or why_rounds_fail(spec, problem)
    if reason is not None:
        log.warning("no whole rounds on the GPU (%s): small networks train slower", reason)
    return reason is None


def why_no_rounds(spec: Spec, problem: Problem) -> str | None:
    """Returns why there is no kernel for rounds of the problem, or None where there is one."""
    if spec.device == "cpu":
        return "the device is cpu"
    reason = _why_not_dense(spec, problem)
    if reason is not None:
        return reason
    layout = fused_layout(spec.problem.network, spec.problem.loss)
    assert layout is not None  # or there would be a reason
    return None if fits(layout) else "its network does not fit one block of a GPU's threads"


def why_rounds_fail(spec: Spec, problem: Problem) -> str | None:
    """Returns why the kernel for most of a search cannot be used here, or None, from a trial."""
    there = problem.to(torch.device(spec.device.split(",")[0]))
    backend = triton_of(spec.problem, there, piece_bytes(spec))
    return why_it_fails(backend, backend.paced(recipe_of(spec, most_of(spec))))


def check_vmap(spec: Spec, problem: Problem, way: Way) -> None:
    """Raises Impossible where the network or the loss cannot be batched, as `way` does."""
    reason = why_not_vmap(spec, problem)
    if reason is not None:
        why = f"the network or the loss cannot be batched ({reason})"
        raise Impossible(way, why, instead="auto or loop")


def why_not_vmap(spec: Spec, problem: Problem) -> str | None:
    """Returns why the network or the loss cannot be batched, or None where they can.

    Only a user's own code is tried.
    """
    if spec.problem.network.recomputed:
        return "problem.network.recompute is not empty"
    if not spec.problem.own_model:
        return None
    theta = torch.stack([problem.initial(seed) for seed in range(FEW_TOGETHER)])
    few = min(2, len(problem.train))
    batches = torch.arange(few).expand(len(theta), few)
    practices = {recipe_of(spec, each).practice(problem) for each in stages_of(spec).trainings}
    try:
        backend = VmappedBackend(problem)
        for practice in {PLAIN, *practices}:
            backend.practised(theta, batches, practice, torch.arange(len(theta)))
        together, _ = backend.loss_and_grad_on(theta, batches)
    except Exception as error:  # it is not our code
        return (str(error).splitlines() or [type(error).__name__])[0]
    alone, _ = InPlaceBackend(problem).loss_and_grad_on(theta, batches)
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-5, equal_nan=True):
        return "its functions hold weights that are not lent to them"
    return None
