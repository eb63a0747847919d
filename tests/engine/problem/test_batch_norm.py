"""Models with batch normalization, measured against torch's own layers in train and eval mode."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from dss_tui.cli import main
from engine.backends.backend import Way
from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import TorchBackend
from engine.path.segments import measure
from engine.problem.batch_norm import batch_norms, collect, explicit
from engine.problem.problem import Problem, Split, build_problem
from engine.record.string_file import read
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.workers import Here, vmapped

HERE = __name__
SAMPLES, HELD_OUT = 41, 9


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


# ---------------------------------------------------------------- a user's file


def images() -> tuple[Tensor, ...]:
    """(sample, 2, 5, 4), far from centred, and three classes."""
    random = torch.Generator().manual_seed(3)
    x = 1 + 3 * torch.randn(SAMPLES + HELD_OUT, 2, 5, 4, generator=random)
    x *= torch.linspace(0.5, 2, SAMPLES + HELD_OUT)[:, None, None, None]  # no two batches alike
    y = torch.randint(3, (SAMPLES + HELD_OUT,), generator=random)
    return x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:]


def own() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(2, affine=False),
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4, eps=1e-2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(24, 5),
        nn.BatchNorm1d(5, track_running_stats=False),
        nn.Dropout(0.5),
        nn.Linear(5, 3),
    )


def scaled() -> nn.Module:
    """(w·x − its mean) / its deviation: the same function for every w > 0."""
    return nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, eps=1e-12, affine=False))


def standard() -> tuple[Tensor, Tensor]:
    x = torch.linspace(-1, 3, 21)[:, None] ** 2
    return x, (x - x.mean()) / x.std()


RESNET = {"kind": "resnet", "input": [2, 5, 4], "widths": [3, 4], "outputs": 3}
OWN = {"kind": "custom", "factory": f"{HERE}:own"}


def problem_of(network: dict[str, Any], **batch_norm: Any) -> Problem:
    tree = {
        "data": {"kind": "custom", "factory": f"{HERE}:images"},
        "network": network,
        "loss": "cross_entropy",
        "batch_norm": batch_norm,
    }
    return build_problem(validated(ProblemSpec, tree))


def beads(problem: Problem, count: int = 3) -> Tensor:
    """Random models whose norms scale and shift too."""
    random = torch.Generator().manual_seed(2)
    theta = torch.stack([problem.initial(seed) for seed in range(count)])
    return theta + 0.1 * torch.randn(theta.shape, generator=random)


# ---------------------------------------------------------------- torch's own answer


def module_with(problem: Problem, theta: Tensor) -> nn.Module:
    """A network of torch's layers with these weights; dropout is off in whatever mode."""
    module = problem.make_network()
    nn.utils.vector_to_parameters(theta, module.parameters())
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return module


def estimated(module: nn.Module, x: Tensor) -> nn.Module:
    """In eval mode, by statistics from one pass over x."""
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.track_running_stats = True
            part.register_buffer("running_mean", torch.zeros(part.num_features))
            part.register_buffer("running_var", torch.ones(part.num_features))
            part.num_batches_tracked = torch.tensor(0)
            part.momentum = None  # the plain mean over batches, of which there is one
    with torch.no_grad():
        module.train()(x)
    return module.eval()


def blocks(size: int) -> list[slice]:
    """Of training samples that are normalized together; one alone joins those before it."""
    starts = list(range(0, SAMPLES, size))
    if SAMPLES - starts[-1] == 1 and len(starts) > 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], SAMPLES], strict=True)]


def train_mode(module: nn.Module, x: Tensor, y: Tensor, size: int) -> Tensor:
    module.train()
    parts = [
        functional.cross_entropy(module(x[part]), y[part], reduction="sum") for part in blocks(size)
    ]
    return torch.stack(parts).sum() / len(x)


def close(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, rel=2e-5, abs=1e-6)


def way(name: Way, problem: Problem) -> TorchBackend:
    return InPlaceBackend(problem) if name == "loop" else vmapped(problem)


# ---------------------------------------------------------------- measured


@pytest.mark.parametrize("batching", ["vmap", "loop"])
@pytest.mark.parametrize("network", [RESNET, OWN], ids=["resnet", "own"])
@pytest.mark.parametrize("count", [16, SAMPLES, 1000])
def test_statistics_are_estimated_from_the_first_training_samples(
    count: int, network: dict[str, Any], batching: Way
) -> None:
    problem = problem_of(network, samples=count)
    backend, theta = way(batching, problem), beads(problem)
    x, y, *held_out = images()
    found: dict[Split, Tensor] = {split: backend.losses(theta, split) for split in SPLITS}
    accuracies = 1 - backend.error_rates(theta, "held_out")
    for row in range(len(theta)):
        module = estimated(module_with(problem, theta[row]), x[:count])
        for split, (inputs, target) in zip(SPLITS, ((x, y), held_out), strict=True):
            with torch.no_grad():
                output = module(inputs)
            close(found[split][row].item(), functional.cross_entropy(output, target).item())
        right = (output.argmax(1) == target).float().mean().item()
        assert accuracies[row].item() == pytest.approx(right)


SPLITS: tuple[Split, ...] = ("train", "held_out")


class Shared(nn.Module):
    """One layer in two places, each with a batch of another shape and scale."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.again = nn.ModuleDict({"norm": self.norm})
        self.conv = nn.Conv2d(2, 2, 3)
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.conv(self.norm(x)))
        return self.last(self.again["norm"](5 * x + 1).flatten(1))  # type: ignore[no-any-return]


class Looped(nn.Module):
    """A block that is run three times, and a layer after it that sees what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(40, 6)
        self.block = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh())
        self.norm = nn.BatchNorm1d(6)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        for _ in range(3):
            x = x + self.block(x)
        return self.last(self.norm(x))  # type: ignore[no-any-return]


class Idle(nn.Module):
    """A layer that forward never calls, beside one that it does."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.BatchNorm1d(7)
        self.norm = nn.BatchNorm1d(40)
        self.last = nn.Linear(40, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(x.flatten(1)))  # type: ignore[no-any-return]


class Halves(nn.Module):
    """A layer called with the first half of the batch, then with all of it, twice as many."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(40)
        self.last = nn.Linear(40, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        some = self.norm(x[: len(x) // 2]).mean(0)
        return self.last(self.norm(3 * x) + some)  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["vmap", "loop", "pieces"])
@pytest.mark.parametrize("make", [Shared, Looped, Idle])
def test_a_layer_called_several_times_has_the_mean_of_its_calls(
    make: Callable[[], nn.Module], how: str
) -> None:
    """As torch's own layer has after one pass in train mode, with the plain mean over batches."""
    network = {"kind": "custom", "factory": f"{HERE}:{make.__name__}"}
    problem = problem_of(network, samples=16)
    ways = {
        "vmap": vmapped(problem),
        "loop": way("loop", problem),
        "pieces": vmapped(problem).within(1),
    }
    theta = beads(problem, 9)  # enough for one call under vmap
    x, y, *held_out = images()
    for split, (inputs, target) in zip(SPLITS, ((x, y), held_out), strict=True):
        found = ways[how].losses(theta, split)
        for row, loss in zip(theta, found.tolist(), strict=True):
            module = estimated(module_with(problem, row), x[:16])
            with torch.no_grad():
                close(loss, functional.cross_entropy(module(inputs), target).item())


def test_calls_with_batches_of_other_sizes_count_alike() -> None:
    """torch's plain mean is over batches, not over samples."""
    torch.manual_seed(4)
    network = Halves()
    x, *_ = images()
    ours = explicit(copy.deepcopy(network))
    (layer,) = [layer for _, layer in batch_norms(ours)]
    layer.mode = "collect"
    mean, var = collect(ours, [layer], x)
    expected = estimated(network, x).norm
    assert isinstance(expected, nn.BatchNorm1d) and expected.num_batches_tracked == 2
    torch.testing.assert_close(mean, expected.running_mean)
    torch.testing.assert_close(var, expected.running_var)
    flat = x.flatten(1)
    torch.testing.assert_close(mean, (flat[:20].mean(0) + 3 * flat.mean(0)) / 2)


# ---------------------------------------------------------------- which samples


def drawn(count: int, seed: int) -> Tensor:
    """The samples of an estimate, as a reader of a string file draws them, in the data's order."""
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(seed))
    return order[:count].sort().values


@pytest.mark.parametrize("seed", [0, 5])
def test_samples_of_the_estimate_are_drawn_by_a_seed(seed: int) -> None:
    problem = problem_of(RESNET, samples=16, seed=seed)
    theta = beads(problem)
    x, y, *_ = images()
    which = drawn(16, seed)
    assert which.max() >= 16  # not the first
    found = vmapped(problem).losses(theta).tolist()
    for row, loss in zip(theta, found, strict=True):
        module = estimated(module_with(problem, row), x[which])
        with torch.no_grad():
            close(loss, functional.cross_entropy(module(x), y).item())
    assert problem.normalized_by == f"statistics of 16 of 41 training samples, drawn by seed {seed}"
    # Where fewer samples are looked at, the estimate is still that of the whole data set.
    module = estimated(module_with(problem, theta[0]), x[which])
    with torch.no_grad():
        few = functional.cross_entropy(module(x[:10]), y[:10]).item()
    close(vmapped(problem.cut("train", 10)).losses(theta[:1]).item(), few)


def test_all_samples_are_all_samples_whatever_the_seed() -> None:
    theta = beads(problem_of(RESNET))
    first, seeded = (problem_of(RESNET, samples=SAMPLES, seed=seed) for seed in (None, 3))
    assert torch.equal(vmapped(first).losses(theta), vmapped(seeded).losses(theta))
    assert first.normalized_by == seeded.normalized_by == "statistics of all 41 training samples"


def test_the_words_name_the_first_samples_and_batches() -> None:
    assert problem_of(RESNET, samples=16).normalized_by == (
        "statistics of the first 16 of 41 training samples"
    )
    assert problem_of(RESNET, statistics="batch", samples=16).normalized_by == (
        "statistics of each batch of 16 samples"
    )
    without = {"kind": "resnet", "input": [2, 5, 4], "widths": [3], "outputs": 3, "norm": "layer"}
    assert problem_of(without).normalized_by == ""


def test_pieces_of_a_measurement_share_their_statistics() -> None:
    """However little memory there is."""
    problem = problem_of(OWN, samples=16)
    theta = beads(problem)
    small = vmapped(problem).within(1)
    torch.testing.assert_close(
        small.losses(theta), vmapped(problem).losses(theta), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("network", [RESNET, OWN], ids=["resnet", "own"])
@pytest.mark.parametrize("size", [16, 10, 2, 1000])
def test_by_batch_each_block_of_samples_has_its_own(network: dict[str, Any], size: int) -> None:
    """41 samples: 16 + 16 + 9, or 10 + 10 + 10 + 11, or pairs and three, or all."""
    problem = problem_of(network, statistics="batch", samples=size)
    theta = beads(problem)
    x, y, *_ = images()
    expected = [train_mode(module_with(problem, row), x, y, size).item() for row in theta]
    for some in (vmapped(problem), way("loop", problem), vmapped(problem).within(1)):
        for found, loss in zip(some.losses(theta).tolist(), expected, strict=True):
            close(found, loss)
    estimated_once = vmapped(problem_of(network, samples=size)).losses(theta)
    if size < 1000:
        assert (estimated_once - torch.tensor(expected)).abs().min() > 1e-3


# ---------------------------------------------------------------- trained


@pytest.mark.parametrize("statistics", ["reestimated", "batch"])
@pytest.mark.parametrize("network", [RESNET, OWN], ids=["resnet", "own"])
def test_gradients_are_those_of_train_mode(network: dict[str, Any], statistics: str) -> None:
    """On mini-batches, and on all samples in blocks of batch_norm.samples whatever the memory."""
    problem = problem_of(network, statistics=statistics, samples=20)
    theta = beads(problem)
    x, y, *_ = images()
    random = torch.Generator().manual_seed(6)
    batches = torch.stack([torch.randperm(SAMPLES, generator=random)[:7] for _ in theta])
    ways = (vmapped(problem), way("loop", problem), vmapped(problem).within(1))
    by_batch = [some.loss_and_grad_on(theta, batches) for some in ways]
    whole = [some.loss_and_grad(theta) for some in ways]
    for row in range(len(theta)):
        module = module_with(problem, theta[row]).train()
        rows = batches[row]
        on_few = functional.cross_entropy(module(x[rows]), y[rows])
        on_all = train_mode(module, x, y, 20)
        for loss, answers in ((on_few, by_batch), (on_all, whole)):
            slopes = torch.autograd.grad(loss, [*module.parameters()])
            slope = torch.cat([part.flatten() for part in slopes])
            for found, grad in answers:
                close(found[row].item(), loss.item())
                torch.testing.assert_close(grad[row], slope, rtol=1e-4, atol=2e-5)


# ---------------------------------------------------------------- along a path


def test_interpolated_models_have_statistics_of_their_own() -> None:
    problem = problem_of(OWN, samples=16)
    theta = beads(problem, 2)
    t = np.linspace(0, 1, 5)
    (found,) = measure(Here(vmapped(problem)), [(theta[0], theta[1])], t, len(problem.train))
    x, y, *_ = images()
    for at, loss in zip(t, found.losses, strict=True):
        module = module_with(problem, torch.lerp(theta[0], theta[1], float(at)))
        with torch.no_grad():
            close(loss, functional.cross_entropy(estimated(module, x[:16])(x), y).item())


def stale_loss(models: list[nn.Module], x: Tensor, y: Tensor) -> float:
    """Of the mean of two models by the mean of their running statistics."""
    one, other = (model.state_dict() for model in models)
    middle = scaled()
    middle.load_state_dict(
        {
            name: torch.lerp(one[name], other[name], 0.5) if tensor.ndim else tensor
            for name, tensor in one.items()
        }
    )
    with torch.no_grad():
        return float((middle.eval()(x) - y).square().sum(1).mean())


def test_stale_statistics_would_show_a_barrier_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights 1 and 9 are one function, and so are all between them.

    The mean of the variances 1 and 81 is 41, but that of weight 5 is 25.
    """
    x, y = standard()
    models = []
    for number, weight in enumerate((1.0, 9.0)):
        module = scaled()
        nn.utils.vector_to_parameters(torch.tensor([weight]), module.parameters())
        models.append(estimated(module, x))
        torch.save(module.state_dict(), tmp_path / f"{number}.pt")
    stale = stale_loss(models, x, y)
    assert stale == pytest.approx(((25 / 41) ** 0.5 - 1) ** 2 * (20 / 21), rel=1e-4)

    tree = {
        "problem": {
            "data": {"kind": "custom", "factory": f"{HERE}:standard"},
            "network": {"kind": "custom", "factory": f"{HERE}:scaled"},
            "loss": "mse",
        },
        "endpoints": {"kind": "files", "a": str(tmp_path / "0.pt"), "b": str(tmp_path / "1.pt")},
        "search": {"level": stale / 100},
    }
    problem = build_problem(validated(ProblemSpec, tree["problem"]))
    weights = torch.tensor([[1.0], [5.0], [9.0]])
    assert vmapped(problem).losses(weights).max() < 1e-6
    preset, run = tmp_path / "scaled.yaml", tmp_path / "run"
    preset.write_text(json.dumps(tree))
    assert main(["run", str(preset), "--headless", "--out", str(run)]) == 0
    string = str(run / "string.safetensors")
    assert main(["verify", string, "--run-factories", "--grid", "50"]) == 0
    assert "2 beads" in capsys.readouterr().out


# ---------------------------------------------------------------- written down


@pytest.mark.parametrize(
    ("statistics", "measured"),
    [
        ("reestimated", lambda module, x: estimated(module, x[drawn(12, seed=0)])(x)),
        ("batch", lambda module, x: module.train()(x)),
    ],
)
def test_a_string_file_says_how_its_models_were_measured(
    statistics: str,
    measured: Callable[[nn.Module, Tensor], Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And another reader with torch's layers finds the same losses."""
    count = 12 if statistics == "reestimated" else 1000
    adam = {"optimizer": {"kind": "adam", "lr": 0.02}, "batch_size": 20, "max_steps": 1500}
    tree = {
        "problem": {
            "data": {"kind": "custom", "factory": f"{HERE}:images"},
            "network": RESNET,
            "loss": "cross_entropy",
            "batch_norm": {"statistics": statistics, "samples": count},
        },
        "endpoints": adam,
        "search": {"level": 0.6, "greedy": adam | {"grid": 9}, "batching": "vmap"},
        "device": "cpu",
        "workers": 1,
    }
    preset, run = tmp_path / "resnet.yaml", tmp_path / "run"
    preset.write_text(json.dumps(tree))
    assert main(["run", str(preset), "--headless", "--out", str(run)]) == 0
    file = read(run / "string.safetensors")
    assert file.header.problem.batch_norm.model_dump() == {
        "statistics": statistics,
        "samples": count,
        "seed": 0,
    }
    problem = build_problem(file.header.problem)
    x, y, *_ = images()
    for bead, loss in zip(file.string.beads, file.string.losses, strict=True):
        module = module_with(problem, torch.from_numpy(bead))
        with torch.no_grad():
            close(loss, functional.cross_entropy(measured(module, x), y).item())
    capsys.readouterr()
    command = ["verify", str(run / "string.safetensors"), "--grid", "33", "--run-factories"]
    assert main(command) == 0
    said = capsys.readouterr().out
    words = problem.normalized_by
    assert "HOLDS" in said and f"batch normalization        by {words}\n" in said
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["batch_norm"] == words
    last = json.loads((run / "events.jsonl").read_text().splitlines()[-1])
    assert f"normalized by {words}; not proven: batch normalization is " in last["sentence"]
