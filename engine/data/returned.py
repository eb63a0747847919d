"""What a function of the user's own returns as data: arrays and tensors, or items one by one.

Torch is not imported here: where the user's function has imported it, it is found.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import user_code
from engine.data import fields
from engine.data.room import all_finite, changed, ends, room
from engine.errors import InputError
from engine.factories import call_factory

KEY = "problem.data"
#: Whole numbers that torch hardly computes with, and the types of the same values in their place.
SIGNED = {"u2": np.int32, "u4": np.int64, "u8": np.int64}
MUST = (
    "it must return (x, y) or (x, y, x_test, y_test) as arrays or tensors, a torch Dataset or "
    "DataLoader of (x, y), or two of them"
)
#: The names of the target in items that are dictionaries, as data sets of the Hub have them.
TARGETS = ("labels", "label")
#: The number of items that are read a second time, to see that they are the same.
AGAIN = 4

Pair = tuple[NDArray[Any], NDArray[Any]]
"""x and y of some samples."""


# ---------------------------------------------------------------- what may be returned


@dataclass(frozen=True)
class Stream:
    """The items of a torch Dataset, an IterableDataset of known length, or a DataLoader."""

    factory: str
    """The function that returned it, for messages."""
    source: Any
    """The object that gives the items, or the batches."""
    length: int
    """The number of items."""
    batched: bool = False
    """Whether the object gives batches."""
    numbered: bool = True
    """Whether items are asked for by their numbers."""

    def blocks(self) -> Iterator[Pair]:
        """Yields all items in order, each block with a leading axis of items.

        Raises InputError where an item cannot be had or is not (x, y).
        """
        at, end = 0, object()
        source = None if self.numbered else self._users(0, lambda: iter(self.source))
        while (item := self._next(source, at, end)) is not end:
            block = self._block(item, at)
            at += len(block[0])
            if at > self.length:
                break
            yield block
        if at != self.length:
            count = f"{at} items" if at < self.length else "more items"
            raise wrong(self.factory, f"a Dataset of length {self.length} that gives {count}")

    def item(self, number: int) -> Any:
        """Returns one item as it is. Raises InputError where that fails."""
        return self._users(number, lambda: self.source[number])

    def some(self) -> dict[int, Pair]:
        """Returns a few items by their numbers, read anew, with a leading axis of one.

        They are spread evenly where items have numbers, else they are the first ones.
        """
        if self.numbered:
            numbers = np.linspace(0, self.length - 1, min(AGAIN, self.length)).astype(int)
            return {n: self._block(self.item(n), n) for n in numbers.tolist()}
        first = next(self.blocks())
        count = range(min(AGAIN, len(first[0])))
        return {n: (first[0][n : n + 1], first[1][n : n + 1]) for n in count}

    def _next(self, source: Iterator[Any] | None, at: int, end: object) -> Any:
        """Returns the next item, that with the number `at` where items have numbers, or `end`."""
        if source is not None:
            return self._users(at, lambda: next(source, end))
        return self.item(at) if at < self.length else end

    def _users(self, number: int, call: Callable[[], Any]) -> Any:
        """Returns what the user's code gives for an item. Raises InputError where it fails."""
        try:
            with user_code.to_itself(self.factory):
                return call()
        except (Exception, SystemExit) as error:  # it is not our code
            what = f"the batch that begins with item {number}" if self.batched else f"item {number}"
            said = user_code.plain(" ".join(str(error).split()))
            raise InputError(
                f"{what} of the Dataset that {self.factory} returned failed with "
                f"{type(error).__name__}: {said}; correct it",
                key=f"{KEY}.factory",
            ) from error

    def _block(self, item: Any, number: int) -> Pair:
        """Returns an item, or a batch, as arrays with a leading axis. Raises InputError."""
        item = _apart(item)
        if not isinstance(item, tuple | list) or len(item) != 2:
            what = f"a Dataset whose items are not (x, y): item {number} is {_told(item)}"
            raise wrong(self.factory, what, "return two of each, x and y")
        y = array_of(item[1], "y", self.factory)
        x = inputs_of(item[0], self.factory, single=not self.batched)
        if not self.batched:
            return x, y[None]
        if x.ndim < 1 or y.ndim < 1 or len(x) != len(y) or not len(x):
            raise wrong(self.factory, f"a DataLoader whose batch at item {number} is not (x, y)")
        return x, y


def _apart(item: Any) -> Any:
    """Returns an item as (x, y) where it is a dictionary with its target among the inputs."""
    if not isinstance(item, Mapping):
        return item
    named = next((name for name in TARGETS if name in item), None)
    rest = {name: part for name, part in item.items() if name != named}
    return (rest, item[named]) if named is not None and rest else item


def _told(item: Any) -> str:
    """Returns what an item consists of, in words."""
    if isinstance(item, Mapping):
        return f"a dictionary of {', '.join(map(str, item))}, none of which is called labels"
    if isinstance(item, tuple | list):
        return f"{len(item)} things ({', '.join(type(part).__name__ for part in item)})"
    return f"a {type(item).__name__}"


Returned = list[NDArray[Any]] | list[Stream]
"""x and y, or x, y, x_test and y_test; or one Stream, or two of them."""


def returned(factory: str, args: dict[str, Any]) -> Returned:
    """Calls the user's function and returns its arrays, or its streams, not read yet.

    Raises InputError where the function fails or returns anything else.
    """
    found = call_factory(factory, args, KEY)
    if _are_arrays(found):
        return [
            array_of(part, "y", factory) if at % 2 else inputs_of(part, factory)
            for at, part in enumerate(found)
        ]
    parts = found if isinstance(found, tuple | list) and len(found) == 2 else [found]
    if all(map(_gives_items, parts)):
        return [_stream(part, factory) for part in parts]
    raise wrong(factory, type(found).__name__)


def _is_array(part: Any) -> bool:
    """Returns whether it is an array or a tensor."""
    return hasattr(part, "__array__") and hasattr(part, "shape")


def _are_arrays(found: Any) -> bool:
    """Returns whether it is (x, y) or (x, y, x_test, y_test), of arrays and tensors."""
    if not isinstance(found, tuple | list) or len(found) not in (2, 4):
        return False
    return all(map(_are_inputs, found[::2])) and all(map(_is_array, found[1::2]))


def _are_inputs(part: Any) -> bool:
    """Returns whether it is an array or a tensor, or a dictionary, tuple or list of several."""
    if isinstance(part, Mapping | tuple | list):
        inputs = fields.named(part)
        return bool(inputs) and all(map(_is_array, inputs.values()))
    return _is_array(part)


def _gives_items(part: Any) -> bool:
    """Returns whether it is a Dataset, an iterable of items, or a DataLoader."""
    known = hasattr(part, "__getitem__") and hasattr(part, "__len__")
    gives = known or _is(part, "Dataset", "DataLoader") or hasattr(part, "__iter__")
    return gives and not isinstance(part, tuple | list | dict | str) and not _is_array(part)


def _is(part: Any, *names: str) -> bool:
    """Returns whether it is an object of one of these classes of torch.utils.data."""
    module = sys.modules.get("torch.utils.data")
    return module is not None and isinstance(part, tuple(getattr(module, name) for name in names))


def _stream(part: Any, factory: str) -> Stream:
    """Returns the items of a Dataset in order. Raises InputError where they have none."""
    if _is(part, "DataLoader"):
        return _of_loader(part, factory)
    numbered = hasattr(part, "__getitem__") and not _is(part, "IterableDataset")
    return Stream(factory, part, _length(part, factory), numbered=numbered)


def _of_loader(loader: Any, factory: str) -> Stream:
    """Returns all items of a DataLoader in the order of its Dataset, through its collate function.

    They are read in this process. Raises InputError where a sampler chooses among the items.
    """
    length = _length(loader.dataset, factory)
    if not _is(loader.dataset, "IterableDataset"):
        plain = _is(loader.sampler, "SequentialSampler") or (
            _is(loader.sampler, "RandomSampler") and not loader.sampler.replacement
        )
        if not plain or loader.batch_size is None or len(loader.sampler) != length:
            raise wrong(factory, "a DataLoader with a sampler of its own", "return its Dataset")
    size, collate = loader.batch_size or 1, loader.collate_fn
    in_order = sys.modules["torch.utils.data"].DataLoader(
        loader.dataset, batch_size=size, collate_fn=collate
    )
    return Stream(factory, in_order, length, batched=True, numbered=False)


def _length(part: Any, factory: str) -> int:
    """Returns the number of items. Raises InputError where it is not known."""
    try:
        return len(part)
    except Exception as error:  # it is not our code
        what = f"{type(part).__name__}, which has no length"
        raise wrong(factory, what, "give it __len__, the number of its items") from error


# ---------------------------------------------------------------- one array


def array_of(part: Any, name: str, factory: str) -> NDArray[Any]:
    """Returns an array or a tensor as an array of numbers in main memory.

    Raises InputError where it holds no plain numbers. `name` says what it is, in messages.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(part, torch.Tensor):
        part = _of_tensor(torch, part, name, factory)
    try:
        array = np.asarray(part)
    except Exception as error:  # an object may convert itself in its own way
        raise wrong(
            factory, f"{name} that is no array ({type(error).__name__}: {error})"
        ) from error
    if array.dtype.kind == "c":
        raise wrong(factory, f"complex {name}", "return real and imaginary parts")
    if array.dtype.kind not in "fiub":
        raise wrong(factory, f"{name} of type {array.dtype} and shape {array.shape}")
    if array.dtype == np.uint64 and ends(array)[1] > np.iinfo(np.int64).max:
        raise wrong(factory, f"{name} with whole numbers beyond int64", "return smaller ones")
    signed = SIGNED.get(array.dtype.str[1:])
    return changed(array, signed or array.dtype.newbyteorder("="))


def _of_tensor(torch: Any, part: Any, name: str, factory: str) -> Any:
    """Returns a tensor as numpy takes it. Raises InputError where it holds no values as such."""
    if part.is_meta:
        raise wrong(factory, f"{name} on the meta device, which holds no values", "load them")
    if part.layout != torch.strided:
        raise wrong(factory, f"{name} as a sparse tensor", "return to_dense() of it")
    if part.is_quantized:
        raise wrong(factory, f"{name} as a quantized tensor", "return dequantize() of it")
    part = part.detach().cpu().resolve_conj().resolve_neg()
    small = part.is_floating_point() and part.dtype not in (
        torch.float16,
        torch.float32,
        torch.float64,
    )
    return part.float().numpy() if small else part.numpy()  # numpy has no bfloat16


def inputs_of(part: Any, factory: str, single: bool = False) -> NDArray[Any]:
    """Returns inputs as an array (sample, …), several of them as a structured one (sample,).

    With `single` they are those of one sample, without an axis for it. Raises InputError as
    `array_of` does, and where there are not as many samples of each input.
    """

    def one(part: Any, name: str) -> NDArray[Any]:
        array = array_of(part, name, factory)
        return array[None] if single else array

    if not isinstance(part, Mapping | tuple | list) or not _are_inputs(part):
        return one(part, "x")
    inputs = {name: one(each, f"x[{name}]") for name, each in fields.named(part).items()}
    if scalar := [name for name, each in inputs.items() if not each.ndim]:
        raise wrong(factory, f"x[{scalar[0]}] without an axis of samples")
    try:
        return fields.joined(inputs)
    except ValueError as error:
        raise wrong(factory, f"several inputs, but not {error}") from None


def kept_type(array: NDArray[Any]) -> np.dtype[Any]:
    """Returns the type in which samples are kept: their own, or float32 for wider values."""
    if array.dtype.names is not None:
        inputs = fields.parts(array).items()
        return fields.record({name: (kept_type(part), part.shape[1:]) for name, part in inputs})
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
    return np.dtype(np.float32) if wide else array.dtype


# ---------------------------------------------------------------- items into arrays


def stacked(stream: Stream) -> Pair:
    """Returns all items of a stream as one x and one y, mapped from a file where they are many.

    Raises InputError where items fail, differ in shape or type, or are not the same when asked for
    again.
    """
    held: list[NDArray[Any]] = []
    at = 0
    for block in stream.blocks():
        if not held:
            held = [room((stream.length, *part.shape[1:]), kept_type(part)) for part in block]
        for name, part, whole in zip(("x", "y"), block, held, strict=True):
            _check_alike(stream, name, part, whole, at)
            with np.errstate(over="ignore"):
                whole[at : at + len(part)] = part
        at += len(block[0])
    if not held:
        raise wrong(stream.factory, "no training samples")
    number = changed_item(stream, held[0], held[1]) if stream.numbered else None
    if number is not None:
        raise wrong(
            stream.factory,
            f"a Dataset whose item {number} is another each time",
            "take random transforms out of it",
        )
    return held[0], held[1]


def _check_alike(
    stream: Stream, name: str, part: NDArray[Any], whole: NDArray[Any], at: int
) -> None:
    """Raises InputError where items differ in shape or type, or are not finite."""
    if part.shape[1:] != whole.shape[1:]:
        raise wrong(
            stream.factory,
            f"a Dataset whose items differ in shape ({name} of item {at} is {part.shape[1:]}, not "
            f"{whole.shape[1:]})",
            "bring them to one shape: pad sequences, and give their masks as an input",
        )
    if kept_type(part) != whole.dtype:
        raise wrong(
            stream.factory,
            f"a Dataset whose items differ in type ({name} of item {at} is {part.dtype}, not "
            f"{whole.dtype})",
        )
    if not all_finite(part):
        raise wrong(
            stream.factory, f"{name} with values that are not finite in float32 (item {at})"
        )


def changed_item(stream: Stream, x: NDArray[Any], y: NDArray[Any]) -> int | None:
    """Returns the number of an item that is not what was kept of it, or None.

    Only a few items are read anew.
    """
    for number, block in stream.some().items():
        for part, whole in zip(block, (x, y), strict=True):
            kept = whole[number : number + 1]
            with np.errstate(over="ignore"):
                again = part.astype(kept_type(part)).astype(kept.dtype)
            alike = zip(fields.parts(kept).values(), fields.parts(again).values(), strict=True)
            if not all(np.array_equal(one.reshape(-1), other.reshape(-1)) for one, other in alike):
                return number
    return None


def wrong(factory: str, what: str, remedy: str = MUST) -> InputError:
    """Returns the error that says what the function returned and what it has to return."""
    return InputError(f"{factory} returned {what}; {remedy}", key=f"{KEY}.factory")
