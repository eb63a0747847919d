"""All keys of a preset, as one frozen `Spec`. No torch here.

`yaml_file` reads and checks it. Everything inside the engine trusts a `Spec`.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, field_validator

from engine.part import Part, PositiveInt, SeedInt
from engine.spec.problem import ProblemSpec
from engine.spec.search import Search
from engine.spec.training import Endpoints

Precision = Literal["float32", "tf32", "bf16"]
"""The names of the precisions of steps."""

#: Why devices with names of torch's are not accepted, and what to choose.
UNSUPPORTED = {
    "mps": "Apple's GPUs have no float64, in which strings are audited; choose cpu",
    "rocm": "torch calls AMD's GPUs cuda as well; choose cuda",
    "hip": "torch calls AMD's GPUs cuda as well; choose cuda",
}


def check_device(device: str) -> str:
    """Returns a text that names devices, each once. Raises ValueError for any other text."""
    kind = device.partition(":")[0]
    if kind in UNSUPPORTED:
        raise ValueError(f"is {device!r}; {UNSUPPORTED[kind]}")
    if not re.fullmatch(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*", device):
        raise ValueError(f"is {device!r}; choose auto, cpu, cuda, or a list: cuda:0,cuda:1")
    names = device.split(",")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"is {device!r}; name {twice} once, since a GPU has one worker")
    return device


class Limits(Part):
    """The limits of a run, at which it is stopped. It can go on with other limits."""

    beads: Annotated[int, Field(ge=2)] | None = 2000
    """The largest number of beads on the string, its ends included; null sets no limit."""
    steps: PositiveInt | None = None
    """The largest number of bead-steps of the whole run; null sets no limit."""
    seconds: PositiveFloat | None = None
    """The longest running time of the whole run, resumed parts included; null sets no limit."""
    memory: PositiveFloat | None = None
    """The GiB that the layers' outputs may take at a time; null takes 0.25 for each thread on the
    CPU, and a quarter of what is free on a GPU."""


class Spec(Part):
    """A preset with every key in place."""

    description: str = ""
    """The line that the menu shows."""
    task: str = ""
    """The heading that the menu groups presets by."""
    problem: ProblemSpec
    """The data, the network and the loss."""
    endpoints: Endpoints = Endpoints()
    """The two models that are to be connected."""
    search: Search
    """The search for a path, and the level that it must stay below."""
    path_parameters: str | tuple[str, ...] | None = None
    """The parameters that the path moves, by a pattern of their names such as head.* (fnmatch), or
    a list of patterns. The others are part of both ends, which must agree in them. Null: those that
    require gradients."""
    limits: Limits = Limits()
    """The limits at which the run is stopped."""
    seed: SeedInt = 0
    """The seed of everything random in the run, the data excepted, which have their own."""
    device: str = "auto"
    """The devices: auto, cpu, cuda for all GPUs, or a list such as cuda:0,cuda:1. With auto the CPU
    and the GPU with the most free memory are measured once, and the faster one is taken."""
    precision: Precision = "float32"
    """The precision of the network's products in steps of training. With tf32, on GPUs alone, ten
    bits of each factor are kept; with bf16 the network runs in bfloat16 under torch's autocast,
    seven bits, which takes half the memory too. Both are faster on GPUs. Weights and losses that
    are judged stay in float32, and the audit in float64."""
    deterministic: bool = False
    """Whether GPUs take only algorithms that give the same bits in each run, which may be slower.
    Otherwise they agree up to rounding. On the CPU the bits are the same in any case."""
    mini_batches: Literal["auto", "shuffled", "hashed"] = "shuffled"
    """The random orders in which steps go through the samples: shuffled by numpy on the host, a
    pass at a time, or hashed, which any device computes entry by entry, so that a GPU need not wait
    for the host. auto: hashed on GPUs. Both are functions of the seeds alone. A new run takes auto
    where a preset leaves the key out, and run.yaml names the one that it took."""
    checkpoint_seconds: PositiveFloat = 5.0
    """The seconds between checkpoints. There are more where writing one takes over a twentieth of
    them."""
    workers: PositiveInt | None = None
    """The number of threads on the CPU; null takes one a core. Rounding depends on it, so a run
    keeps its number."""

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, device: str) -> str:
        """Raises ValueError for a text that names no devices."""
        return check_device(device)

    @property
    def moving(self) -> tuple[str, ...] | None:
        """The patterns of `path_parameters`, or None."""
        named = self.path_parameters
        return (named,) if isinstance(named, str) else named

    def of_a_new_run(self) -> Spec:
        """Returns the spec as a new run writes it down.

        Where a preset leaves out `problem.batch_norm.seed`, the samples that statistics are taken
        from are drawn, because the first ones may all be of one class. Where it leaves out
        `mini_batches`, the device decides. A spec read from the folder of a run keeps what that run
        did: there the keys are given, or mean the first samples and shuffled orders.
        """
        changes: dict[str, Any] = {}
        batch_norm = self.problem.batch_norm
        if "seed" not in batch_norm.model_fields_set:
            drawn = {"batch_norm": batch_norm.model_copy(update={"seed": 0})}
            changes["problem"] = self.problem.model_copy(update=drawn)
        if "mini_batches" not in self.model_fields_set:
            changes["mini_batches"] = "auto"
        return self.model_copy(update=changes) if changes else self

    def fingerprint(self) -> str:
        """Returns a checksum that is equal for two specs whose searches take the same steps.

        Only keys that differ from their defaults count, so a new key with a default leaves the
        checksums of older runs as they are. A renamed key counts under its first name, which its
        field keeps as `serialization_alias`. The keys in ASIDE do not count.
        """
        return digest(self._told())

    def known_fingerprints(self) -> tuple[str, ...]:
        """Returns the checksum, and those that the same keys had under former defaults."""
        told, every = self._told(), self.model_dump(mode="json", exclude=ASIDE, by_alias=True)
        found = [digest(told)]
        for (block, part), former in FORMER_DEFAULTS:
            now, held = every[block][part], told[block]
            own = {key: value for key, value in held.pop(part, {}).items() if key not in former}
            own |= {key: now[key] for key, default in former.items() if now[key] != default}
            if own:
                held[part] = own
            found.append(digest(told))
        return tuple(found)

    def _told(self) -> dict[str, Any]:
        """Returns the keys that a checksum is taken over, as a plain tree."""
        return self.model_dump(mode="json", exclude=ASIDE, exclude_defaults=True, by_alias=True)


#: Keys of a spec that do not change which steps a search takes.
ASIDE = {"limits", "description", "task", "checkpoint_seconds"}
#: The block and the part of it whose keys had other defaults, and these, the newest change first.
#: A run.yaml spells out every key, and a checkpoint's checksum leaves out those that were defaults
#: when it was written.
FORMER_DEFAULTS: tuple[tuple[tuple[str, str], dict[str, Any]], ...] = (
    (("search", "shortening"), {"sweeps": 60, "gain": 0.001, "doublings": 2}),
)


def digest(tree: dict[str, Any]) -> str:
    """Returns the SHA-256 of a plain tree, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
