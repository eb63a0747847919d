"""Chooses between the CPU and a GPU, where `device` is auto. run.yaml names what was chosen."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable
from math import inf

import torch

from engine.problem.problem import Problem
from engine.run.choosing.backend import choose_backend
from engine.run.choosing.possible import most_of
from engine.run.remembered import remember, remembered
from engine.spec.keys import Spec
from engine.spec.training import Training
from engine.steps.recipe import recipe_of
from engine.training.trainer import Job, Trainer
from engine.workers.devices import on, roomiest
from engine.workers.pool import open_pool

log = logging.getLogger("engine")

Stopwatch = Callable[[], float]

#: The file of the cache folder with the faster devices found so far.
FILE = "devices.json"
#: The most beads that are trained for a measurement, the most weights that they may have together,
#: and the most products of a step of all of them, which are some seconds on a core.
BEADS, WEIGHTS, PRODUCTS = 64, 2**26, 3 * 10**10
#: The steps of a short and of a long round, of which a round of the preset's length is estimated.
SHORT, LONG = 1, 4


def choose_device(spec: Spec, problem: Problem, clock: Stopwatch = time.perf_counter) -> Spec:
    """Returns the spec with its device decided.

    A device other than auto stays. Else the CPU and the GPU with the most free memory are measured,
    once for a network and a machine, with the backend that is the fastest on each.

    Raises InputError where the spec's backend cannot compute the problem.
    """
    if spec.device != "auto":
        return spec
    card = roomiest()
    if spec.search.batching in ("fused", "graph", "triton"):
        return on(spec, "cpu" if spec.search.batching == "fused" else card)
    key, known = _fingerprint(spec, problem, card), remembered(FILE)
    if known.get(key) not in ("cpu", "cuda"):
        known[key] = "cuda" if _faster(spec, problem, card, clock) else "cpu"
        remember(FILE, known)
    return on(spec, card if known[key] == "cuda" else "cpu")


def _faster(spec: Spec, problem: Problem, card: str, clock: Stopwatch) -> bool:
    """Returns whether a GPU takes more steps of beads in a second than the CPU."""
    speeds = {device: _speed(on(spec, device), problem, clock) for device in ("cpu", card)}
    best, other = sorted(speeds, key=lambda device: -speeds[device])
    log.info(
        "device: %s, with %.3g steps of beads a second; %s takes %.3g",
        *(best, speeds[best], other, speeds[other]),
    )
    return best == card


def _speed(spec: Spec, problem: Problem, clock: Stopwatch) -> float:
    """Returns the steps of beads that the devices of a spec take in a second, all of them at once.

    The first round, which may compile or fill a cache, does not count.
    """
    choice = choose_backend(spec, problem)
    spec, backend = choice.spec, choice.backend
    training = most_of(spec)
    beads = _beads(spec, problem, training)
    with open_pool(backend, spec) as pool:

        def seconds(steps: int) -> float:
            """Returns the seconds of so many steps of each bead, with what belongs to a round."""
            recipe = recipe_of(spec, training.model_copy(update={"check_every": steps}))
            trainer = Trainer(recipe, pool)
            for bead in range(beads):
                trainer.admit(Job(bead + 1, -inf, seed=bead), problem.initial(bead))
            began = clock()
            trainer.advance()
            # Compiled code may take more steps a round than it was asked for.
            return (clock() - began) * steps * beads / max(1, trainer.bead_steps)

        seconds(SHORT)
        short, long = seconds(SHORT), seconds(LONG)
    each = max(0.0, long - short) / (LONG - SHORT)
    whole = short + (training.check_every - SHORT) * each
    return beads * training.check_every / max(1e-9, whole)


def _beads(spec: Spec, problem: Problem, training: Training) -> int:
    """Returns the number of beads that are trained for a measurement."""
    samples = recipe_of(spec, training).samples(len(problem.train))
    products = 3 * samples * problem.cost.products  # a pass forward and two back
    most = min(BEADS, spec.search.greedy.slots)
    return max(1, min(most, WEIGHTS // problem.parameter_count, PRODUCTS // max(1, products)))


def _fingerprint(spec: Spec, problem: Problem, card: str) -> str:
    """Returns a hash of all that a measurement depends on."""
    machine = [platform.node(), spec.workers, torch.cuda.get_device_name(card), torch.__version__]
    network = spec.problem.network.model_dump(mode="json")
    how = most_of(spec).model_dump(mode="json", include={"optimizer", "batch_size"})
    what = [machine, network, list(problem.train.shape), len(problem.train), how]
    what += [spec.precision, spec.search.batching, spec.search.greedy.slots]
    what += [spec.limits.memory, spec.deterministic]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
