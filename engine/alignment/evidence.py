"""What speaks for an order of units: products of two models' weights, or of their activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from engine.alignment.forward import Forward, Named, Traced
from engine.networks.modules.units.groups import Along, Block, Units
from engine.shapes import Weights

#: The number of training samples whose activations are compared, and the fewest.
SAMPLES, FEWEST = 512, 32
#: The number of activations of one model that may be held at once.
HELD = 2**25
#: The most that faint evidence comes to, where the correlation of a unit with itself is 1.
FAINT = 1e-6


@dataclass(frozen=True, eq=False)
class Evidence:
    """A block of both models, of which the sum of products is to become as large as it can."""

    ours: Tensor
    theirs: Tensor
    axes: tuple[Along, ...]
    """What the axes of both hold; the last one may be any number of others."""

    @property
    def groups(self) -> set[int]:
        """The numbers of the groups that it holds."""
        return {each.group for each in self.axes if each.group is not None}


def of_weights(units: Units, ours: Named, theirs: Named) -> list[Evidence]:
    """Returns the blocks of two models' weights: the nearer they come, the larger the products.

    Weight matching of Git Re-Basin (Ainsworth, Hayase & Srinivasa 2023, section 3.2).
    """
    return [
        _folded(block.of(ours[name]), block.of(theirs[name]), block.axes)
        for name in ours
        for block in units.blocks.get(name, ())
        if any(each.group is not None for each in block.axes)
    ]


def of_activations(
    forward: Forward, traced: Traced, samples: int, ours: Weights, theirs: Weights
) -> list[Evidence]:
    """Returns what the next layers read of both models, as deviations from each unit's mean.

    The deviations of each unit have length 1, so that products are correlations (Li, Yosinski,
    Clune, Lipson & Hopcroft 2016; Git Re-Basin, section 3.1).
    """
    x = forward.samples(samples)
    found = []
    for theta in (ours, theirs):
        found.append(_activations(traced, forward.inputs(theta, x)))
        forward.passes.add(samples)
    first, second = found
    return [_folded(a, b, block.axes) for (block, a), (_, b) in zip(first, second, strict=True)]


def faint(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Returns evidence that counts only where other evidence leaves several orders equally good.

    Units that never fire on the samples have no activations to be told by.
    """
    lengths = [
        sum(float(part.square().sum()) for part in parts) ** 0.5
        for parts in ([each.ours for each in evidence], [each.theirs for each in evidence])
    ]
    share = FAINT / max(lengths[0] * lengths[1], 1e-300)
    return [replace(each, ours=share * each.ours) for each in evidence]


def samples_for(forward: Forward, traced: Traced, samples: int) -> int:
    """Returns how many samples' activations are compared, so that memory holds them.

    `samples` is the number with which the forward was traced.
    """
    sizes: dict[str, int] = {
        node.name: node.meta["val"].numel() for node in traced.graph.graph.nodes if _is(node)
    }
    each = sum(sizes[name] for named in traced.units.read.values() for name in named)
    most = max(FEWEST, HELD * samples // max(1, each))
    return int(min(len(forward.problem.train), SAMPLES, most))


def _is(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), Tensor)


def _activations(traced: Traced, inputs: tuple[Any, ...]) -> list[tuple[Block, Tensor]]:
    """Returns the standardized activations of a model, block by block."""
    reading = _Reading(traced.graph, traced.units.read)
    with torch.no_grad():
        reading.run(*torch.utils._pytree.tree_leaves(inputs))
    return reading.found


class _Reading(fx.Interpreter):
    """Runs a graph and keeps what some of its nodes read, as it is when they do."""

    def __init__(
        self, graph: fx.GraphModule, read: Mapping[str, Mapping[str, tuple[Block, ...]]]
    ) -> None:
        super().__init__(graph)
        self.read = read
        self.found: list[tuple[Block, Tensor]] = []

    def run_node(self, n: fx.Node) -> Any:
        """Computes a node, after keeping what it reads."""
        wanted = self.read.get(n.name, {})
        for node in n.all_input_nodes:
            for block in wanted.get(node.name, ()):
                part = block.of(self.env[node].contiguous())
                if any(each.group is not None for each in block.axes):
                    self.found.append((block, _standardized(part, block.axes)))
        return super().run_node(n)


def _standardized(part: Tensor, axes: Sequence[Along]) -> Tensor:
    """Returns deviations of length 1 from each unit's mean; zeros where they are all the same."""
    over = [dim for dim, each in enumerate(axes) if each.group is None]
    if not over:
        return part - part.mean()
    part = part - part.mean(over, keepdim=True)
    lengths = part.square().sum(over, keepdim=True).sqrt()
    return torch.where(lengths > 1e-12, part / lengths.clamp(min=1e-12), 0.0)


def _folded(ours: Tensor, theirs: Tensor, axes: Sequence[Along]) -> Evidence:
    """Returns a block with all axes whose places keep their order as one, the last."""
    free = [dim for dim, each in enumerate(axes) if each.group is not None]
    rest = [dim for dim in range(len(axes)) if dim not in free]
    shape = [axes[dim].size for dim in free]
    place = {dim: number for number, dim in enumerate(free)}
    kept = tuple(
        Along(each.size, each.group, parent=None if each.parent is None else place[each.parent])
        for each in (axes[dim] for dim in free)
    )
    folded = [each.permute(*free, *rest).reshape(*shape, -1) for each in (ours, theirs)]
    return Evidence(folded[0], folded[1], (*kept, Along(folded[0].shape[-1], None)))
