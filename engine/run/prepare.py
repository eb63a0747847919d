"""Prepares a search: decides what its spec leaves open, and checks that it can run.

Every search is prepared here once, in a run directory, in a sweep or without any folder.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from engine.backends.algorithms import choose_algorithms
from engine.backends.backend import Backend
from engine.backends.vmapped import FEW_TOGETHER
from engine.errors import InputError
from engine.methods.given import as_given
from engine.path.certificate.proving import provable_or_why
from engine.problem.problem import Problem, build_problem
from engine.run import mirror
from engine.run.choosing import choose_backend, choose_device
from engine.run.facts import unseen_gpus
from engine.run.plain_torch import plainly
from engine.run.practices import check_practices
from engine.shapes import Beads, PerBead
from engine.spec.checks import check_level_on, check_method
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.stages import stages_of
from engine.workers.devices import resolve_devices

log = logging.getLogger("engine")


@dataclass(frozen=True)
class Prepared:
    """A search that can run here."""

    spec: Spec
    """The preset with its device, workers and backend decided; feeding it back repeats the run."""
    backend: Backend
    """The backend that computes the problem of the spec."""
    why: str = ""
    """The reason, in words, for which the backend was chosen."""
    graphs: str = ""
    """Whether rounds are recorded as CUDA graphs, in words; empty on the CPU."""
    unseen: str = ""
    """Why torch sees none of this machine's GPUs, where the device was left open; else empty."""


def prepare(spec: Spec) -> Prepared:
    """Returns the spec with everything decided that it leaves open, and its backend.

    A user's own code is compared with plain torch here, before anything is trained (`mirror`).
    Raises InputError for a spec that cannot run.
    """
    unseen = _unseen(spec)
    spec = resolve_devices(spec)
    check_method(spec)
    if spec.precision == "tf32" and spec.device == "cpu":
        log.warning("precision: tf32 is for GPUs; on the cpu steps are computed in float32")
    problem = problem_of(spec)
    _check_provable(spec, problem)
    check_practices(spec, problem)
    try:
        choice = choose_backend(choose_device(spec, problem), problem)
    except InputError:
        raise
    except Exception as error:
        if not mirror.is_own(spec.problem):
            raise
        raise mirror.refusal(spec.problem, mirror.Report((), plainly(error))) from error
    _check_batches(choice.spec, choice.backend)
    _check_deterministic(choice.spec, choice.backend)
    _check_mirrored(choice.spec, choice.backend)
    return Prepared(choice.spec, choice.backend, choice.why, choice.graphs, unseen)


def problem_of(spec: Spec) -> Problem:
    """Returns the problem of a spec, in main memory, with what files hold that it starts from.

    Raises InputError where there is none.
    """
    problem = build_problem(
        spec.problem, objective=spec.search.level_on, path_parameters=spec.moving
    )
    check_level_on(spec, problem.classes, len(problem.held_out))
    return as_given(spec, problem)


def _unseen(spec: Spec) -> str:
    """Returns why torch sees no GPU where the driver does and the device is left open.

    Raises InputError where GPUs are asked for.
    """
    unseen = None if spec.device == "cpu" else unseen_gpus()
    if unseen is None:
        return ""
    if spec.device != "auto":
        raise InputError(f"is {spec.device}, but {unseen.words}", key="device")
    return unseen.words


def _check_provable(spec: Spec, problem: Problem) -> None:
    """Raises InputError where a proof is required and there is none for the problem."""
    if spec.search.certify != "require":
        return
    net = provable_or_why(problem)
    if isinstance(net, str):
        raise InputError(
            f"is require, but there is no proof for this network: {net}; choose auto or off",
            key="search.certify",
        )


def _check_deterministic(spec: Spec, backend: Backend) -> None:
    """Raises InputError where a GPU has no algorithm for a step that gives the same bits."""
    if not spec.deterministic or spec.device == "cpu":
        return
    choose_algorithms(backend.name, deterministic=True)
    device = torch.device(spec.device.split(",")[0])
    there = backend.replica(device)
    theta = backend.problem.initial(0)[None].to(device)
    few = torch.arange(min(4, len(backend.problem.train)), device=device)[None]
    try:
        there.loss_and_grad_on(theta, few)
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        reason = str(error).splitlines()[0].partition(",")[0]
        raise InputError(f"is true, but {reason}; choose false", key="deterministic") from None


def _check_mirrored(spec: Spec, backend: Backend) -> None:
    """Raises InputError where the engine measures random models otherwise than plain torch does.

    They are measured on the run's first device, as many at once as it computes in one call.
    """
    if not mirror.is_own(spec.problem):
        return
    device = torch.device(spec.device.split(",")[0])

    def values(theta: Beads, measure: LevelOn) -> PerBead:
        return backend.replica(device).values(theta, measure)

    models = 2 if backend.name == "loop" else FEW_TOGETHER
    problem = backend.problem.to(device)
    found = mirror.of_random_models(spec.problem, problem, values, models)
    if not found.agrees:
        raise mirror.refusal(spec.problem, found)


def _check_batches(spec: Spec, backend: Backend) -> None:
    """Raises InputError where batches are too small for the network to normalize by them."""
    trainings = stages_of(spec).trainings
    if 1 in {training.batch_size for training in trainings} and backend.problem.normalizes:
        theta = backend.problem.initial(0)[None]
        backend.loss_and_grad_on(theta, torch.zeros(1, 1, dtype=torch.int64))
