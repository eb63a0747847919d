"""Finds a network's tensors in what a checkpoint holds, by the names that wrappers gave them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.errors import InputError, listed, nearest
from engine.inert import Inert

#: The keys under which training scripts keep a model's tensors, the preferred one first.
KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "ema",
)

#: What torch.compile puts before the names of the module, or of each part, that it has compiled.
COMPILED = "_orig_mod."


def tensors(held: Any, key: str | None, path: Path) -> dict[str, Tensor]:
    """Returns the tensors by name in what a checkpoint holds.

    They lie under `key`, with dots between the keys of nested mappings, or where it is None under
    one of KEYS, or nowhere below. Raises InputError where there are none.
    """
    if key is not None:
        return _checked(_under(held, key, path), path)
    while isinstance(held, Mapping):
        inner = next((held[name] for name in KEYS if _holds_tensors(held.get(name))), None)
        if inner is None:
            break
        held = inner
    return _checked(held, path)


def _holds_tensors(held: Any) -> bool:
    """Returns whether something is a mapping in which there are tensors, at some depth."""
    if not isinstance(held, Mapping):
        return False
    return any(isinstance(each, Tensor) or _holds_tensors(each) for each in held.values())


def _under(held: Any, key: str, path: Path) -> Any:
    """Returns what lies under a key. Raises InputError where there is no such key."""
    if isinstance(held, Mapping) and key in held:
        return held[key]
    first, dot, rest = key.partition(".")
    if dot and isinstance(held, Mapping) and first in held:
        return _under(held[first], rest, path)
    keys = [str(name) for name in held] if isinstance(held, Mapping) else []
    hint = nearest(key, keys) if keys else "it has no keys"
    raise InputError(f"has no key {key!r}; {hint}", file=path, key="endpoints.key")


def _checked(held: Any, path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a mapping by name. Raises InputError where there are none."""
    if not isinstance(held, Mapping):
        raise _no_tensors(held, [held], "", path)
    named = {name: each for name, each in held.items() if isinstance(each, Tensor)}
    if named and all(isinstance(name, str) for name in named):
        return named
    keys = f" of {listed(map(str, held))}" if held else ""
    raise _no_tensors(held, held.values(), keys, path)


def _no_tensors(held: Any, inside: Iterable[Any], keys: str, path: Path) -> InputError:
    """Returns the error of what holds no tensors by name, but things of other kinds `inside`."""
    whole = next((each for each in inside if isinstance(each, Inert)), None)
    if whole is not None:
        return InputError(
            f"holds a pickled {type(whole).__name__}, whose code is not run; save it with "
            "torch.save(model.state_dict(), …)",
            file=path,
        )
    if isinstance(held, Mapping) and not held:
        return InputError("holds nothing; save model.state_dict()", file=path)
    return InputError(
        f"holds {type(held).__name__}{keys}, not tensors by name; save model.state_dict()",
        file=path,
    )


def unprefixed(
    named: Mapping[str, Tensor], own: Collection[str], prefix: str | None, path: Path
) -> dict[str, Tensor]:
    """Returns tensors by the names that they have in the network.

    `own` are the names of its parameters, tied ones by all of their names. With a `prefix`, names
    that do not begin with it are left out. Where it is None, it is the one before all names of the
    network, such as the "module." of parallel training or the "model." of Lightning. Raises
    InputError where the prefix is in no name, or where several would do.

    What torch.compile puts into names is taken out first, since it may stand before any part.
    """
    if not any(COMPILED in name for name in own):
        named = {name.replace(COMPILED, ""): tensor for name, tensor in named.items()}
    if prefix is None:
        prefix = _prefix_of(named, own, path)
    elif not any(name.startswith(prefix) for name in named):
        raise InputError(
            f"has no name that begins with {prefix!r}; they begin with {listed(_heads(named))}",
            file=path,
            key="endpoints.prefix",
        )
    cut = len(prefix)
    return {name[cut:]: each for name, each in named.items() if name.startswith(prefix)}


def _prefix_of(named: Mapping[str, Tensor], own: Collection[str], path: Path) -> str:
    """Returns the prefix under which most of the network's names are found."""
    counts = {"": 0}
    for name in named:
        for prefix in _prefixes(name, own):
            counts[prefix] = counts.get(prefix, 0) + 1
    if counts[""]:
        return ""
    most = max(counts.values())
    best = [prefix for prefix, count in counts.items() if count == most]
    if len(best) > 1 and most:
        raise InputError(
            f"holds the network's tensors more than once, under {listed(sorted(best))}; "
            "choose one with endpoints.prefix",
            file=path,
        )
    return best[0]


def _prefixes(name: str, own: Collection[str]) -> Iterator[str]:
    """Yields each prefix of a name, "" included, after which one of the network's names is left."""
    at = 0
    while True:
        if name[at:] in own:
            yield name[:at]
        at = name.find(".", at) + 1
        if not at:
            return


def _heads(named: Collection[str]) -> list[str]:
    """Returns the first parts of names, with their dots, each once."""
    heads = {name.partition(".")[0] + "." if "." in name else name for name in named}
    return sorted(heads)
