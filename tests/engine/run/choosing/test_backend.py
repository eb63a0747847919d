"""Ways to compute many beads: they agree, and the faster is found once on a machine."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dss_tui.cli import main
from engine.backends.backend import Backend, Way
from engine.backends.fused.backend import FusedBackend
from engine.backends.fused.compilation import available
from engine.backends.models import Together
from engine.cache import cache_folder
from engine.errors import InputError
from engine.problem.problem import Problem, Split, build_problem
from engine.record.string_file import read
from engine.run.choosing import backend_of, backend_to_verify, choose_backend, fastest, possible
from engine.spec.keys import Spec
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.commands import refused
from tests.support.gpus import Gpus, gpus_for_a_test
from tests.support.more import more
from tests.support.workers import vmapped

HERE = __name__
BEADS, SAMPLES, HELD_OUT, TIME = 5, 23, 7, 6
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
needs_numba = pytest.mark.skipif(not available(), reason="numba cannot be imported")


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


# ---------------------------------------------------------------- problems of every kind


def images() -> tuple[Tensor, ...]:
    """(sample, 2, 6, 5) and three classes."""
    random = torch.Generator().manual_seed(3)
    x = torch.randn(SAMPLES + HELD_OUT, 2, 6, 5, generator=random)
    y = torch.randint(3, (SAMPLES + HELD_OUT,), generator=random)
    return x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:]


def texts() -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(4)
    x = torch.randint(7, (SAMPLES + HELD_OUT, TIME + 1), generator=random)
    train, held_out = x[:SAMPLES], x[SAMPLES:]
    return train[:, :-1], train[:, 1:], held_out[:, :-1], held_out[:, 1:]


class Own(nn.Module):
    """Branches, tied weights, two norms and a buffer."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.again = nn.Conv2d(3, 3, 1)
        self.layer_norm = nn.LayerNorm(5)
        self.mix = nn.Linear(18, 18)
        self.remix = nn.Linear(18, 18)
        self.remix.weight = self.mix.weight
        self.last = nn.Linear(18, 3)
        self.register_buffer("scale", torch.tensor([0.5, 1.0, 2.0])[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.conv(x))) * self.scale
        x = self.layer_norm(x + torch.tanh(self.again(x))).mean(3).flatten(1)
        return self.last(self.remix(torch.tanh(self.mix(x))))  # type: ignore[no-any-return]


def margin(gap: float) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        right = output.gather(1, target[:, None])
        return (gap + output - right).square().mean(1)

    return loss


class AsksTheDevice(nn.Module):
    """Asks for a number that the device holds, in each call, for which the host waits."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(60, 3)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x.flatten(1)) * float(self.scale)  # type: ignore[no-any-return]


IMAGES = {"kind": "custom", "factory": f"{HERE}:images"}
TEXTS = {"kind": "custom", "factory": f"{HERE}:texts"}
SIZE = {"input": [2, 6, 5], "outputs": 3}
CNN = SIZE | {
    "kind": "cnn",
    "layers": [{"kind": "conv", "channels": 4}, {"kind": "pool"}, {"kind": "dense", "units": 5}],
}
CASES: dict[str, dict[str, Any]] = {
    "mlp": {
        "data": IMAGES,
        "network": {"kind": "mlp", "sizes": [60, 5, 4, 3], "activation": "tanh"},
        "loss": "cross_entropy",
    },
    "mlp-l1": {
        "data": {"kind": "polynomial", "coefficients": [0.1, 0.3, 0.4], "points": SAMPLES},
        "network": {"kind": "mlp", "sizes": [1, 4, 1], "bias": False},
        "loss": "l1",
    },
    "linear": {
        "data": {"kind": "linear_map", "features": 4, "outputs": 2, "samples": SAMPLES},
        "network": {"kind": "linear", "sizes": [4, 5, 2]},
        "loss": "mse",
    },
    "cnn": {"data": IMAGES, "network": CNN, "loss": "cross_entropy"},
    "cnn-mse": {"data": IMAGES, "network": CNN, "loss": "mse"},
    "resnet-batch": {
        "data": IMAGES,
        "network": SIZE | {"kind": "resnet", "widths": [3, 4]},
        "loss": "cross_entropy",
        "batch_norm": {"samples": 11},
    },
    "resnet-by-batch": {
        "data": IMAGES,
        "network": SIZE | {"kind": "resnet", "widths": [3, 4]},
        "loss": "cross_entropy",
        "batch_norm": {"statistics": "batch", "samples": 10},
    },
    "resnet-layer": {
        "data": IMAGES,
        "network": SIZE | {"kind": "resnet", "widths": [3, 4], "norm": "layer"},
        "loss": "cross_entropy",
    },
    "lstm": {
        "data": TEXTS,
        "network": {"kind": "lstm", "vocabulary": 7, "embedding": 3, "hidden": 4},
        "loss": "cross_entropy",
    },
    "lstm-two": {
        "data": TEXTS,
        "network": {"kind": "lstm", "vocabulary": 7, "embedding": 3, "hidden": 4, "layers": 2},
        "loss": "cross_entropy",
    },
    "custom": {
        "data": IMAGES,
        "network": {"kind": "custom", "factory": f"{HERE}:Own"},
        "loss": {"factory": f"{HERE}:margin", "args": {"gap": 0.5}},
        "batch_norm": {"samples": 16},
    },
}
FUSED = ["mlp", "mlp-l1", "linear"]
ASKING = {
    "data": IMAGES,
    "network": {"kind": "custom", "factory": f"{HERE}:AsksTheDevice"},
    "loss": "cross_entropy",
}


def spec_of(case: str) -> ProblemSpec:
    return validated(ProblemSpec, CASES[case])


def beads(problem: Problem) -> Tensor:
    return torch.stack([problem.initial(seed) for seed in range(BEADS)])


def everything(backend: Backend) -> dict[str, Tensor]:
    """All that is computed of beads: losses, gradients, and both on mini-batches of their own."""
    problem = backend.problem
    theta = beads(problem)
    random = torch.Generator().manual_seed(9)
    batches = torch.randint(0, len(problem.train), (BEADS, 5), generator=random)
    found: dict[str, Tensor] = {}
    splits: tuple[Split, ...] = ("train", "held_out")
    for split in splits:
        if len(problem.samples(split)):
            found[f"losses {split}"] = backend.losses(theta, split)
    found["loss"], found["grad"] = backend.loss_and_grad(theta)
    found["loss on"], found["grad on"] = backend.loss_and_grad_on(theta, batches)
    if problem.classes is not None:
        found["error_rates"] = backend.error_rates(theta)
    return found


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Up to rounding, next to the largest of each kind."""
    assert found.keys() == expected.keys()
    for what, values in expected.items():
        scale = values.abs().max().item()
        assert scale > 1e-3
        assert found[what].dtype == values.dtype
        difference = (found[what] - values).abs().max().item()
        assert difference <= tolerance * scale, what


@pytest.mark.parametrize("dtype", [torch.float32, more(torch.float64)], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_vmap_and_loop_agree(case: str, dtype: torch.dtype) -> None:
    """In one call, and in pieces of beads and of samples whose last are smaller."""
    problem = build_problem(spec_of(case)).to(dtype=dtype)
    samples = 3 * problem.cost.values * dtype.itemsize  # bytes of one, with its gradient
    expected = everything(backend_of("loop", spec_of(case), problem))
    assert len(set(expected["loss"].tolist())) == BEADS
    for at_once in (None, 2 * SAMPLES + 1, 10):
        ways: tuple[Way, ...] = ("vmap", "loop")
        for way in ways:
            backend = backend_of(way, spec_of(case), problem)
            some = backend if at_once is None else backend.within(at_once * samples)
            assert_same(everything(some), expected, TOLERANCE[dtype])


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", FUSED)
def test_compiled_code_agrees(case: str, dtype: torch.dtype) -> None:
    spec = spec_of(case)
    plain = build_problem(spec)
    compiled, with_torch = (backend_of(way, spec, plain) for way in ("fused", "vmap"))
    ours, theirs = everything(compiled.to(dtype)), everything(with_torch.to(dtype))
    assert_same(ours, theirs, TOLERANCE[dtype])


@needs_numba
def test_fewer_samples_and_another_split_stay_compiled() -> None:
    """What is judged on the first samples only is what torch makes of these samples."""
    spec = spec_of("mlp")
    problem = build_problem(spec)
    backend = backend_of("fused", spec, problem)
    theta = beads(problem)
    wanted: list[tuple[Split, int]] = [("train", 9), ("held_out", 4), ("held_out", 10**6)]
    for split, samples in wanted:
        measure = LevelOn(split=split)
        found = backend.on(problem.with_objective(measure, samples))
        assert isinstance(found, FusedBackend)
        expected = vmapped(problem.with_objective(measure, samples)).objective(theta)
        torch.testing.assert_close(found.objective(theta), expected, rtol=1e-5, atol=1e-6)
        rows, t = torch.tensor([0, 1, 2]), torch.tensor([0.2, 0.5, 0.9])
        between = found.interpolated_losses(theta[:-1], theta[1:], rows, t)
        at = torch.lerp(theta[:-1][rows], theta[1:][rows], t[:, None])
        torch.testing.assert_close(between, found.objective(at), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_string_is_verified_by_torch(case: str) -> None:
    spec = spec_of(case)
    backend = backend_to_verify(spec, build_problem(spec))
    assert backend.name == ("vmap" if case in FUSED else "loop")


# ---------------------------------------------------------------- which is faster


class Clock:
    """A stopwatch by which vmap and loop take given times, after a first call of each."""

    def __init__(self, vmap_s: list[float], loop_s: list[float], first_s: float = 0.4) -> None:
        self.durations = iter([first_s, *vmap_s, first_s, *loop_s])
        self.now, self.started, self.looks = 0.0, False, 0

    def __call__(self) -> float:
        self.looks += 1
        if self.started:
            self.now += next(self.durations)
        self.started = not self.started
        return self.now


VMAP, LOOP = ([1.0, 900.0, 1.0], [2.0, 2.0, 2.0]), ([3.0, 3.0, 3.0], [2.0, 1.0, 800.0])


def no_clock() -> float:
    raise AssertionError("it was measured before")


def run_spec(case: str, batch_size: int | str = 5, **search: Any) -> Spec:
    tree = {
        "problem": CASES[case],
        "search": {"level": 0.5, "greedy": {"batch_size": batch_size}} | search,
        "device": "cpu",
        "workers": 2,
    }
    return validated(Spec, tree)


def decided(spec: Spec, clock: Callable[[], float]) -> str:
    choice = choose_backend(spec, build_problem(spec.problem), clock)
    resolved, backend = choice.spec, choice.backend
    chosen = resolved.search.batching
    assert backend.name == chosen
    assert resolved == spec.model_copy(
        update={"search": spec.search.model_copy(update={"batching": chosen})}
    )
    return chosen


@pytest.mark.parametrize(("times", "faster"), [(VMAP, "vmap"), (LOOP, "loop")])
def test_the_faster_is_measured_once(
    times: tuple[list[float], list[float]], faster: str, tmp_path: Path
) -> None:
    """By the median, so that one long wait does not count; then it is remembered."""
    clock = Clock(*times)
    assert decided(run_spec("cnn"), clock) == faster
    assert clock.looks == 16 and not list(clock.durations)
    kept = json.loads((cache_folder() / "batching.json").read_text())
    assert list(kept.values()) == [faster]
    assert decided(run_spec("cnn"), no_clock) == faster


def test_what_takes_long_is_measured_once_after_its_first_time() -> None:
    clock = Clock([1.5], [1.4], first_s=50.0)
    assert decided(run_spec("cnn"), clock) == "loop"
    assert clock.looks == 8 and not list(clock.durations)


def test_what_may_change_the_answer_is_measured_again(tmp_path: Path) -> None:
    assert decided(run_spec("cnn"), Clock(*VMAP)) == "vmap"
    assert decided(run_spec("cnn", batch_size=6), Clock(*LOOP)) == "loop"
    assert decided(run_spec("lstm"), Clock(*LOOP)) == "loop"
    assert decided(run_spec("cnn"), no_clock) == "vmap"
    assert len(json.loads((cache_folder() / "batching.json").read_text())) == 3


@pytest.mark.parametrize("content", ["", "[1, 2]", "\x00", '{"x": 3'])
def test_a_damaged_memory_is_made_anew(content: str, tmp_path: Path) -> None:
    file = cache_folder() / "batching.json"
    file.write_text(content)
    assert decided(run_spec("cnn"), Clock(*LOOP)) == "loop"
    assert decided(run_spec("cnn"), no_clock) == "loop"


def test_an_answer_that_means_nothing_is_not_believed(tmp_path: Path) -> None:
    decided(run_spec("cnn"), Clock(*LOOP))
    file = cache_folder() / "batching.json"
    file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), "magic")))
    assert decided(run_spec("cnn"), Clock(*VMAP)) == "vmap"


def test_without_a_place_for_the_cache_it_is_measured_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "file" / "below"))
    assert decided(run_spec("cnn"), Clock(*LOOP)) == "loop"
    assert decided(run_spec("cnn"), Clock(*VMAP)) == "vmap"


def test_the_answer_stands_in_run_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun of it, on whatever machine, does not measure."""
    adam = {"optimizer": {"kind": "adam", "lr": 0.05}, "max_steps": 500}
    tree = {
        "problem": CASES["cnn"],
        "endpoints": adam,
        "search": {"level": 0.8, "greedy": adam},
        "device": "cpu",
        "workers": 1,
    }
    preset = tmp_path / "cnn.yaml"
    preset.write_text(json.dumps(tree))
    monkeypatch.setattr(fastest, "_measured", lambda *_, **__: ("loop", None))
    assert main(["run", str(preset), "--headless", "--out", str(tmp_path / "one")]) == 0
    kept = tmp_path / "one" / "run.yaml"
    assert "batching: loop" in kept.read_text()

    def unwanted(*_: object, **__: object) -> str:
        raise AssertionError("it is decided")

    monkeypatch.setattr(fastest, "_measured", unwanted)
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "another"))
    assert main(["run", str(kept), "--headless", "--out", str(tmp_path / "two")]) == 0
    one, two = (read(tmp_path / run / "string.safetensors").string for run in ("one", "two"))
    assert one.beads.tobytes() == two.beads.tobytes()


# ---------------------------------------------------------------- compiled, or not


@needs_numba
@pytest.mark.parametrize("chosen", ["auto", "fused"])
def test_small_networks_are_compiled_without_measuring(chosen: str) -> None:
    spec = run_spec("linear", batching=chosen)
    choice = choose_backend(spec, build_problem(spec.problem), no_clock)
    resolved, backend = choice.spec, choice.backend
    assert resolved.search.batching == backend.name == "fused"
    assert isinstance(backend, FusedBackend)


@pytest.mark.parametrize("way", ["vmap", "loop"])
def test_what_is_asked_for_is_taken(way: str) -> None:
    assert decided(run_spec("mlp", batching=way), no_clock) == way
    assert decided(run_spec("custom", batching=way), no_clock) == way


def test_without_numba_torch_computes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(possible, "available", lambda: False)
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    assert decided(run_spec("mlp"), Clock(*VMAP)) == "vmap"
    assert "numba cannot be imported: small networks train many times slower" in caplog.text


@pytest.mark.parametrize("case", ["cnn", "custom", "lstm"])
def test_compiled_code_is_refused_for_other_networks(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(json.dumps({"problem": CASES[case], "search": {"level": 0.5}}))
    line = refused(
        capsys, ["run", str(preset), "--headless", "--set", "search.batching=fused"], "choose auto"
    )
    assert line == (
        f"dss-tui: {preset}: search.batching: is fused, but only fully connected networks with "
        "the losses mse, l1 and cross_entropy are; choose auto"
    )
    assert not (tmp_path / "runs").exists()


def test_compiled_code_is_refused_without_numba_and_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = build_problem(spec_of("mlp"))
    on_gpu = run_spec("mlp", batching="fused").model_copy(update={"device": "cuda:0"})
    with pytest.raises(InputError, match=r"^search\.batching: is fused, but the device is cuda:0"):
        choose_backend(on_gpu, problem)
    monkeypatch.setattr(possible, "available", lambda: False)
    with pytest.raises(InputError, match="is fused, but numba cannot be imported; choose auto"):
        choose_backend(run_spec("mlp", batching="fused"), problem)


def test_graphs_are_refused_without_a_gpu() -> None:
    with pytest.raises(InputError, match=r"^search\.batching: is graph, but the device is cpu"):
        decided(run_spec("mlp", batching="graph"), no_clock)


def on_gpu(gpus: Gpus, problem: dict[str, Any], **keys: Any) -> Spec:
    """A spec of a search on the GPUs, of few beads and steps."""
    adam = {"optimizer": {"kind": "adam"}, "check_every": 2, "slots": 4, "batch_size": 3}
    search = {"level": 0.5, "greedy": adam} | keys.pop("search", {})
    tree = {"problem": problem, "search": search, "device": gpus.words, "workers": 1} | keys
    return validated(Spec, tree)


def test_steps_that_make_the_host_wait_are_not_recorded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found out without a capture that fails; the reason is told, and not forgotten."""
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    caplog.set_level(logging.INFO)
    with gpus_for_a_test(1) as gpus:
        spec = on_gpu(gpus, ASKING)
        problem = build_problem(spec.problem)
        choice = choose_backend(spec, problem)
        assert choice.spec.search.batching in ("vmap", "loop")
        assert re.match("refused .*synchroniz", choice.graphs)
        assert choose_backend(spec, problem, no_clock).graphs == choice.graphs
        assert re.search("no CUDA graphs, because .*synchroniz", caplog.text)
        if gpus.machine is not None:
            assert not gpus.machine.counts.captures and not gpus.machine.counts.refused
        with pytest.raises(InputError, match="is graph, but steps cannot be recorded"):
            choose_backend(on_gpu(gpus, ASKING, search={"batching": "graph"}), problem)
    kept = json.loads((cache_folder() / "batching.json").read_text())
    assert set(kept.values()) <= {"vmap", "loop"}


def test_steps_that_can_be_recorded_may_be_chosen() -> None:
    ticks = iter(range(10**6))
    with gpus_for_a_test(1) as gpus:
        spec = on_gpu(gpus, CASES["mlp"], search={"batching": "graph"})
        problem = build_problem(spec.problem)
        asked = choose_backend(spec, problem, lambda: float(next(ticks)))
        assert (asked.backend.name, asked.graphs) == ("graph", "recorded")
        assert asked.why == "as the preset says"
        plain = on_gpu(gpus, CASES["mlp"], search={"batching": "vmap"})
        assert choose_backend(plain, problem, no_clock).graphs == "not tried"
        auto = on_gpu(gpus, CASES["mlp"])
        monotone = iter([9.0] * 4 + [8.0] * 4 + [1.0] * 4)
        now = [0.0, False]

        def clock() -> float:
            now[0] += next(monotone) if now[1] else 0.0
            now[1] = not now[1]
            return now[0]

        for stopwatch in (clock, no_clock):  # it is measured once
            choice = choose_backend(auto, problem, stopwatch)
            assert choice.spec.search.batching == "graph"
            assert (choice.graphs, choice.why) == (
                "recorded",
                "the fastest here of vmap, loop, graph",
            )
        if gpus.machine is not None:
            assert gpus.machine.counts.captures == 2
        gpus.check()


def test_the_precision_the_slots_and_the_memory_are_part_of_what_is_measured() -> None:
    fast = {"optimizer": {"kind": "sgd"}, "batch_size": 5}
    plain = run_spec("cnn", greedy=fast)
    assert decided(plain, Clock(*VMAP)) == "vmap"
    others = [
        plain.model_copy(update={"precision": "bf16"}),
        plain.model_copy(update={"limits": plain.limits.model_copy(update={"memory": 0.5})}),
        run_spec("cnn", greedy=fast | {"slots": 9}),
    ]
    for other in others:
        assert decided(other, Clock(*LOOP)) == "loop"
    assert decided(plain.model_copy(update={"precision": "tf32"}), no_clock) == "vmap"


def test_the_orders_of_samples_are_decided_by_the_device() -> None:
    spec = run_spec("cnn", batching="vmap").of_a_new_run()
    assert spec.mini_batches == "auto"
    problem = build_problem(spec.problem)
    assert choose_backend(spec, problem).spec.mini_batches == "shuffled"
    with gpus_for_a_test(1) as gpus:
        there = spec.model_copy(update={"device": gpus.words})
        assert choose_backend(there, problem).spec.mini_batches == "hashed"
    older = run_spec("cnn", batching="vmap")  # a run.yaml of before does not have the key
    assert choose_backend(older, problem).spec.mini_batches == "shuffled"
    named = older.model_copy(update={"mini_batches": "hashed"})
    assert choose_backend(named, problem).spec == named


@needs_numba
def test_compiled_code_is_refused_for_steps_in_bf16() -> None:
    spec = run_spec("mlp", batching="fused").model_copy(update={"precision": "bf16"})
    with pytest.raises(InputError, match="is fused, but its steps have no precision bf16; choose"):
        choose_backend(spec, build_problem(spec.problem))
    auto = run_spec("mlp").model_copy(update={"precision": "bf16"})
    assert decided(auto, Clock(*VMAP)) == "vmap"


@pytest.mark.parametrize(("beads", "few", "calls"), [(5, 5, 1), (5, 6, 0), (1, 2, 0)])
def test_few_beads_go_one_after_another(
    beads: int, few: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batched: list[int] = []
    each = Together.each

    def counting(self: Together, *arguments: Any, **keys: Any) -> Tensor:
        batched.append(1)
        return each(self, *arguments, **keys)

    monkeypatch.setattr("engine.backends.vmapped.FEW_TOGETHER", few)
    monkeypatch.setattr(Together, "each", counting)
    problem = build_problem(spec_of("mlp"))
    theta = torch.stack([problem.initial(seed) for seed in range(beads)])
    vmapped(problem).losses(theta)
    assert len(batched) == calls
