"""The table of kinds of networks, data, losses and checkpoints: what becomes of each.

The tests run every kind from a preset to a string file that is verified, or read the sentence by
which it is refused. docs/kinds.md is this table: `python -m tests.support.kinds` writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.support import kinds_parts, mirror_cases

PAGE = Path(__file__).parents[2] / "docs" / "kinds.md"
OTHERWISE = "a fresh module does not do what was measured: …; look at …"


@dataclass(frozen=True)
class Kind:
    """One kind, and what becomes of it."""

    name: str
    network: str = "plain"
    """The factory of the network, here or in `mirror_cases`; those of data and loss likewise."""
    data: str = "values"
    loss: str | dict[str, Any] = "mse"
    refused: str = ""
    """What the sentence says by which it is refused, with … for what differs; empty: it works."""
    keys: tuple[tuple[str, Any], ...] = ()
    """Other keys of the preset."""
    ends: Callable[[], Sequence[dict[str, Any]]] | None = None
    """Returns what the two checkpoints hold, where there are two."""

    def tree(self, folder: Path) -> dict[str, Any]:
        """Returns the preset, after writing the checkpoints into a folder."""
        adam = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 400}
        ends: dict[str, Any] = adam
        if self.ends is not None:
            for name, state in zip("ab", self.ends(), strict=True):
                torch.save(state, folder / f"{name}.pt")
            ends = {"kind": "files", "a": str(folder / "a.pt"), "b": str(folder / "b.pt")}
        return {
            "problem": {
                "data": {"kind": "custom"} | factory(self.data),
                "network": {"kind": "custom"} | factory(self.network),
                "loss": loss_of(self.loss),
            },
            "endpoints": ends,
            "search": {"level": 100.0, "greedy": adam | {"grid": 5}},
            "device": "cpu",
            "workers": 1,
        } | dict(self.keys)

    def refuses(self, sentence: str) -> bool:
        """Returns whether a sentence is the one by which the kind is refused."""
        parts = map(re.escape, self.refused.split("…"))
        return re.search(".*".join(parts), sentence) is not None


def loss_of(loss: str | dict[str, Any]) -> Any:
    """Returns the keys of a loss: one of ours, or a factory."""
    ours = isinstance(loss, dict) or loss in ("mse", "cross_entropy")
    return loss if ours else factory(str(loss))


def factory(name: str) -> dict[str, str]:
    """Returns the keys that name a factory."""
    module = kinds_parts if hasattr(kinds_parts, name) else mirror_cases
    return {"factory": f"{module.__name__}:{name}"}


# ---------------------------------------------------------------- checkpoints


def made(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def two(make: Callable[[], nn.Module]) -> list[dict[str, Any]]:
    return [made(make, seed).state_dict() for seed in (3, 4)]


def sharing(make: Callable[[], nn.Module], *names: str) -> list[dict[str, Any]]:
    one, other = two(make)
    return [one, other | {name: one[name] for name in names}]


def low_rank() -> Sequence[dict[str, Any]]:
    names = ("base.weight", "base.bias", "last.weight", "last.bias")
    return sharing(kinds_parts.LowRank, *names)


def probes() -> Sequence[dict[str, Any]]:
    return sharing(mirror_cases.plain, "0.weight", "0.bias")


def features() -> Sequence[dict[str, Any]]:
    return sharing(mirror_cases.DrawnBuffer, "features")


def old_names() -> Sequence[dict[str, Any]]:
    """Written by torch's old weight_norm, read by its new one."""
    return two(kinds_parts.old_weight_norm)


def scaled() -> Sequence[dict[str, Any]]:
    return two(mirror_cases.ScaledOnLoading)


def used_instance_norm() -> nn.Module:
    """With statistics of data of its own."""
    network = mirror_cases.InstanceNormed()
    network.train()(torch.randn(20, 3))
    return network


def complexes() -> Sequence[dict[str, Any]]:
    one, other = two(mirror_cases.Complex)
    return [one, other | {"filter": torch.tensor([0.5 - 1j, 1 + 1j])}]


def orders() -> Sequence[dict[str, Any]]:
    one, other = two(kinds_parts.Ordered)
    return [
        one | {"order": torch.tensor([0, 1, 2])},
        other | {"order": torch.tensor([2, 0, 1])},
    ]


def partly_compiled() -> Sequence[dict[str, Any]]:
    """Written where a part of the network was compiled, as Lightning's users do it."""
    return [
        {f"{name[0]}._orig_mod{name[1:]}": each for name, each in state.items()}
        for state in two(mirror_cases.plain)
    ]


def compiled_within() -> Sequence[dict[str, Any]]:
    """Written by a module that holds the network as `model`, compiled."""
    return [
        {"state_dict": {f"model._orig_mod.{name}": each for name, each in state.items()}}
        for state in two(mirror_cases.plain)
    ]


def tied_once() -> Sequence[dict[str, Any]]:
    """A weight of two layers under one name, as safetensors keeps it, and not the first."""
    states = two(mirror_cases.Tied)
    for state in states:
        del state["first.weight"]
    return states


def before_counters() -> Sequence[dict[str, Any]]:
    """Of the time before batch normalization counted its batches."""
    states = sharing(mirror_cases.norm)
    for state in states:
        del state["1.num_batches_tracked"]
    return states


def with_other_head() -> Sequence[dict[str, Any]]:
    """With the head of a pretraining besides."""
    return [state | {"projector.weight": torch.zeros(2, 2)} for state in two(mirror_cases.plain)]


def counted() -> Sequence[dict[str, Any]]:
    one, other = sharing(mirror_cases.norm)
    return [one, other | {"1.num_batches_tracked": torch.tensor(900)}]


def _modules(*rows: tuple[str, str] | tuple[str, str, str]) -> list[Kind]:
    return [Kind(name, network, refused=rest[0] if rest else "") for name, network, *rest in rows]


NETWORKS = _modules(
    ("fully connected", "plain"),
    ("float64 module", "double_module"),
    ("tensors of torch's default precision made in forward", "ForFloat32"),
    ("tied weights", "Tied"),
    ("one layer in two places", "TwoPlaces"),
    ("a layer that forward never calls", "Unused"),
    ("ParameterList and ParameterDict", "Listed"),
    ("named_parameters overridden", "Secretive"),
    ("nn.GRU", "Sequence"),
    ("transformer encoder", "Transformer"),
    ("MultiheadAttention within a sample", "Attention"),
    ("DataParallel", "parallel"),
    ("torch.compile", "compiled"),
    ("a lock, which cannot be copied", "WithLock"),
    ("a factory that prints", "printing"),
    ("a factory that reads the command line", "asking"),
    ("weight_norm", "weight_norm"),
    ("weight_norm of the old API", "old_weight_norm"),
    ("spectral_norm (its vectors are buffers)", "spectral_norm"),
    ("spectral_norm of the old API", "old_spectral_norm"),
    ("nn.utils.prune", "pruned"),
    ("a parametrization of one's own", "parametrized"),
    ("lazy modules that have run once", "warm_lazy"),
    ("dropout by modules or self.training", "Dropping"),
    ("an auxiliary head that only training reaches", "AsideInTraining"),
    ("a first layer that works in place", "relu_first"),
    ("normalization of the input in place", "CenteredInPlace"),
    ("forward replaced by a lambda over the module", "closed_over_by_lambda"),
    ("a hook that closes over a layer", "closed_over_by_hook"),
    ("weights in a Python list beside their layer", "ListOfWeights"),
    ("load_state_dict pre-hooks", "ScaledOnLoading"),
    ("load_state_dict post-hooks", "NormalizedAfterLoading"),
    ("batch norm", "norm"),
    ("one batch norm in two places", "NormTwice"),
    ("SyncBatchNorm", "synchronized"),
    ("a subclass of batch norm with its own forward", "norm_of_ones_own"),
    ("a hook on batch norm", "norm_with_hook"),
    ("forward that reads running_mean", "ReadingStatistics"),
    ("InstanceNorm with running statistics", "InstanceNormed"),
    ("LayerNorm made in forward", "MadeInForwardWithoutWeights"),
    ("normalization by buffers (FrozenBatchNorm)", "FrozenNorm"),
    ("a random buffer", "DrawnBuffer"),
    ("a complex buffer", "Complex"),
    ("frozen layers", "frozen"),
    ("LoRA on a frozen network", "LowRank"),
    ("LoRA that merges in eval()", "Lora"),
    ("LoRA that merges into a frozen layer in eval()", "FrozenLora"),
    ("a weight cached at the first call", "Cached"),
    ("a weight that is cached in a dictionary", "CachedInDictionary"),
    ("a cached_property of weights, used in eval mode", "Standardized"),
    ("weights whose norm forward limits by .data", "LimitedNorm"),
    ("weights that forward clamps in place", "Clamped"),
    ("forward that reads .data of some weights", "ReadingData"),
    ("whole numbers as a parameter", "Table"),
    ("a tuple as output: its first is compared", "Returning"),
    ("a dictionary as output: logits, or out", "ReturningDict"),
    ("an object as output: its .logits", "ReturningObject"),
    ("a factory that exits", "exiting", "failed with SystemExit: 3; correct it or …"),
    ("TorchScript", "scripted", "returned TorchScript; return the nn.Module that it was made from"),
    ("lazy modules", "lazy", "has lazy parameters; run it once on a sample before returning it"),
    (
        "the meta device",
        "on_meta",
        "has the parameter 0.weight on the meta device; give it numbers: to_empty()",
    ),
    ("sparse weights", "Sparse", "has the sparse parameter weight; make it dense: to_dense()"),
    (
        "complex weights",
        "ComplexWeights",
        "the parameter filter holds complex64 numbers, which a path cannot move; hold plain real "
        "ones",
    ),
    (
        "nothing that requires gradients",
        "all_frozen",
        "no parameter of the network requires gradients, so that nothing moves; name those that "
        "move in path_parameters",
    ),
    ("numpy in forward", "Numpy", "has no gradient by its parameters (RuntimeError: …); let"),
    (
        "dropout that eval() leaves on",
        "AlwaysDropping",
        "gives another output when it is called again on the same samples; draw nothing at random "
        "in forward",
    ),
    ("a counter that forward goes by", "Calls", "gives another output when it is called again"),
    ("an own running average", "Averaging", "gives another output when it is called again"),
    ("state in a list", "Remembering", "samples see each other: …"),
    ("branches that eval() fuses, and forward needs fused", "Fusing", OTHERWISE),
    ("weights of a module that is not registered", "HiddenByGetattr", OTHERWISE),
    ("a hook that holds weights of its own", "hook_with_own_weight", OTHERWISE),
    ("parameters that share memory without being tied", "SharedMemory", OTHERWISE),
    ("a random buffer with persistent=False", "DrawnElsewhere", OTHERWISE),
    ("a layer made anew in forward", "MadeInForward", "gives another output when it is called"),
    ("normalization over the batch by hand", "Standardizing", "samples see each other: …"),
    ("attention over the batch", "Attending", "samples see each other: …"),
    (
        "batch norm without running statistics",
        "norm_without_statistics",
        "samples see each other: …",
    ),
    (
        "a dictionary without logits or out",
        "Unnamed",
        "returns dict of scores and more, in which nothing is called logits or out; return a "
        "tensor, or give a loss of your own, which sees all of it",
    ),
)

DATA = [
    Kind("several inputs by name", "Pooled", "by_name"),
    Kind("several inputs by place", "TwoInputs", "by_place"),
    Kind("a Dataset whose items are dictionaries", "Pooled", "Items"),
    Kind("float64 values", data="double"),
    Kind("a Dataset of dictionaries with labels among them", "Pooled", "Labelled"),
    Kind(
        "a Dataset of samples, targets and paths",
        data="WithPaths",
        refused="returned a Dataset whose items are not (x, y): item 0 is 3 things (Tensor, "
        "Tensor, str); return two of each, x and y",
    ),
    Kind(
        "a Dataset of sequences of any length",
        data="Ragged",
        refused="returned a Dataset whose items differ in shape (x of item 1 is (2,), not (1,)); "
        "bring them to one shape: pad sequences, and give their masks as an input",
    ),
    Kind("whole numbers with mse (matrix factorization)", "Factorization", "ratings"),
    Kind(
        "inputs that forward does not know",
        data="by_name",
        refused="does not take a batch of samples ids (3, 4) of torch.int64 and values … "
        "(TypeError: …); make network and data fit",
    ),
    Kind("classes of -100, which cross_entropy ignores", data="with_ignored", loss="cross_entropy"),
    Kind("tokens of -100, which cross_entropy ignores", "Tagger", "tags", loss="cross_entropy"),
    Kind(
        "classes below 0 that are not -100",
        data="with_minus_one",
        loss="cross_entropy",
        refused="is cross_entropy, but y holds whole numbers below 0, and classes are numbered "
        "from 0; let y be -100 where cross_entropy is to pass over a sample, give a loss of your "
        "own, or let y hold values for mse or l1 (problem.data.targets: values)",
    ),
    Kind(
        "classes of -100, with mse",
        data="with_ignored",
        refused="is mse, but y holds -100, the class of samples that only cross_entropy passes "
        "over; choose it, leave them out, or let y hold values (problem.data.targets: values)",
    ),
    Kind("data that change at each call", data="changing", refused="…training data…" and OTHERWISE),
]

WEIGHTED = {"kind": "cross_entropy", "class_weights": [1, 9]}
LOSSES = [
    Kind("a loss of one's own", loss="distance"),
    Kind("a loss of the whole output", "Returning", loss="of_both"),
    Kind("cross_entropy", data="labelled", loss="cross_entropy"),
    Kind("cross_entropy with weights of classes", data="labelled", loss=WEIGHTED),
    Kind(
        "weights of classes, and classes of -100",
        data="with_ignored",
        loss=WEIGHTED,
    ),
    Kind(
        "weights of other than the data's classes",
        data="labelled",
        loss={"kind": "cross_entropy", "class_weights": [1, 2, 3]},
        refused="has 3 weights, but the data have 2 classes; give one for each",
    ),
    Kind(
        "weights of the classes of a batch, in a loss of one's own",
        data="labelled",
        loss="weighted",
        refused="samples see each other: …; look at …",
    ),
    Kind("a loss that ignores a class", data="with_ignored", loss="ignoring"),
    Kind(
        "a mean over the samples",
        loss="over_outputs",
        refused="returned (2,) for 3 samples; return one value for each, (sample,), not their mean",
    ),
    Kind(
        "a mean over samples in the shape of samples",
        loss="over_samples",
        refused="samples see each other: …; look at …",
    ),
    Kind(
        "an output (sample,) against targets (sample, 1)",
        "flat",
        "column",
    ),
    Kind(
        "a loss that broadcasts (sample,) against (sample, 1)",
        "flat",
        "column",
        "of_pairs",
        refused="samples see each other: …",
    ),
    Kind("a loss of the hardest sample", loss="hardest", refused="samples see each other: …"),
    Kind(
        "a loss computed by numpy",
        loss="by_numpy",
        refused="has no gradient (…); let it compute with torch alone, without detach(), numpy() "
        "or no_grad()",
    ),
    Kind(
        "a loss that overwrites its targets",
        loss="writing",
        refused="writes into its targets; let it write into a copy, target.clone()",
    ),
]

CHECKPOINTS = [
    Kind("two LoRA adapters of one network", "LowRank", ends=low_rank),
    Kind("two probes of one body", keys=(("path_parameters", "2.*"),), ends=probes),
    Kind("a random buffer that both share", "DrawnBuffer", ends=features),
    Kind("the old weight_norm's names", "weight_norm", ends=old_names),
    Kind("counters that differ", "norm", ends=counted),
    Kind("batch norms without counters", "norm", ends=before_counters),
    Kind("a compiled network within a Lightning module", ends=compiled_within),
    Kind("a part of the network compiled (_orig_mod within names)", ends=partly_compiled),
    Kind("a tied weight under one of its names (safetensors)", "Tied", ends=tied_once),
    Kind(
        "another head besides",
        ends=with_other_head,
        refused="holds projector.weight (2, 2), which the network does not have; give the network "
        "that it was trained with",
    ),
    Kind(
        "load_state_dict hooks", "ScaledOnLoading", ends=lambda: two(mirror_cases.ScaledOnLoading)
    ),
    Kind(
        "bodies that differ, where only the head moves",
        keys=(("path_parameters", "2.*"),),
        ends=lambda: two(mirror_cases.plain),
        refused="differs from …a.pt in 0.weight, which does not move along the path; give models "
        "that share it, or let it move: path_parameters",
    ),
    Kind(
        "buffers that differ: mixed in between",
        "DrawnBuffer",
        ends=lambda: two(mirror_cases.DrawnBuffer),
    ),
    Kind(
        "running statistics of InstanceNorm",
        "InstanceNormed",
        ends=lambda: two(used_instance_norm),
    ),
    Kind("vectors of spectral_norm", "spectral_norm", ends=lambda: two(mirror_cases.spectral_norm)),
    Kind("complex buffers that differ", "Complex", ends=complexes),
    Kind(
        "buffers of whole numbers that differ and matter",
        "Ordered",
        ends=orders,
        refused="differs from …a.pt in the buffer order, and there is nothing between (3,) of "
        "torch.int64 and (3,) of torch.int64; give models that share it",
    ),
    Kind(
        "one model twice",
        ends=lambda: 2 * [made(mirror_cases.plain, 3).state_dict()],
        refused="is the same model as …a.pt, so that there is no path to find; give another",
    ),
    Kind(
        "a pattern that fits nothing",
        keys=(("path_parameters", "head.*"),),
        refused="path_parameters: is 'head.*', which fits the name of no parameter; choose from "
        "0.bias, 0.weight, 2.bias, 2.weight",
    ),
]

GROUPS = {"Networks": NETWORKS, "Data": DATA, "Losses": LOSSES, "Checkpoints": CHECKPOINTS}
KINDS = [kind for kinds in GROUPS.values() for kind in kinds]


def page() -> str:
    """Returns docs/kinds.md."""
    works = sum(not kind.refused for kind in KINDS)
    lines = [
        "# What becomes of your network, data, loss and checkpoints",
        "",
        f"Of the {len(KINDS)} kinds below, {works} work: a test runs each from a preset to a",
        "string file, verifies it, and compares its losses with plain torch. The others are",
        "refused before anything is trained, in one sentence that says what is written here; …",
        "stands for names, numbers and more of the sentence. This page is made from the tests:",
        "`python -m tests.support.kinds` writes it anew. [Your own model](your-own-model.md)",
        "explains how to bring yours.",
    ]
    for group, kinds in GROUPS.items():
        lines += ["", f"## {group}", "", "| kind | what becomes of it |", "|---|---|"]
        lines += [f"| {kind.name} | {kind.refused or 'works'} |" for kind in kinds]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
