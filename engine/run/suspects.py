"""Names the parts of a user's own code that may make it compute otherwise than the engine does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.data.custom import CustomData
from engine.errors import InputError
from engine.networks.custom import CustomNetwork
from engine.run.plain_torch import FRESH_SEED, fresh_module
from engine.spec.problem import CustomLoss, ProblemSpec

#: The usual causes, which are always named.
USUAL = (
    "functions that hold the module they were made with, weights that are not parameters, state "
    "that forward changes, and samples that see each other"
)
#: The attributes in which torch keeps a module's hooks.
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
    "_state_dict_hooks",
)


def suspects(spec: ProblemSpec) -> str:
    """Returns what to check where plain torch finds other losses than the engine, in words."""
    found = list(_of_spec(spec))
    return "; ".join([*found, USUAL]) if found else USUAL


def _of_spec(spec: ProblemSpec) -> Iterator[str]:
    """Yields the suspects among the user's network, data and loss."""
    if isinstance(spec.network, CustomNetwork):
        try:
            yield from _of_module(fresh_module(spec, FRESH_SEED))
        except InputError:
            return
    if isinstance(spec.data, CustomData):
        yield f"the type, shape and order of what {spec.data.factory} returns at each call"
    if isinstance(spec.loss, CustomLoss):
        yield f"whether {spec.loss.factory} gives each sample a loss of its own"


def _of_module(module: nn.Module) -> Iterator[str]:
    """Yields the suspects in a module: hooks, own train() or eval(), and unusual weights."""
    for name, layer in module.named_modules():
        yield from _of_layer(layer, f"{type(layer).__name__} {name}".strip())
    for name, buffer in module.named_buffers():
        if buffer.is_complex():
            yield f"the complex buffer {name}, whose real part is used"
    places = Counter(parameter.data_ptr() for parameter in module.parameters())
    if places and max(places.values()) > 1:
        yield "parameters that share memory without being one (tie the parameters, not their data)"


def _of_layer(layer: nn.Module, place: str) -> Iterator[str]:
    """Yields the suspects in a layer at a place: hooks, own train() or eval(), no statistics."""
    if any(vars(layer).get(hooks) for hooks in HOOKS):
        yield f"hooks on {place}"
    if type(layer).train is not nn.Module.train or type(layer).eval is not nn.Module.eval:
        yield f"what train() and eval() do in {place}"
    if isinstance(layer, _BatchNorm) and not layer.track_running_stats:
        yield f"{place}, which keeps no running statistics"
