"""Checks that network, data and loss allow what the training blocks ask of their steps."""

from __future__ import annotations

import torch

from engine.errors import InputError
from engine.networks.custom import CustomNetwork
from engine.networks.modules.dropout import check_drops
from engine.problem.problem import Problem
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.spec.training import Training
from engine.steps.practice import practice_of


def check_practices(spec: Spec, problem: Problem) -> None:
    """Raises InputError where steps cannot be taken as a training block has them."""
    for key, training in stages_of(spec).by_key.items():
        _check_decay(key, training, problem)
        _check_smoothing(spec, key, training)
        _check_augment(key, training, problem)
        _check_dropout(spec, key, training, problem)


def _check_decay(key: str, training: Training, problem: Problem) -> None:
    """Raises InputError where a pattern of names that weight decay leaves alone fits none."""
    try:
        problem.decaying(training.optimizer.decay_exempt)
    except InputError as error:
        raise InputError(error.what, key=f"{key}.optimizer.{error.key}") from None


def _check_smoothing(spec: Spec, key: str, training: Training) -> None:
    """Raises InputError where labels are to be smoothed that the loss does not have."""
    if training.label_smoothing and not spec.problem.scores_classes:
        loss = spec.problem.loss
        raise InputError(
            f"is {training.label_smoothing:g}, but problem.loss is "
            f"{loss if isinstance(loss, str) else 'a function of your own'}, which has no labels "
            "to smooth; choose 0, or problem.loss: cross_entropy",
            key=f"{key}.label_smoothing",
        )


def _check_augment(key: str, training: Training, problem: Problem) -> None:
    """Raises InputError where images are to be changed and the samples are no images."""
    augmented = practice_of(training, problem.drops).augment is not None
    shape = problem.train.shape
    if augmented and len(shape) != 3:
        raise InputError(
            f"is for images (channel, height, width), but a sample has the shape {shape}; choose "
            "null",
            key=f"{key}.augment",
        )


def _check_dropout(spec: Spec, key: str, training: Training, problem: Problem) -> None:
    """Raises InputError where the network has nothing to drop, or draws in another way.

    Only a module of the user's own has to be tried.
    """
    if not training.dropout or problem.drops:
        return
    network = spec.problem.network
    if not isinstance(network, CustomNetwork):
        raise InputError(
            f"is true, but the network of kind {network.kind} drops nothing; choose null, or kind "
            "mlp or cnn with problem.network.dropout",
            key=f"{key}.dropout",
        )
    x, _ = problem.train.part(slice(0, 2), torch.float32)
    check_drops(problem.computing(), x, f"{key}.dropout")
    if problem.draws_within and problem.recomputed:
        raise InputError(
            "is not empty, but the network has layers that draw within torch (attention or "
            "recurrent layers with dropout), which cannot be drawn again; make it []",
            key="problem.network.recompute",
        )
