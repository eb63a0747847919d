"""How much is computed at a time, and what follows where memory runs out all the same."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch._C import _functorch

from dss_tui.cli import main
from engine.backends.backend import Backend, Way
from engine.backends.torch_backend import PIECE_BYTES
from engine.networks.modules.vmapped import under_vmap
from engine.problem.problem import Problem, build_problem
from engine.problem.samples import Samples
from engine.record.records import finished, read_records
from engine.record.rundir import RunDir
from engine.run.choosing import backend_of, choose_backend
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from engine.workers.pool import Pool
from tests.support.workers import vmapped

HERE = __name__
SAMPLES, HELD_OUT, BEADS = 57, 20, 5

#: (beads, samples) of each call of a watched network, while one is watched.
calls: list[tuple[int, int]] = []


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    calls.clear()
    yield
    calls.clear()


# ---------------------------------------------------------------- a user's file


class Watched(nn.Module):
    """Notes how much it is given, and has room for so many samples at a time."""

    def __init__(self, most: int | None = None, error: str = "words") -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(2, 8), nn.Linear(8, 2)
        self.most, self.error = most, error

    def forward(self, x: Tensor) -> Tensor:
        weight = self.hidden.weight
        batched = under_vmap(weight)
        beads = _functorch.get_unwrapped(_innermost(weight)).shape[0] if batched else 1
        calls.append((beads, len(x)))
        if self.most is not None and beads * len(x) > self.most:
            raise errors[self.error]
        return self.last(torch.tanh(self.hidden(x)))  # type: ignore[no-any-return]


def _innermost(tensor: Tensor) -> Tensor:
    """Through what autograd puts around a batched tensor."""
    while not _functorch.is_batchedtensor(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


errors: dict[str, Exception] = {
    "words": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "other words": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    "python": MemoryError(),
    "gpu": torch.cuda.OutOfMemoryError("CUDA out of memory."),
    "unlike": RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
}


def data() -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(5)
    x = torch.randn(SAMPLES + HELD_OUT, 2, generator=random)
    y = (x.prod(1) > 0).long()
    return x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:]


def tree(**args: Any) -> dict[str, Any]:
    return {
        "data": {"kind": "custom", "factory": f"{HERE}:data"},
        "network": {"kind": "custom", "factory": f"{HERE}:Watched", "args": args},
        "loss": "cross_entropy",
    }


PROBLEM = validated(ProblemSpec, tree())


def problem_of(**args: Any) -> Problem:
    return build_problem(validated(ProblemSpec, tree(**args)))


def in_pieces(problem: Problem, samples: int, batching: Way = "loop") -> Backend:
    """A backend whose pieces hold the outputs of so many samples."""
    row = problem.cost.values * problem.dtype.itemsize
    return backend_of(batching, PROBLEM, problem, samples * row)


def beads(problem: Problem) -> Tensor:
    return torch.stack([problem.initial(seed) for seed in range(BEADS)])


# ---------------------------------------------------------------- pieces


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("batching", ["vmap", "loop"])
@pytest.mark.parametrize("at_once", [1, 7, 3 * SAMPLES, 100 * SAMPLES])
def test_a_call_s_outputs_fit_the_bytes_allowed(
    at_once: int, batching: Way, dtype: torch.dtype
) -> None:
    """`at_once` rows of samples with their gradients; three times as many without."""
    problem = problem_of().to(dtype=dtype)
    row = problem.cost.values * dtype.itemsize
    backend = backend_of(batching, PROBLEM, problem, 3 * row * at_once)
    theta = beads(problem)
    batches = torch.arange(SAMPLES).expand(BEADS, SAMPLES)

    def on_batches(theta: Tensor) -> tuple[Tensor, Tensor]:
        return backend.loss_and_grad_on(theta, batches)

    for copies, compute in ((1, backend.losses), (3, backend.loss_and_grad), (3, on_batches)):
        calls.clear()
        compute(theta)
        assert sum(some * samples for some, samples in calls) == BEADS * SAMPLES
        for some, samples in calls:
            assert some * samples * copies * row <= backend.piece_bytes
    if batching == "vmap":
        fullest = max(some * samples for some, samples in calls)
        assert 2 * fullest > min(at_once, BEADS * SAMPLES)  # and it is not wasted


@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_one_pass_over_the_samples_judges_all_models(
    batching: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each model's numbers are those that it has alone, to the bit where it is lent."""
    problem = problem_of()
    backend = in_pieces(problem, 20, batching)
    theta = beads(problem)
    alone = [backend.losses(row[None]) for row in theta]
    slopes = [backend.loss_and_grad(row[None])[1] for row in theta]
    bound = torch.cat(alone).sort().values[2].expand(BEADS)
    taken: list[object] = []
    part = Samples.part

    def noted(samples: Samples, which: slice | Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        taken.append(which)
        return part(samples, which, dtype)

    monkeypatch.setattr(Samples, "part", noted)
    losses = backend.losses(theta)
    assert taken == [slice(0, 20), slice(20, 40), slice(40, SAMPLES)]
    if batching == "loop":
        assert torch.equal(losses, torch.cat(alone))
        assert torch.equal(backend.loss_and_grad(theta)[1], torch.cat(slopes))
        below = losses <= bound
        assert torch.equal(backend.losses(theta, bound=bound)[below], losses[below])


class InPlaceFirst(nn.Module):
    """Works in place on what it is given, as torch users write it, once it is told to."""

    told = False

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((x if self.told else x.clone()).sub_(0.5).tanh_())  # type: ignore[no-any-return]


@pytest.mark.parametrize("batching", ["vmap", "loop"])
@pytest.mark.parametrize("at_once", [20, 2 * SAMPLES, 10 * SAMPLES])
def test_a_first_layer_that_works_in_place_does_not_change_the_samples(
    at_once: int, batching: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree_of = tree() | {"network": {"kind": "custom", "factory": f"{HERE}:InPlaceFirst"}}
    problem = build_problem(validated(ProblemSpec, tree_of))
    monkeypatch.setattr(InPlaceFirst, "told", True)
    before = problem.train.x.clone()
    theta = torch.cat([beads(problem), 2 * beads(problem)])  # enough to be computed together
    x, y, *_ = data()
    for dtype in (torch.float32, torch.float64):
        backend = in_pieces(problem.to(dtype=dtype), at_once, batching)
        losses, _ = backend.loss_and_grad(theta.to(dtype))
        torch.testing.assert_close(losses, backend.losses(theta.to(dtype)))
        for row, loss in zip(theta, losses, strict=True):
            module = InPlaceFirst()
            nn.utils.vector_to_parameters(row, module.parameters())
            expected = nn.functional.cross_entropy(module(x.clone()), y)
            assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(problem.train.x, before)


def spec_of(memory: float | None, **search: Any) -> Spec:
    adam = {"optimizer": {"kind": "adam", "lr": 0.03}, "max_steps": 2000}
    return validated(
        Spec,
        {
            "problem": tree(),
            "endpoints": adam,
            "search": {"level": 0.4, "batching": "loop", "greedy": adam | {"grid": 9}} | search,
            "limits": {"memory": memory},
            "device": "cpu",
            "workers": 2,
        },
    )


def test_memory_is_shared_by_the_threads() -> None:
    problem = problem_of()

    def piece_bytes(memory: float | None) -> int:
        return choose_backend(spec_of(memory), problem).backend.piece_bytes

    assert piece_bytes(3.0) == 3 * 2**29
    assert piece_bytes(1e-6) == 2**30 // 2_000_000
    assert piece_bytes(1e-12) == 1
    assert piece_bytes(None) == PIECE_BYTES == 2**28


def run(tmp_path: Path, spec: Spec, *overrides: str) -> tuple[int, RunDir]:
    preset = tmp_path / "preset.yaml"
    preset.write_text(json.dumps(spec.model_dump(mode="json")))
    more = [word for override in overrides for word in ("--set", override)]
    out = RunDir(tmp_path / "run")
    # The mirror takes batches as a user would; here it is the engine that is watched.
    with mock.patch("engine.run.mirror.is_own", return_value=False):
        return main(["run", str(preset), "--headless", "--out", str(out.path), *more]), out


def memory_for(problem: Problem, samples: int) -> float:
    """Of two threads, in which a measurement sees so many samples at a time."""
    return 2 * samples * problem.cost.values * problem.dtype.itemsize / 2**30 * (1 + 1e-9)


def test_a_whole_run_keeps_to_its_limit(tmp_path: Path) -> None:
    problem = problem_of()
    status, _ = run(tmp_path, spec_of(memory_for(problem, 24)))
    assert status == 0
    seen = {samples for _, samples in calls} - {2, 3}  # few: whether the network fits the data
    assert max(seen) == 24
    assert {24, SAMPLES - 2 * 24, 8} <= seen  # of measurements, their end, and of gradients


# ---------------------------------------------------------------- out of memory


@dataclass(frozen=True)
class Losses:
    def size(self, item: Tensor) -> int:
        return SAMPLES

    def __call__(self, backend: Backend, items: Sequence[Tensor]) -> list[float]:
        found: list[float] = backend.losses(torch.stack(list(items))).tolist()
        return found


@pytest.mark.parametrize("error", ["words", "other words", "python", "gpu"])
@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_what_did_not_fit_is_done_in_pieces_of_half_the_size(
    batching: Way, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    problem = problem_of(most=30, error=error)
    backend = in_pieces(problem, 40, batching)
    plain = problem_of()
    theta = beads(problem)
    expected = vmapped(plain).losses(theta)
    with Pool(backend, [torch.device("cpu")]) as pool:
        calls.clear()
        found = pool.run(Losses(), list(theta))
        assert calls[0] == (1, 40)
        assert {samples for _, samples in calls[1:]} == {20, SAMPLES - 2 * 20}
        torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-5, atol=1e-6)
        calls.clear()
        assert pool.run(Losses(), list(theta)) == found
        assert max(samples for _, samples in calls) == 20  # it has learned
    (record,) = caplog.records
    assert record.getMessage().startswith("out of memory: from now on in pieces of ")


def test_results_are_the_same_as_in_pieces_of_that_size_from_the_start() -> None:
    problem = problem_of(most=30)
    theta = list(beads(problem))
    with Pool(in_pieces(problem, 40), [torch.device("cpu")]) as pool:
        retried = pool.run(Losses(), theta)
    with Pool(in_pieces(problem, 20), [torch.device("cpu")]) as pool:
        assert pool.run(Losses(), theta) == retried


def test_it_goes_on_to_ever_smaller_pieces() -> None:
    problem = problem_of(most=15)
    theta = list(beads(problem))
    with Pool(in_pieces(problem, 40), [torch.device("cpu")]) as pool:
        found = pool.run(Losses(), theta)
    assert [samples for _, samples in calls if samples > 3][:3] == [40, 20, 10]
    expected = vmapped(problem_of()).losses(torch.stack(theta))
    torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-5, atol=1e-6)


def test_another_error_is_not_tried_again() -> None:
    problem = problem_of(most=30, error="unlike")
    with (
        Pool(in_pieces(problem, 10**6), [torch.device("cpu")]) as pool,
        pytest.raises(RuntimeError, match="mat1 and mat2 shapes"),
    ):
        pool.run(Losses(), list(beads(problem)))
    assert [samples for _, samples in calls if samples > 3] == [SAMPLES]


def test_a_run_goes_on_in_smaller_pieces(tmp_path: Path) -> None:
    memory = memory_for(problem_of(), 40)
    status, directory = run(tmp_path, spec_of(memory), "problem.network.args.most=30")
    assert status == 0
    log = directory.log.read_text()
    assert re.search(r"WARNING out of memory: from now on in pieces of 0\.00\d+ MiB", log)
    assert "Connected: " in log


def test_a_run_that_has_no_room_ends_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even pieces of a few samples fit, and they become no smaller."""
    monkeypatch.setattr("engine.workers.memory.Frugal._shrink", lambda worker: False)
    memory = memory_for(problem_of(), 40)
    status, directory = run(tmp_path, spec_of(memory), "problem.network.args.most=3")
    assert status == 1
    ended = finished(read_records(directory))
    assert ended is not None and ended.outcome == "failed"
    assert "Memory ran out: not enough memory on cpu for one item in pieces of " in ended.sentence
    assert ended.sentence in capsys.readouterr().out
    assert (
        "DefaultCPUAllocator" in ended.sentence and "at most 1 items" in directory.log.read_text()
    )
