"""What a run is asked to do: the preset's keys, validated once and frozen. No torch here.

`load` reads a YAML file, `with_overrides` applies `a.b=value` lines, `to_yaml` writes the
resolved form that repeats the run. Everything inside the engine trusts a `Spec`.
"""

from __future__ import annotations

import hashlib
import json
import re
import types
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails

from engine.errors import InputError, nearest

Model = TypeVar("Model", bound=BaseModel)
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# ---------------------------------------------------------------- problem: data, network, loss


class PolynomialData(Part):
    """y = Σ c_k x^k on [0, 1]; held-out points lie between (grid) or are drawn anew (random)."""

    kind: Literal["polynomial"]
    coefficients: Annotated[tuple[float, ...], Field(min_length=1)]
    """Lowest degree first."""
    points: Annotated[int, Field(ge=2)] = 1000
    sampling: Literal["grid", "random"] = "grid"
    seed: NonNegativeInt = 0
    """Of the random sampling. The run's own seed does not change the data."""


class DigitsData(Part):
    """The 1 797 handwritten 8×8 digits that ship with the package: 1 437 to train, 360 held out."""

    kind: Literal["digits"]


class ArraysData(Part):
    """A user's .npz with x and y, and optionally x_test and y_test."""

    kind: Literal["arrays"]
    path: str
    held_out: Fraction = 0.2
    """Share of samples held out where the file has no x_test."""
    seed: NonNegativeInt = 0
    """Of that split."""


class LinearNetwork(Part):
    """Deep linear network W_K … W_1 x (Eq. 4)."""

    kind: Literal["linear"]
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]


class MlpNetwork(Part):
    """Fully connected network (Eq. 5)."""

    kind: Literal["mlp"]
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=2)]
    activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    bias: bool = True
    output_activation: Literal["identity", "relu", "sigmoid", "tanh"] = "identity"
    init: Literal["default", "paper"] = "default"
    """default: torch's; paper: weights uniform in [-1, 1], biases standard normal."""


Data = Annotated[PolynomialData | DigitsData | ArraysData, Field(discriminator="kind")]
Network = Annotated[LinearNetwork | MlpNetwork, Field(discriminator="kind")]


class ProblemSpec(Part):
    data: Data
    network: Network
    loss: Literal["mse", "l1", "cross_entropy"]


# ---------------------------------------------------------------- how weights are trained


class Sgd(Part):
    kind: Literal["sgd"]
    lr: PositiveFloat = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0


class RmsProp(Part):
    kind: Literal["rmsprop"]
    lr: PositiveFloat = 1e-3
    smoothing: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Adam(Part):
    kind: Literal["adam"]
    lr: PositiveFloat = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8


Optimizer = Annotated[Sgd | RmsProp | Adam, Field(discriminator="kind")]


class Training(Part):
    """How one weight vector is trained until its loss is at or below a target."""

    optimizer: Optimizer = RmsProp(kind="rmsprop")
    batch_size: Literal["full"] | PositiveInt = "full"
    max_steps: PositiveInt = 20000
    patience: PositiveInt = 2000
    """Steps without a loss at least 0.1 % lower after which training is given up as stuck."""
    check_every: PositiveInt = 20
    """Steps between looks at the loss on all the data (with batch_size full every step looks)."""


class Endpoints(Training):
    restarts: NonNegativeInt = 5
    """New random initialisations of an endpoint that misses its target."""


# ---------------------------------------------------------------- how a path is searched for


class Greedy(Training):
    """Algorithm 1 of the paper."""

    t_star: Literal["peak", "half"] = "peak"
    grid: Annotated[int, Field(ge=5)] = 33
    """Points t = 0 … 1 on which a segment's interpolated loss is looked at."""
    margin: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """A new bead starts no nearer to either end of its segment, in t."""
    max_depth: PositiveInt = 14
    slots: PositiveInt = 128
    """Beads that train at the same time."""


class Audit(Part):
    """The re-measurement before a run may be called connected."""

    grid: Literal["auto", "fine", "coarse"] = "auto"
    """fine: 10× the search's grid in float64; coarse: 2× in float32; auto: fine where that is
    cheap beside the run. The neighbourhoods of the highest peaks are refined in either."""


class Search(Part):
    method: Literal["greedy"] = "greedy"
    level: PositiveFloat
    """L0: the loss that no point of the path may exceed."""
    alpha: Fraction = 0.8
    """Beads are trained to alpha times the level."""
    greedy: Greedy = Greedy()
    audit: Audit = Audit()


class Limits(Part):
    beads: Annotated[int, Field(ge=2)] | None = 2000
    steps: PositiveInt | None = None
    """Bead-steps of the whole run."""
    seconds: PositiveFloat | None = None
    """Running time of the whole run, resumed parts included."""


class Spec(Part):
    """A preset with every key in place."""

    description: str = ""
    problem: ProblemSpec
    endpoints: Endpoints = Endpoints()
    search: Search
    limits: Limits = Limits()
    seed: NonNegativeInt = 0
    device: str = "auto"
    """auto, cpu, cuda, or a list such as cuda:0,cuda:1."""
    checkpoint_seconds: PositiveFloat = 5.0
    """Between checkpoints; more where writing one takes over a twentieth of that."""
    workers: PositiveInt | None = None
    """Threads on the CPU; null: one a core. Rounding depends on it, so a run keeps its number."""

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?(,cuda:\d+)*", device):
            raise ValueError(f"is {device!r}; choose auto, cpu, cuda, or a list: cuda:0,cuda:1")
        return device

    def to_yaml(self) -> str:
        tree = self.model_dump(mode="json")
        return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True))

    def fingerprint(self) -> str:
        """Equal for two specs whose searches take the same steps: not so limits, words, pace."""
        aside = {"limits", "description", "checkpoint_seconds"}
        same = self.model_dump(mode="json", exclude=aside)
        return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- YAML


class _Loader(yaml.SafeLoader):
    """YAML with the numbers and booleans of YAML 1.2, and no key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # said by super
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes every string that a reader of either version would take for something else."""


_Loader.yaml_implicit_resolvers = {
    first: [r for r in rules if r[0].rpartition(":")[2] not in {"float", "bool", "timestamp"}]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# 1e-3, 1.0e-3, .5 and 3. are numbers; 7 is left to the integers, 1.2.3 to the strings.
_FLOAT = re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$|^[-+]?\.inf$|^\.nan$")
for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    list("tTfF"),
)


def read_yaml(text: str, file: object) -> Any:
    """The plain value of a YAML text. Raises InputError with the line of a syntax error."""
    try:
        # By way of JSON: tags of YAML become plain values, and a cycle is refused.
        return json.loads(json.dumps(yaml.load(text, _Loader), default=str))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "not readable as YAML"
        if mark is None:
            raise InputError(f"YAML: {what}", file=file) from None
        lines = text.splitlines()
        shown = lines[mark.line].strip() if mark.line < len(lines) else "end of the file"
        raise InputError(f"YAML: {what} in line {mark.line + 1}: {shown!r}", file=file) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"YAML: a value is not readable ({error})", file=file) from None


def load(path: Path, overrides: Iterable[str] = ()) -> Spec:
    """The spec in a YAML file with `a.b=value` overrides. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot be read: {reason}", file=path) from None
    spec = parse(with_overrides(read_yaml(text, path), overrides, file=path), file=path)
    return _anchor_paths(spec, path.parent)


def with_overrides(tree: Any, overrides: Iterable[str], file: object = None) -> Any:
    """A copy of the tree in which each `a.b=value` has been set. Raises InputError."""
    if not isinstance(tree, dict):
        return tree
    tree = json.loads(json.dumps(tree, default=str))
    for line in overrides:
        key, equals, value = line.partition("=")
        steps = key.strip().split(".")
        if not equals or not all(steps):
            raise InputError(f"--set {line!r} is not of the form a.b=value", file=file)
        at = tree
        for depth, step in enumerate(steps[:-1], 1):
            at = at.setdefault(step, {}) if at.get(step) is not None else _fresh(at, step)
            if not isinstance(at, dict):
                raise InputError(
                    f"is {json.dumps(at)} and has no keys below it, but --set gives {line!r}",
                    file=file,
                    key=".".join(steps[:depth]),
                )
        at[steps[-1]] = read_yaml(value, f"--set {line}")
    return tree


def _fresh(at: dict[str, Any], step: str) -> dict[str, Any]:
    at[step] = {}
    return at[step]  # type: ignore[no-any-return]


def parse(tree: object, file: object = None) -> Spec:
    """The spec of a plain tree. Raises InputError naming file, key, value and remedy."""
    return validated(Spec, tree, file)


def validated(model: type[Model], tree: object, file: object = None) -> Model:
    """The tree as an instance of the model, by the strict rules of JSON. Raises InputError."""
    if not isinstance(tree, dict):
        raise InputError("holds no keys; see `dss-tui presets digits` for an example", file=file)
    try:
        return model.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise _explained(model, error.errors(), file) from None


def _anchor_paths(spec: Spec, folder: Path) -> Spec:
    """Relative paths in a preset are relative to the preset's file."""
    data = spec.problem.data
    if not isinstance(data, ArraysData) or Path(data.path).is_absolute():
        return spec
    beside = (folder / data.path).expanduser()
    if not beside.exists():
        return spec
    data = data.model_copy(update={"path": str(beside.resolve())})
    problem = spec.problem.model_copy(update={"data": data})
    return spec.model_copy(update={"problem": problem})


# ---------------------------------------------------------------- errors as sentences


def _explained(model: type[BaseModel], errors: list[ErrorDetails], file: object) -> InputError:
    """One error, together with the other branches of its union where it has several.

    An unknown key goes first: it may be the misspelt name of one that is missing.
    """
    error = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    key, known = _locate(model, error["loc"])
    same_key = [e for e in errors if _locate(model, e["loc"])[0] == key]
    value = error.get("input")
    shown = json.dumps(value, ensure_ascii=False)
    match error["type"]:
        case "extra_forbidden":
            hint = nearest(key.split(".")[-1], known)
            return InputError(f"unknown key; {hint}", file=file, key=key)
        case "missing":
            return InputError("is missing; give it a value", file=file, key=key)
        case "union_tag_not_found":
            return InputError(f"needs a kind; {nearest('', known)}", file=file, key=key)
        case "union_tag_invalid":
            tags = [tag.strip(" '") for tag in error["ctx"]["expected_tags"].split(",")]
            kind = value.get("kind") if isinstance(value, Mapping) else value
            return InputError(
                f"unknown kind {kind!r}; {nearest(str(kind), tags)}", file=file, key=f"{key}.kind"
            )
        case "literal_error" if len(same_key) == 1:
            words = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
            return InputError(f"is {shown}; {nearest(str(value), words)}", file=file, key=key)
        case "value_error":
            return InputError(str(error["ctx"]["error"]), file=file, key=key or None)
    rule = " or ".join(e["msg"].removeprefix("Input should be ") for e in same_key)
    rule = rule.replace("an object", "a mapping of keys").replace("array", "list")
    rule = re.sub(r"Tuple should have (.*) after validation, not \d+", r"a list of \1", rule)
    return InputError(f"is {shown}, but must be {rule}", file=file, key=key or None)


def _locate(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """The dotted key of an error, without the names of union branches; the names known there.

    Those are the kinds of a union of kinds, else the keys beside the last one.
    """
    at: Any = model
    keys: list[str] = []
    known: list[str] = []
    for step in loc:
        branches = _branches(at)
        tagged = [b for b in branches if step in _kinds(b)]
        if tagged:
            at = tagged[0]
            continue
        holders = [b for b in branches if isinstance(b, type) and issubclass(b, BaseModel)]
        known = sorted({name for holder in holders for name in holder.model_fields})
        holder = next((h for h in holders if step in h.model_fields), None)
        if holder is None and not (isinstance(step, int) or holders):
            continue  # the name of a union's branch, such as constrained-int
        keys.append(str(step))
        at = holder.model_fields[str(step)].annotation if holder else None
    kinds = [kind for branch in _branches(at) for kind in _kinds(branch)]
    return ".".join(keys), kinds or known


def _branches(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(b for a in get_args(annotation) for b in _branches(a))
    return (annotation,)


def _kinds(model: Any) -> tuple[str, ...]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ()
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field else ()
