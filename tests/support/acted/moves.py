"""Ways onto acted cards and back: `Tensor.to` and its kin, and the functions that make tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from tests.support.acted.graphs import Entry, drawing
from tests.support.acted.machine import line, machine, place_of
from tests.support.acted.streams import CELLS, current_stream, join
from tests.support.acted.tensors import GpuTensor, innermost, is_pinned

#: The functions that make tensors from nothing, or from what the host has.
FACTORIES = ("arange", "empty", "empty_strided", "eye", "full", "linspace", "ones", "zeros")
RANDOM = ("rand", "randint", "randn", "randperm")
OF_DATA = ("tensor", "as_tensor", "asarray")

_to = torch.Tensor.to


def device_of(tensor: Tensor) -> torch.device:
    """Acts `Tensor.device`, also of tensors within vmap."""
    inner = innermost(tensor)
    if isinstance(inner, GpuTensor):
        return inner.place
    found: torch.device = torch._C.TensorBase.device.__get__(inner)
    return found


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Acts `Tensor.to`."""
    device, rest, named = _device_in(args, kwargs)
    if device is not None and device.type == "cuda":
        device = place_of(device)
    if device is None or device == device_of(self):
        return _to(self, *rest, **named) if rest or named else self
    non_blocking = named.pop("non_blocking", False)
    if isinstance(self, GpuTensor) and device.type == "cuda":
        return _also(_across(self, device), rest, named)
    if isinstance(self, GpuTensor):
        return _also(_home(self, non_blocking), rest, named)
    if device.type != "cuda":
        return _to(self, device, *rest, **named)
    return _out(_also(self, rest, named), device, non_blocking)


def _device_in(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[torch.device | None, list[Any], dict[str, Any]]:
    """Returns the device that is asked of `to`, and its other arguments, by place and by name."""
    named = dict(kwargs)
    device, rest = named.pop("device", None), []
    if isinstance(other := named.pop("other", None), Tensor):
        args = (other, *args)
    for place, each in enumerate(args):
        if isinstance(each, Tensor):
            device = device_of(each)
            rest.append(each.dtype)
        elif isinstance(each, str | torch.device) or (isinstance(each, int) and place == 0):
            device = torch.device("cuda", each) if isinstance(each, int) else each
        elif isinstance(each, bool):
            named["non_blocking" if "non_blocking" not in named else "copy"] = each
        elif each is not None:
            rest.append(each)
    if named.get("dtype") is None:
        named.pop("dtype", None)
    return None if device is None else torch.device(device), rest, named


def _also(tensor: Tensor, rest: list[Any], named: dict[str, Any]) -> Tensor:
    """Returns a tensor in the type and the layout that `to` asks for besides the device."""
    named = {name: value for name, value in named.items() if name != "copy"}
    return _to(tensor, *rest, **named) if rest or named else tensor


def _out(tensor: Tensor, device: torch.device, non_blocking: bool) -> Tensor:
    """Returns a tensor of the host on a card. The host waits unless its memory is pinned."""
    if innermost(tensor) is not tensor:
        raise NotImplementedError("an acted card takes no tensor of the host within vmap")
    if tensor.requires_grad and not tensor.is_leaf and torch.is_grad_enabled():
        raise NotImplementedError("an acted card takes no gradient to the host")
    stream = current_stream(device)
    waits = not (non_blocking and is_pinned(tensor))
    if waits:
        stream.refuse_in_capture("a copy from the host's pageable memory")
        machine().note_sync("to the card")
    machine().counts.from_host[f"to at {line()}"] += 1
    made = GpuTensor(tensor.detach().clone(), device)
    stream.operate([], [CELLS.of(made.elem, stream)], allocates=True)
    if waits:
        stream.wait_for()
    return made.requires_grad_(tensor.requires_grad)


def _home(tensor: GpuTensor, non_blocking: bool) -> Tensor:
    """Returns a tensor of a card on the host, which waits for it: the new memory is not pinned."""
    return tensor.read("to the host")


def _across(tensor: GpuTensor, device: torch.device) -> Tensor:
    """Returns a tensor of another card on this one, in the order of both cards' streams."""
    machine().counts.between[line()] += 1
    source, target = current_stream(tensor.place), current_stream(device)
    with source.machine.lock:
        join(source.clock, target.clock)
    source.operate([CELLS.of(tensor.elem, source)], [], allocates=False)
    with source.machine.lock:
        join(target.clock, source.clock)
    made = GpuTensor(tensor.elem.detach().clone(), device)
    target.operate([], [CELLS.of(made.elem, target)], allocates=True)
    with source.machine.lock:  # the source's memory must not be reused before
        join(source.clock, target.clock)
    return made


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Acts `Tensor.pin_memory`."""
    from tests.support.acted.tensors import pinned

    # torch then asks which earlier copies have ended (pytorch/pytorch, pull request 146924).
    current_stream().refuse_in_capture("cudaEventQuery")
    return self if is_pinned(self) else pinned(self)


def factory(name: str) -> Callable[..., Tensor]:
    """Returns a function of torch's that makes tensors on acted cards too."""
    real = getattr(torch, name)

    @functools.wraps(real)
    def made(*args: Any, **kwargs: Any) -> Tensor:
        device = kwargs.get("device")
        if name in OF_DATA:
            given = args[0] if args else None
            if device is None and isinstance(given, GpuTensor):
                device = given.place
        if device is None or torch.device(device).type != "cuda":
            pin = kwargs.pop("pin_memory", False)
            found: Tensor = real(*args, **kwargs)
            return pin_memory(found) if pin else found
        kwargs = {key: value for key, value in kwargs.items() if key != "device"}
        place = place_of(device)
        if name in OF_DATA:
            return _of_data(real, args, kwargs, place)
        return _launched(name, real, args, kwargs, place)

    return made


def _of_data(real: Any, args: Any, kwargs: Any, place: torch.device) -> Tensor:
    if isinstance(args[0], Tensor):
        return to(args[0], place, **kwargs)
    pin = kwargs.pop("requires_grad", False)
    return _out(real(*args, **kwargs), place, non_blocking=False).requires_grad_(pin)


def _launched(name: str, real: Any, args: Any, kwargs: Any, place: torch.device) -> Tensor:
    """Returns a new tensor on a card, made by a kernel there, or by none where it is empty."""
    stream = current_stream(place)
    grad = kwargs.pop("requires_grad", False)
    if name in RANDOM and stream.tape is not None:
        raise NotImplementedError("an acted graph does not draw from nothing")
    with drawing(torch.ops.aten.bernoulli.default, place) if name in RANDOM else nullcontext():
        elem = real(*args, **kwargs)
    made = GpuTensor(elem, place)
    if not name.startswith("empty"):
        cells = [CELLS.of(elem, stream)]
        stream.operate([], cells, allocates=True)
        if stream.tape is None:
            machine().counts.launches[name] += 1
        else:
            same = torch.ops.aten.clone.default
            stream.tape.kernels += 1
            stream.tape.add(Entry(same, (elem.clone(),), {}, [elem], [], cells, place))
    return made.requires_grad_() if grad else made
