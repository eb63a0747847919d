"""The backend whose steps are compiled as a whole by torch, for all models of a call together.

What a step computes is the loss and the gradient of each model under `vmap`. It is recorded once
for each number of models and each shape of samples, operation by operation and with its backward
pass, and the recording is compiled. So small operations are fused, no matter what the network is
made of. Models are measured without it: samples come there in pieces of many other sizes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from engine.backends.backend import Way
from engine.backends.compiled import why_other_steps
from engine.backends.models import (
    InPlace,
    Models,
    OfModel,
    Parts,
    Statistics,
    Together,
    normalize,
)
from engine.backends.torch_backend import PIECE_BYTES
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem
from engine.shapes import Beads, PerBead
from engine.steps.practice import Practice

Code = Callable[..., tuple[PerBead, Beads]]
"""Takes weights (bead, param) and tensors of samples, and returns losses and gradients."""

#: The numbers of models and of samples by which compiled steps are tried.
FEW, SAMPLES = 2, 4


def compiled(graph: GraphModule, given: Sequence[Tensor]) -> Code:
    """Returns what torch's compiler makes of a recording.

    It needs a C++ compiler on the CPU, and Triton on a GPU. Unlike `torch.compile` it looks at no
    Python, so that threads call its code at the same time while another one compiles.
    """
    return torch._inductor.compile(graph, list(given))  # type: ignore[no-any-return]


class Codes:
    """The compiled code of steps, which the threads of a process share."""

    def __init__(self, compile_: Callable[[GraphModule, Sequence[Tensor]], Code]) -> None:
        """Makes a shelf without any code, filled by `compile_`."""
        self._compile, self._lock = compile_, threading.Lock()
        self._made: dict[Hashable, Code] = {}

    def of(self, key: Hashable, function: Code, given: Sequence[Tensor]) -> Code:
        """Returns the code of a function, which `key` names, for tensors that lie like these."""
        laid_out = [(part.shape, part.stride(), part.dtype, part.device) for part in given]
        which = key, tuple(laid_out)
        if which not in self._made:
            with self._lock:  # recording changes what is global in torch
                if which not in self._made:
                    self._made[which] = self._compile(make_fx(function)(*given), given)
        return self._made[which]


class CompiledTogether(Together):
    """A batch of models whose losses and gradients are computed by compiled code."""

    def __init__(self, *models: Any, codes: Codes, key: Hashable) -> None:
        """Makes the models as `Together` does. Steps with the same key share their code."""
        super().__init__(*models)
        self._codes, self._key = codes, key

    def _slopes(
        self, loss: OfModel, theta: Beads, statistics: Statistics, parts: Parts, own: bool
    ) -> tuple[PerBead, Beads]:
        """Returns the loss and the gradient of models that share a call.

        There is code for 1, 2, 4, … models. A call of fewer repeats its first one.
        """
        models = len(theta)
        missing = (1 << (models - 1).bit_length()) - models
        tensors, tree = tree_flatten(parts)
        if missing:
            theta = _padded(theta, missing)
            tensors = [_padded(part, missing) for part in tensors] if own else tensors

        def of_tensors(theta: Beads, *tensors: Tensor) -> tuple[PerBead, Beads]:
            some = tree_unflatten(list(tensors), tree)
            return super(CompiledTogether, self)._slopes(loss, theta, {}, some, own)

        given = (theta.detach(), *tensors)
        with torch.no_grad():
            code = self._codes.of((self._key, own, str(tree)), of_tensors, given)
            losses, grad = code(*given)
        return losses[:models], grad[:models]


def _padded(part: Tensor, missing: int) -> Tensor:
    """Returns a tensor (bead, …) with its first row so many times more."""
    return torch.cat([part, part[:1].expand(missing, *part.shape[1:])])


class CompiledStepsBackend(VmappedBackend):
    """The backend that computes all weight vectors of a step in one call of compiled code."""

    name: Way = "vmap"

    def __init__(
        self,
        problem: Problem,
        piece_bytes: int = PIECE_BYTES,
        networks: dict[torch.dtype, InPlace] | None = None,
        codes: Codes | None = None,
    ) -> None:
        """Makes the backend; see `TorchBackend`. `codes` are those of another one, to share."""
        super().__init__(problem, piece_bytes, networks)
        self._codes = codes or Codes(compiled)

    def _made(
        self, problem: Problem, piece_bytes: int, networks: dict[torch.dtype, InPlace] | None = None
    ) -> CompiledStepsBackend:
        """Returns a backend of the same kind; see `__init__`."""
        return CompiledStepsBackend(problem, piece_bytes, networks, self._codes)

    def _steps_one_by_one(self, theta: Beads) -> bool:
        """Returns False: a call of few models costs little more than one of a single model."""
        return False

    def _models_of_step(self, theta: Beads, practice: Practice) -> Models:
        """Returns the models whose losses and gradients a step computes."""
        network, named = self._network.network, self.problem.named
        # What does not move is part of the code: a problem with other values has another network.
        key = id(self.problem.network), practice
        models = CompiledTogether(network, named, theta, {}, codes=self._codes, key=key)
        if self.problem.normalizes:
            normalize(models, "batch")
        return models


def why_not_compiled_together(problem: Problem) -> str | None:
    """Returns why steps of many models cannot be compiled, or None where trial steps are torch's.

    The problem is one that `vmap` can compute.
    """
    if problem.carried is not None or problem.handing.rewrites:
        return "the network changes while it is trained"
    batches = torch.arange(FEW * SAMPLES, device=problem.device).view(FEW, SAMPLES)
    plain, ours = VmappedBackend(problem), CompiledStepsBackend(problem)
    for first in (0, FEW):  # recorded with the first models and samples, and called with others
        theta = torch.stack([problem.initial(first + number) for number in range(FEW)])
        some = (batches + first) % len(problem.train)
        why = why_other_steps(ours, plain, theta.to(problem.device), some)
        if why is not None:
            return why
    return None
