"""What the models of a path put out for samples, how outputs are averaged, and how they differ.

Where the outputs are scores of classes, as cross-entropy takes them, a model is the probabilities
that softmax makes of them; they are held as logarithms. Elsewhere it is its outputs themselves.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from engine.backends.models import Model
from engine.networks.modules.calls import Inputs, picked
from engine.problem.losses import absolute_error, squared_error
from engine.problem.problem import Problem


def gives_scores(problem: Problem) -> bool:
    """Returns whether outputs are scores of classes, of which softmax makes probabilities."""
    compares = problem.sample_loss in (squared_error, absolute_error)
    return problem.classes is not None and not compares


def no_scores(problem: Problem) -> str | None:
    """Returns why outputs are no scores of classes, as a clause, or None where they are."""
    if problem.classes is None:
        return "the network gives no scores of classes"
    return None if gives_scores(problem) else "its loss compares outputs with values, not scores"


def no_single_output(problem: Problem) -> str | None:
    """Returns why outputs are not one tensor, as a clause, or None where they are.

    A loss of a user's own sees whatever the network returns, which is tried.
    """
    if not problem.handing.whole:
        return None
    x, _ = problem.train[:2].part(slice(None), torch.float32)
    with torch.no_grad():
        found = problem.to(dtype=torch.float32).computing()(x)
    return None if isinstance(found, Tensor) else "its loss sees several outputs at once"


def outputs(problem: Problem, model: Model, x: Inputs) -> Tensor:
    """Returns what a model puts out for samples, (sample, …); log-probabilities of scores.

    The samples stay as they are.
    """
    found, _ = picked(model(tree_map(Tensor.clone, x)))
    return found.log_softmax(1) if gives_scores(problem) else found


def labels(y: Tensor) -> Tensor:
    """Returns the classes of targets, which may be rows for them: (sample, …)."""
    return y.argmax(1) if y.is_floating_point() else y


def share(of: Tensor) -> Tensor:
    """Returns how much of each sample something is true of, (sample,) float64.

    A sample may be a stretch of tokens.
    """
    return of.double() if of.ndim == 1 else of.flatten(1).double().mean(1)


class Mean:
    """The mean of several models' outputs: of their probabilities where they give scores."""

    def __init__(self, problem: Problem) -> None:
        """Makes a mean of nothing."""
        self._of_scores, self._count = gives_scores(problem), 0
        self._sum = torch.empty(0)

    def add(self, output: Tensor) -> None:
        """Adds a model's outputs, as `outputs` returns them."""
        self._count += 1
        if self._count == 1:
            self._sum = output.clone()
        elif self._of_scores:
            self._sum = torch.logaddexp(self._sum, output)
        else:
            self._sum += output

    @property
    def output(self) -> Tensor:
        """The mean, in the form of `outputs`: the logarithm of the mean of probabilities."""
        if self._of_scores:
            return self._sum - log(self._count)
        return self._sum / self._count


def distance(problem: Problem, one: Tensor, other: Tensor) -> Tensor:
    """Returns how far two models' outputs are apart for each sample, (sample,) float64.

    Of probabilities it is their total variation, ½ Σ |p − q|, in the mean over the tokens of a
    sample, and of other outputs the squared Euclidean distance.
    """
    if gives_scores(problem):
        return share((one.exp() - other.exp()).abs().sum(1) / 2)
    return (one - other).double().square().flatten(1).sum(1)
