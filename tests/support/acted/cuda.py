"""The acted `torch.cuda`: what a block of code finds there in place of torch's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import pytest
import torch

from tests.support.acted import graphs, moves, streams
from tests.support.acted.machine import (
    LOCAL,
    Card,
    Machine,
    cards,
    enter,
    index_of,
    leave,
)
from tests.support.acted.tensors import GpuTensor, innermost, is_pinned

_autocast = torch.amp.autocast_mode.autocast


@contextmanager
def acted(given: int | Sequence[Card] = 1) -> Iterator[Machine]:
    """Acts so many cards, or these, within the block."""
    machine = Machine(cards(given) if isinstance(given, int) else given)
    enter(machine)
    before, LOCAL.index = LOCAL.index, 0
    # A parameter becomes one of a card, and stays the same object.
    if not hasattr(torch.__future__, "set_swap_module_params_on_conversion"):
        pytest.skip("torch is older than what acts its GPUs")
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with ExitStack() as stack:
            for name, value in _of_cuda(machine).items():
                stack.enter_context(mock.patch.object(torch.cuda, name, value, create=True))
            for name, value in _of_tensors().items():
                stack.enter_context(mock.patch.object(torch.Tensor, name, value))
            for name in (*moves.FACTORIES, *moves.RANDOM, *moves.OF_DATA):
                stack.enter_context(mock.patch.object(torch, name, moves.factory(name)))
            stack.enter_context(mock.patch.object(torch, "autocast", Autocast))
            stack.enter_context(mock.patch.object(torch.amp, "autocast", Autocast))
            stack.enter_context(mock.patch.object(torch.version, "cuda", "13.0"))
            yield machine
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)
        LOCAL.index = before
        leave()


class Autocast(_autocast):
    """Acts `torch.autocast`: for torch's own code acted cards are the CPU."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


class _Device:
    """Acts `torch.cuda.device`."""

    def __init__(self, device: Any) -> None:
        self._index = index_of(device)

    def __enter__(self) -> None:
        self._before, LOCAL.index = LOCAL.index, self._index

    def __exit__(self, *_: object) -> None:
        LOCAL.index = self._before


def _of_tensors() -> dict[str, Any]:
    """Returns the attributes of `torch.Tensor` that know of acted cards."""

    def is_cuda(tensor: torch.Tensor) -> bool:
        return isinstance(innermost(tensor), GpuTensor)

    def get_device(tensor: torch.Tensor) -> int:
        inner = innermost(tensor)
        return inner.place.index if isinstance(inner, GpuTensor) else -1

    return {
        "to": moves.to,
        "cuda": lambda tensor, device=None, **named: moves.to(
            tensor, torch.device("cuda", index_of(device)), **named
        ),
        "cpu": lambda tensor, **_: moves.to(tensor, torch.device("cpu")),
        "device": property(moves.device_of),
        "is_cuda": property(is_cuda),
        "is_cpu": property(lambda tensor: not is_cuda(tensor)),
        "get_device": get_device,
        "pin_memory": moves.pin_memory,
        "is_pinned": lambda tensor, device=None: is_pinned(tensor),
    }


def _of_cuda(machine: Machine) -> dict[str, Any]:
    """Returns the members of `torch.cuda` by name."""

    def set_device(device: Any) -> None:
        LOCAL.index = index_of(device)

    def set_sync_debug_mode(mode: Any) -> None:
        machine.sync_debug = ("default", "warn", "error")[mode] if isinstance(mode, int) else mode

    def mem_get_info(device: Any = None) -> tuple[int, int]:
        index = index_of(device)
        return machine.free(index), machine.cards[index].total

    def set_rng_state(state: torch.Tensor, device: Any = None) -> None:
        machine.generators[index_of(device)].set_state(state)

    def reset_peak(device: Any = None) -> None:
        machine.peaks[index_of(device)] = machine.allocated[index_of(device)]

    def of_card(name: str) -> Any:
        return lambda device=None: getattr(machine.cards[index_of(device)], name)

    return {
        "is_available": lambda: bool(machine.cards),
        "device_count": lambda: len(machine.cards),
        "is_initialized": lambda: True,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "current_device": lambda: LOCAL.index,
        "set_device": set_device,
        "device": _Device,
        "get_device_name": of_card("name"),
        "get_device_properties": of_card("properties"),
        "get_device_capability": of_card("capability"),
        "is_bf16_supported": lambda *_, **__: True,
        # streams
        "Stream": streams.Stream,
        "Event": streams.Event,
        "current_stream": streams.current_stream,
        "default_stream": streams.default_stream,
        "set_stream": streams.set_stream,
        "stream": streams.stream_of,
        "synchronize": streams.synchronize,
        "is_current_stream_capturing": streams.is_capturing,
        "set_sync_debug_mode": set_sync_debug_mode,
        "get_sync_debug_mode": lambda: ("default", "warn", "error").index(machine.sync_debug),
        # graphs
        "CUDAGraph": graphs.CUDAGraph,
        "graph": graphs.graph,
        "graph_pool_handle": graphs.pool_handle,
        # memory
        "empty_cache": lambda: None,
        "mem_get_info": mem_get_info,
        "memory_allocated": lambda device=None: machine.allocated[index_of(device)],
        "memory_reserved": lambda device=None: machine.allocated[index_of(device)],
        "max_memory_allocated": lambda device=None: machine.peaks[index_of(device)],
        "reset_peak_memory_stats": reset_peak,
        # draws
        "default_generators": machine.generators,
        "get_rng_state": lambda device="cuda": machine.generators[index_of(device)].get_state(),
        "set_rng_state": set_rng_state,
    }
