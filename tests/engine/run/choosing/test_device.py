"""The choice between the CPU and a GPU: measured once, remembered, and written down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dss_tui.cli import main
from engine.cache import cache_folder
from engine.devices.driver import Build, Driver
from engine.errors import InputError
from engine.problem.problem import Problem, build_problem
from engine.run.choosing import choose_device
from engine.run.choosing import device as choosing
from engine.run.prepare import prepare
from engine.spec.keys import Spec
from engine.spec.yaml_file import load, parse
from engine.workers.devices import on, resolve_devices
from tests.support.acted.cuda import acted
from tests.support.acted.machine import GIB, Card, Machine

TWO = (Card(used_by_others=90 * GIB), Card(used_by_others=20 * GIB, uuid="second"))


def spec_of(batching: str = "vmap", **keys: Any) -> Spec:
    steps = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 300, "check_every": 10}
    return parse(
        {
            "problem": {
                "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": 20},
                "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
                "loss": "mse",
            },
            "endpoints": steps,
            "search": {
                "level": 0.02,
                "batching": batching,
                "greedy": steps | {"slots": 3},
                "certify": "off",
            },
            "workers": 2,
            "seed": 3,
        }
        | keys
    )


@pytest.fixture(scope="module")
def problem() -> Problem:
    return build_problem(spec_of().problem)


def speeds(**known: float) -> Callable[..., float]:
    def speed(spec: Spec, *_: object) -> float:
        return known["gpu" if spec.device != "cpu" else "cpu"]

    return speed


@pytest.mark.parametrize(("cpu", "gpu", "chosen"), [(5.0, 4.0, "cpu"), (3.0, 4.0, "cuda:1")])
def test_the_faster_of_the_cpu_and_the_roomiest_gpu_is_taken_once(
    problem: Problem,
    cpu: float,
    gpu: float,
    chosen: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    monkeypatch.setattr(choosing, "_speed", speeds(cpu=cpu, gpu=gpu))
    caplog.set_level(logging.INFO, "engine")
    with acted(TWO):
        spec = choose_device(resolve_devices(spec_of()), problem)
        assert (spec.device, spec.workers) == (chosen, 2 if chosen == "cpu" else 1)
        assert f"device: {chosen}, with " in caplog.text
        monkeypatch.setattr(choosing, "_speed", None)  # it is not measured again
        again = choose_device(resolve_devices(spec_of()), problem)
        assert again.device == chosen
    assert len(json.loads((cache_folder() / choosing.FILE).read_text())) == 1


@pytest.mark.parametrize("keys", [{"limits": {"memory": 2}}, {"deterministic": True}])
def test_other_pieces_and_algorithms_are_measured_anew(
    problem: Problem, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with acted(1):
        for gpu, chosen in ((2.0, "cuda:0"), (0.5, "cpu")):
            monkeypatch.setattr(choosing, "_speed", speeds(cpu=1.0, gpu=gpu))
            spec = spec_of() if chosen == "cuda:0" else spec_of(**keys)
            assert choose_device(resolve_devices(spec), problem).device == chosen
            assert choose_device(resolve_devices(spec_of()), problem).device == "cuda:0"


def test_other_networks_optimizers_and_cards_are_measured_anew(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def speed(spec: Spec, *_: object) -> float:
        measured.append(spec.device)
        return 1.0

    monkeypatch.setattr(choosing, "_speed", speed)
    sgd = spec_of().search.greedy.model_copy(update={"batch_size": 5})
    search = spec_of().search.model_copy(update={"greedy": sgd})
    for spec in (spec_of(), spec_of(), spec_of().model_copy(update={"search": search})):
        with acted(1):
            choose_device(resolve_devices(spec), problem)
    assert measured == 2 * ["cpu", "cuda:0"]
    with acted([Card(name="Acted T4")]):
        choose_device(resolve_devices(spec_of()), problem)
    assert len(measured) == 6


def test_a_backend_of_one_kind_of_device_decides_without_a_measurement(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_speed", None)
    with acted(TWO):
        assert choose_device(resolve_devices(spec_of("fused")), problem).device == "cpu"
        for batching in ("graph", "triton"):
            assert choose_device(resolve_devices(spec_of(batching)), problem).device == "cuda:1"
        named = resolve_devices(spec_of(device="cuda:0"))
        assert choose_device(named, problem) is named
    assert choose_device(resolve_devices(spec_of()), problem).device == "cpu"


def test_gpus_that_torch_does_not_see_are_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An old driver is told of where GPUs are asked for, and nobody computes on the CPU instead."""
    old = Driver("470.82", cuda=(11, 4), gpus=2)
    monkeypatch.setattr("engine.run.facts.driver", lambda: old)
    monkeypatch.setattr("engine.run.facts.build", lambda: Build("2.13.0+cu130", "13.0"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.init", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(InputError, match=r"device: is cuda:1, but the driver 470\.82 runs CUDA up"):
        prepare(spec_of(device="cuda:1"))
    assert prepare(spec_of()).spec.device == "cpu"  # the log of the session tells why


class Clock:
    """Time that passes with the launches of an acted card, and a little at each look."""

    def __init__(self, machine: Machine, launch_s: float) -> None:
        self.machine, self.launch_s, self.looks = machine, launch_s, 0

    def __call__(self) -> float:
        self.looks += 1
        return 0.01 * self.looks + self.launch_s * self.machine.counts.launches.total()


@pytest.mark.parametrize(("launch_s", "slower"), [(1e-12, 1.0), (1e-3, 10.0)])
def test_speeds_are_of_whole_rounds_of_the_preset(
    problem: Problem, launch_s: float, slower: float
) -> None:
    """Without launches that take time, a round takes as long as a look: 3 beads × 10 steps."""
    with acted(1) as machine:
        clock = Clock(machine, launch_s)
        spec = spec_of()
        cpu = choosing._speed(on(spec, "cpu"), problem, clock)
        gpu = choosing._speed(on(spec, "cuda:0"), problem, clock)
    assert cpu == pytest.approx(3 * 10 / 0.01)
    assert gpu <= cpu * 1.001 / slower


def test_the_choice_is_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_speed", speeds(cpu=1.0, gpu=2.0))
    preset, out = tmp_path / "tiny.yaml", tmp_path / "run"
    preset.write_text(json.dumps(spec_of().model_dump(mode="json")))
    with acted(TWO):
        assert main(["run", str(preset), "--headless", "--out", str(out)]) == 0
    assert load(out / "run.yaml").device == "cuda:1"
