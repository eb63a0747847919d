"""The backend whose steps call the network as `torch.compile` makes it, one model at a time.

Models are measured without it: samples come there in pieces of other sizes, for each of which it
would compile again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from engine.backends.in_place import InPlaceBackend
from engine.backends.models import InPlace, Model
from engine.backends.torch_backend import TorchBackend
from engine.networks.modules.calls import Inputs
from engine.problem.problem import Problem
from engine.shapes import Batches, Beads
from engine.steps.practice import PLAIN

#: The backend of torch.compile. Its code needs a C++ compiler on the CPU, and Triton on a GPU.
COMPILER = "inductor"
#: The samples of a step by which a compiled network is tried, and the differences from plain torch
#: that are allowed.
FEW, RTOL, ATOL = 4, 1e-3, 1e-5


class CompiledBackend(InPlaceBackend):
    """The backend that computes one weight vector at a time, in steps with a compiled network."""

    def _made_network(self, problem: Problem) -> InPlace:
        """Returns a network to which models are lent, whose steps are compiled."""
        made = super()._made_network(problem)
        made.stepping = _compiled(made.network)
        return made


def _compiled(network: nn.Module) -> Model:
    """Returns a function that calls a network with its forward compiled.

    Hooks of the network, which hand it its inputs, are called as they are. The network belongs to
    one thread.
    """
    forward = torch.compile(network.forward, backend=COMPILER, dynamic=False)
    own = vars(network)

    def stepping(x: Inputs) -> Any:
        before = own.get("forward")
        own["forward"] = forward
        try:
            return network(x)
        finally:
            if before is None:
                del own["forward"]
            else:
                own["forward"] = before

    return stepping


def why_not_compiled(problem: Problem) -> str | None:
    """Returns why a network cannot be compiled, or None where a trial step is that of torch."""
    theta = problem.initial(0)[None].to(problem.device)
    batch = torch.arange(min(FEW, len(problem.train)), device=problem.device)[None]
    return why_other_steps(CompiledBackend(problem), InPlaceBackend(problem), theta, batch)


def why_other_steps(
    ours: TorchBackend, plain: TorchBackend, theta: Beads, batches: Batches
) -> str | None:
    """Returns why a trial step fails or is another than plain torch's, or None where it is that."""
    expected = plain.practised(theta, batches, PLAIN)
    try:
        found = ours.practised(theta, batches, PLAIN)
    except Exception as error:  # whatever the compiler raises
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        return " ".join(said[:2]) or type(error).__name__
    pairs = zip(found, expected, strict=True)
    if not all(torch.allclose(one, other, RTOL, ATOL, equal_nan=True) for one, other in pairs):
        return "its steps are others than those of plain torch"
    return None
