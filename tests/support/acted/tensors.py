"""Tensors of acted cards: wrappers around tensors of the CPU that know their device.

For torch's own C++ code they are on the CPU, so that autograd and vmap take them as they are. Each
operation on them comes to `_operate`, which holds it against the rules of CUDA and computes it.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from tests.support.acted.graphs import Entry, drawing
from tests.support.acted.machine import line, machine
from tests.support.acted.streams import (
    CELLS,
    Cell,
    Stream,
    address,
    current_stream,
    join,
    tensors_in,
)

#: Operations that move values between devices.
COPIES = frozenset({"copy_", "_to_copy", "set_"})
#: Operations whose results the host must see before it goes on.
SYNCS = frozenset(
    {"nonzero", "masked_select", "equal", "_unique2", "unique_dim", "bincount", "is_nonzero"}
)
#: Operations that index, whose numbers may be on the host.
INDEXED = frozenset({"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"})
#: The kernels of operations that launch more than one, at least.
KERNELS = {"convolution_backward": 3, "convolution": 2}
#: Functions of torch's that make small tensors in C++, on the device of their arguments.
MAKING = frozenset({"embedding", "cross_entropy", "nll_loss", "batch_norm"})
#: The calls between such a function and the operation, at most.
DEEP = 40


class GpuTensor(torch.Tensor):
    """A tensor on an acted card."""

    __torch_function__: ClassVar[Any] = torch._C._disabled_torch_function_impl
    elem: Tensor
    place: torch.device
    cell: Cell

    @staticmethod
    def __new__(cls, elem: Tensor, place: torch.device) -> GpuTensor:
        made: GpuTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            elem.shape,
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            layout=elem.layout,
            device=torch.device("cpu"),
            requires_grad=False,
        )
        made.elem, made.place = elem, place
        made.cell = CELLS.of(elem, current_stream(place))
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _operate(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"GpuTensor({self.elem!r}, device={self.place})"

    # ---------------------------------------------------------------- what the host may read

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        assert isinstance(value, GpuTensor)
        self.elem, self.cell = value.elem, value.cell
        setter: Any = torch.Tensor.data
        setter.__set__(self, value)

    def read(self, reason: str) -> Tensor:
        """Returns the tensor on the host, which waits for it."""
        stream = current_stream(self.place)
        stream.refuse_in_capture(reason)
        machine().note_sync(reason)
        stream.operate([CELLS.of(self.elem, stream)], [], allocates=False)
        stream.wait_for()
        return self.elem.detach().clone()

    def numpy(self, **_: Any) -> Any:
        raise TypeError(
            f"can't convert {self.place} device type tensor to numpy. Use Tensor.cpu() to copy the "
            "tensor to host memory first."
        )

    def __array__(self, *_: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.read("tolist").tolist()

    def data_ptr(self) -> int:
        return self.elem.data_ptr()

    def untyped_storage(self) -> Any:
        return self.elem.untyped_storage()

    def record_stream(self, stream: Any) -> None:
        CELLS.of(self.elem, stream).safe.add(stream.id)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        made = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            made = torch.nn.Parameter(made, self.requires_grad)
        memo[id(self)] = made
        return made


def innermost(tensor: Tensor) -> Tensor:
    """Returns the tensor within the wrappers of vmap and grad."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


# -------------------------------------------------------------------- one operation


def _operate(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Returns what an operation gives, computed on the CPU, after all that CUDA asks of it."""
    name = func._schema.name.split("::")[1]
    tensors = list(tensors_in((args, tuple(kwargs.values()))))
    ours = [each for each in tensors if isinstance(each, GpuTensor)]
    place = _place(name, args, ours, [t for t in tensors if not isinstance(t, GpuTensor)])
    stream = current_stream(place)
    if name == "_local_scalar_dense":
        return ours[0].read("item").item()
    waits = name in SYNCS or (name == "copy_" and _waits(*args, **kwargs))
    if name == "copy_":
        _arrange_copy(args[0], args[1], stream, waits)
    if name in SYNCS or (name in INDEXED and _by_mask(args)):
        stream.refuse_in_capture(name)
        machine().note_sync(name)
    machine().check(name)
    bare, named = _mapped(_bare, args), {name: _mapped(_bare, kwargs[name]) for name in kwargs}
    named.pop("device", None)
    written = _written(func, bare, named)
    if stream.tape is not None:
        stream.tape.keep(written, stream)
    with drawing(func, place):
        found = func(*bare, **named)
    outs = list(tensors_in(found))
    inputs = {address(each.elem) for each in ours}
    makes = not written and any(address(each) not in inputs for each in outs)
    if (written or makes) and not name.startswith(("empty", "new_empty")):
        _launch(name, args, stream)
        cells = [CELLS.of(each.elem, stream) for each in ours]
        made = [CELLS.of(each, stream) for each in written or outs]
        stream.operate(cells, made, allocates=makes)
        if stream.tape is not None:
            new = [] if written else outs
            stream.tape.add(Entry(func, bare, named, new, cells, made, place))
    if waits:
        stream.wait_for()
    known = {id(each.elem): each for each in ours}
    if name == "copy_" and not isinstance(args[0], GpuTensor):
        return args[0]

    def wrapped(each: Any) -> Any:
        if not isinstance(each, Tensor):
            return each
        return known[id(each)] if id(each) in known else GpuTensor(each, place)

    return _mapped(wrapped, found)


def _mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Returns lists and tuples with a function's results in place of what they hold.

    Operations take no other containers, and torch's own trees take most of an operation's time.
    """
    if isinstance(tree, list | tuple):
        return type(tree)([_mapped(function, each) for each in tree])
    return function(tree)


def _bare(each: Any) -> Any:
    return each.elem if isinstance(each, GpuTensor) else each


def _place(
    name: str, args: tuple[Any, ...], ours: Sequence[GpuTensor], plain: Sequence[Tensor]
) -> torch.device:
    """Returns the device of an operation. Raises RuntimeError, as torch does, for several."""
    if name in COPIES:
        first = args[0]
        return first.place if isinstance(first, GpuTensor) else ours[0].place
    places = sorted({str(each.place) for each in ours})
    if len(places) == 1 and any(each.ndim for each in plain):
        if name in INDEXED and isinstance(args[0], GpuTensor):
            _index_from_host(name, current_stream(ours[0].place))
        elif not _made_by_torch(name):
            places.append("cpu")
    if len(places) > 1:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{places[0]} and {places[1]}! (when checking arguments for {name}, {line()})"
        )
    return ours[0].place


def _index_from_host(name: str, stream: Stream) -> None:
    """Counts the copy of an index from the host's memory, unless vmap made it."""
    if _called_by("vmap"):
        return
    stream.refuse_in_capture("the copy of an index from the host")
    machine().counts.from_host[f"{name} at {line()}"] += 1


def _made_by_torch(name: str) -> bool:
    """Returns whether torch's own C++ code may have made a tensor, for which all is on the CPU."""
    if name.startswith("native_batch_norm"):
        return True
    return _called_by(*MAKING)


def _called_by(*functions: str) -> bool:
    """Returns whether functions of torch's of these names are on the stack, not far below."""
    frame: Any = sys._getframe(2)
    for _ in range(DEEP):
        if frame is None:
            return False
        code = frame.f_code
        if code.co_name in functions and "/torch/" in code.co_filename:
            return True
        frame = frame.f_back
    return False


def _by_mask(args: tuple[Any, ...]) -> bool:
    """Returns whether an index holds a mask, whose size the host must know."""
    return any(each.dtype in (torch.bool, torch.uint8) for each in tensors_in(args[1]))


def _arrange_copy(to: Tensor, of: Tensor, stream: Stream, waits: bool) -> None:
    """Counts a copy between places, and orders the streams of both devices around it."""
    counts = machine().counts
    if isinstance(to, GpuTensor) and isinstance(of, GpuTensor):
        if to.place != of.place:
            counts.between[line()] += 1
            other = current_stream(of.place)
            with stream.machine.lock:
                join(stream.clock, other.clock)
                join(other.clock, stream.clock)
    else:
        if waits:
            stream.refuse_in_capture("a copy between host and device")
            machine().note_sync("copy_")
        if isinstance(to, GpuTensor):
            counts.from_host[f"copy_ at {line()}"] += 1


def _waits(to: Tensor, of: Tensor, non_blocking: bool = False) -> bool:
    """Returns whether the host waits for a copy, as it does unless its own memory is pinned."""
    host = of if isinstance(to, GpuTensor) else to
    return not isinstance(host, GpuTensor) and not (non_blocking and is_pinned(host))


@cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Returns the places and the names of the arguments that an operation writes to."""
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """Returns the tensors that an operation writes to, those of its arguments."""
    found: list[Tensor] = []
    for place, name in _written_arguments(func):
        given = args[place] if place < len(args) else kwargs.get(name)
        found += tensors_in(given)
    return found


def _launch(name: str, args: tuple[Any, ...], stream: Stream) -> None:
    """Counts the kernels of an operation."""
    kernels = KERNELS.get(name, 1)
    if name == "cat":
        kernels = -(-len(args[0]) // 128)  # so many tensors go into one
    if stream.tape is None:
        machine().counts.launches[name] += kernels
    else:
        stream.tape.kernels += kernels


# -------------------------------------------------------------------- pinned memory

_PINNED: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()


def pinned(tensor: Tensor) -> Tensor:
    """Returns a copy of a tensor of the host in pinned memory, which is so as long as it lives."""
    made = tensor.detach().clone()
    _PINNED[address(made)] = made
    return made


def is_pinned(tensor: Tensor) -> bool:
    return address(tensor) in _PINNED
