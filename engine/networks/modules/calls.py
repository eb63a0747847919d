"""Hands samples to a network as its forward takes them, and takes from it what a loss sees.

The engine calls every network with one x, and compares one tensor with targets. Networks of users
take several inputs, write into the input that they are given, and return more than one tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from engine.errors import InputError
from engine.networks.modules.kept import Kept

#: The entries of a mapping, and the attribute of an object, that hold what is compared with y:
#: classifiers of the Hub call it logits, torchvision's networks for segmentation out.
ENTRIES = ("logits", "out")

Inputs = Any
"""The inputs of a batch: one tensor (sample, …), or a dictionary of several by name."""


@dataclass(frozen=True)
class Handing:
    """The manner in which a network is called."""

    copies: bool = False
    """Whether it gets a copy of its inputs, because it writes into them."""
    whole: bool = False
    """Whether a loss of the user's own sees the whole output."""
    quiet: bool = False
    """Whether its mode is set without its own train() and eval(), which change what it computes
    with: LoRA that is merged in eval()."""
    forgets: bool = False
    """Whether tensors that forward keeps in attributes are forgotten after each call."""
    rewrites: bool = False
    """Whether forward writes into its parameters, such as those whose norm it limits."""

    def hook(self, network: nn.Module) -> nn.Module:
        """Makes a network take one x, and give what the loss sees. Returns the network."""
        if self.quiet:
            only_flags(network)
        if self.forgets:
            kept = Kept(network)
            network.register_forward_hook(lambda *_: kept.restore(), always_call=True)
        network.register_forward_pre_hook(self._spread, prepend=True, with_kwargs=True)
        if not self.whole:
            network.register_forward_hook(_seen)
        return network

    def _spread(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Returns the arguments of forward for one x."""
        if len(args) != 1:
            return None
        x = tree_map(Tensor.clone, args[0]) if self.copies else args[0]
        return arguments(x)


def only_flags(network: nn.Module) -> None:
    """Lets train() and eval() of a network do nothing but set the mode of its modules."""

    def train(mode: bool = True) -> nn.Module:
        for module in network.modules():
            module.training = mode
        return network

    vars(network).update(train=train, eval=lambda: train(False))


def arguments(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns inputs as the arguments of forward: those that are named by places go by place."""
    if not isinstance(x, dict):
        return (x,), {}
    if all(name.isdecimal() for name in x):
        return tuple(x.values()), {}
    return (), x


def _seen(module: nn.Module, args: Any, output: Any) -> Any:
    """Returns what the loss sees of an output."""
    return output if isinstance(output, Tensor) else picked(output)[0]


def picked(output: Any) -> tuple[Tensor, str]:
    """Returns the tensor of a network's output that is compared with y, and which one it is.

    That is a tensor itself; the entry or attribute named logits, or else out; or the first one of
    a tuple or list. Raises InputError where there is none.
    """
    if isinstance(output, Tensor):
        return output, ""
    for name in ENTRIES:
        found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(found, Tensor):
            return found, name
    if isinstance(output, tuple | list) and output:
        first, which = picked(output[0])
        return first, f"{which} of the first" if which else "the first"
    kind = type(output).__name__
    entries = f" of {' and '.join(map(str, output))}" if isinstance(output, Mapping) else ""
    raise InputError(
        f"returns {kind}{entries}, in which nothing is called logits or out; return a tensor, or "
        "give a loss of your own, which sees all of it",
        key="problem.network.factory",
    )


def shapes(tree: Any, *, types: bool = False) -> str:
    """Returns the shapes of the tensors in a tree, in words, with their types if asked for."""
    if isinstance(tree, Tensor):
        return f"{tuple(tree.shape)} of {tree.dtype}" if types else f"{tuple(tree.shape)}"
    if isinstance(tree, Mapping):
        return " and ".join(f"{name} {shapes(part, types=types)}" for name, part in tree.items())
    if isinstance(tree, tuple | list) and tree:
        return " and ".join(shapes(part, types=types) for part in tree)
    return type(tree).__name__
