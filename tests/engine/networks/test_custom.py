"""Networks, data and losses of a user's own, against torch's own modules and autograd."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset, TensorDataset, random_split

import presets
from dss_tui.cli import main
from engine.backends.in_place import InPlaceBackend
from engine.backends.vmapped import VmappedBackend
from engine.data import load_data
from engine.data.custom import CustomData
from engine.errors import InputError
from engine.problem.problem import TRAINING_LOSS, Problem, build_problem
from engine.record.string_file import read
from engine.run.choosing import choose_backend
from engine.run.plain_torch import PlainTorch
from engine.spec.checks import check_level_on
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.commands import refused
from tests.support.workers import vmapped

# ---------------------------------------------------------------- a user's file

Inputs = tuple[Tensor, Tensor]


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(samples: int = 12, features: int = 3, seed: int = 1) -> Inputs:
    x = torch.randn(samples, features, generator=draw(seed))
    return x, torch.stack([x.sum(1), x[:, 0] - 0.5], dim=1)


def classes(samples: int = 12, features: int = 3, seed: int = 1) -> Inputs:
    x = torch.randn(samples, features, generator=draw(seed))
    return x, (x.sum(1) > 0).long()


class Tied(nn.Module):
    """One matrix under two names, one module in two places, one buffer of whole numbers."""

    order: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.again = nn.Linear(3, 3)
        self.again.weight = self.first.weight
        self.shared = nn.Linear(3, 3, bias=False)
        self.also = nn.ModuleDict({"shared": self.shared})
        self.last = nn.Linear(3, 2)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.register_buffer("scale", torch.tensor([0.5, 1.5, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.again(torch.tanh(self.first(x[:, self.order] * self.scale))))
        return self.last(torch.tanh(self.also["shared"](self.shared(x))))  # type: ignore[no-any-return]


class TiedInside(nn.Module):
    """One parameter under two names of one module."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(3, 2))
        self.b = self.a

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.a) @ self.b[:2]


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.ReLU())
        self.last = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.hidden(x))
        return functional.dropout(y, 0.5, training=self.training)


class ByNumpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.tanh(self.last(x).numpy()))


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(x)
        return y.detach() * 2


class ForFloat32(nn.Module):
    """Makes tensors in the default precision."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x.float()) @ torch.eye(3)))  # type: ignore[no-any-return]


class NeverDouble(ForFloat32):
    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return super().forward(x)


def scripted() -> nn.Module:
    return torch.jit.script(nn.Linear(3, 2))


def parallel() -> nn.Module:
    return nn.DataParallel(torch.nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))


def exits() -> nn.Module:
    raise SystemExit(3)


class Recurrent(nn.Module):
    """What torch cannot batch over weights."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 4, num_layers=2, dropout=0.5, batch_first=True)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.lstm(x[:, :, None])[0][:, -1])  # type: ignore[no-any-return]


class RandomFeatures(nn.Module):
    """A frozen layer, as a buffer, that is drawn anew with each network."""

    frozen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frozen", torch.randn(3, 5))
        self.last = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x @ self.frozen))  # type: ignore[no-any-return]


class Hiding(nn.Module):
    """Computes with what it keeps in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.kept = [self.layer.weight, self.layer.bias]

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, *self.kept)


class AlwaysDropping(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout(super().forward(input), 0.5)


def frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    return network


def whole_numbers() -> nn.Module:
    network = nn.Linear(3, 2)
    network.register_parameter("table", nn.Parameter(torch.arange(4), requires_grad=False))
    return network


def weightless() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Flatten())


def lazy() -> nn.Module:
    return nn.LazyLinear(2)


def narrow() -> nn.Module:
    return nn.Linear(3, 1)


def wide() -> nn.Module:
    return nn.Linear(4, 2)


def summing() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Flatten(0))


def flat() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))


def small(hidden: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2))


def pairs() -> Dataset[Any]:
    return TensorDataset(*values())


def one_by_one() -> tuple[Dataset[Any], Dataset[Any]]:
    train, held = random_split(TensorDataset(*classes(20)), [14, 6], generator=draw(4))
    return train, held


def scores() -> Inputs:
    """A value for each sample, without an axis of outputs."""
    x, y = values()
    return x, y[:, 0]


def weighted(power: float) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().pow(power).mean(1)

    return loss


def binary() -> Callable[[Tensor, Tensor], Tensor]:
    """Of one score a sample, (sample,)."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(output, target.float(), reduction="none")

    return loss


def failing() -> Callable[[Tensor, Tensor], Tensor]:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        raise ValueError("not today")

    return loss


def mean_loss() -> Callable[[Tensor, Tensor], Tensor]:
    return lambda output, target: (output - target).square().mean()


def mean_over_samples() -> Callable[[Tensor, Tensor], Tensor]:
    """One value for each of the two outputs, which looks like one for each of two samples."""
    return lambda output, target: (output - target).square().mean(0)


# ---------------------------------------------------------------- helpers

HERE = __name__


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def tree(network: str, data: str = "values", loss: Any = "mse", **args: Any) -> dict[str, Any]:
    return {
        "data": {"kind": "custom", "factory": f"{HERE}:{data}"},
        "network": {"kind": "custom", "factory": f"{HERE}:{network}", "args": args},
        "loss": loss,
    }


def problem_of(network: str, data: str = "values", loss: Any = "mse", **args: Any) -> Problem:
    return build_problem(validated(ProblemSpec, tree(network, data, loss, **args)))


def spec_of(problem: dict[str, Any], **search: Any) -> Spec:
    return validated(
        Spec,
        {
            "problem": problem,
            "endpoints": {"optimizer": {"kind": "adam", "lr": 0.05}, "max_steps": 3000},
            "search": {
                "level": 0.1,
                "greedy": {"optimizer": {"kind": "adam", "lr": 0.05}, "max_steps": 3000},
            }
            | search,
            "device": "cpu",
            "workers": 1,
        },
    )


def beads(problem: Problem, count: int) -> Tensor:
    return torch.stack([problem.initial(seed) for seed in range(count)])


def module_with(problem: Problem, make: Callable[[], nn.Module], theta: Tensor) -> nn.Module:
    """The user's own module, with these weights and the buffers of the problem."""
    module = make()
    buffers = dict(problem.network.named_buffers())
    for name, buffer in module.named_buffers():
        buffer.copy_(buffers[name])
    nn.utils.vector_to_parameters(theta, module.parameters())
    return module.eval()


def preset(folder: Path, problem: dict[str, Any], **search: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(json.dumps(spec_of(problem, **search).model_dump(mode="json")))
    return path


# ---------------------------------------------------------------- networks


MAKERS: list[Callable[[], nn.Module]] = [
    Tied,
    TiedInside,
    Dropping,
    Recurrent,
    RandomFeatures,
    small,
]


@pytest.mark.parametrize(
    ("make", "batching"),
    [
        pytest.param(make, batching, id=f"{make.__name__}-{batching}")
        for make in MAKERS
        for batching in ("vmap", "loop")
        if (make, batching) != (Recurrent, "vmap")
    ],
)
def test_losses_and_gradients_are_those_of_the_module(
    make: Callable[[], nn.Module], batching: str
) -> None:
    """In eval mode: dropout is off, and the loss is the same each time."""
    problem = problem_of(make.__name__)
    backend = {"vmap": VmappedBackend, "loop": InPlaceBackend}[batching](problem)
    theta = beads(problem, 3)
    x, y = values()
    losses, grads = backend.loss_and_grad(theta)
    assert torch.equal(backend.losses(theta), backend.losses(theta))
    for row in range(3):
        module = module_with(problem, make, theta[row])
        loss = (module(x) - y).square().sum(1).mean()
        own = torch.cat([g.flatten() for g in torch.autograd.grad(loss, [*module.parameters()])])
        assert own.abs().max() > 1e-2
        torch.testing.assert_close(losses[row], loss.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(grads[row], own, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(backend.losses(theta), losses, rtol=1e-5, atol=1e-6)
    double = backend.to(torch.float64).losses(theta.double())
    torch.testing.assert_close(double.float(), losses, rtol=1e-5, atol=1e-6)


def test_tied_weights_are_one_parameter() -> None:
    """Under its first name; the module in two places counts once."""
    problem = problem_of("Tied")
    assert [p.name for p in problem.parameters] == [
        "first.weight", "first.bias", "again.bias", "shared.weight", "last.weight", "last.bias",
    ]  # fmt: skip
    assert problem.parameter_count == 9 + 3 + 3 + 9 + 6 + 2
    assert ("again.weight", "first.weight") in problem.places


def test_a_module_for_float32_is_measured_in_float64() -> None:
    """By the same module in float64, whose tensors are made in that."""
    problem = problem_of("ForFloat32")
    assert problem.widens and not problem_of("Tied").widens
    theta = beads(problem, 3).double()
    x, y = values()
    right = []
    for bead in theta:
        module = ForFloat32().double()
        nn.utils.vector_to_parameters(bead, module.parameters())
        output = module.last(torch.tanh(module.first(x.double())))
        right.append((output - y.double()).square().sum(1).mean().item())
    for backend in (VmappedBackend(problem), InPlaceBackend(problem)):
        found = backend.to(torch.float64).losses(theta)
        assert found.tolist() == pytest.approx(right, rel=1e-14)


def test_a_module_that_refuses_float64_is_refused_before_it_is_trained() -> None:
    with pytest.raises(InputError, match=r"cannot be computed in float64.*TypeError: float32 only"):
        problem_of("NeverDouble")


def test_a_module_is_taken_out_of_its_wrappers() -> None:
    problem = problem_of("parallel")
    assert [parameter.name for parameter in problem.parameters] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    theta = beads(problem, 1)
    user = PlainTorch(spec_of(tree("parallel")).problem, problem)
    right = vmapped(problem).losses(theta).item()
    assert user.value(theta[0], TRAINING_LOSS) == pytest.approx(right)


def test_buffers_that_are_drawn_are_the_same_in_every_session() -> None:
    torch.manual_seed(1)
    first = problem_of("RandomFeatures")
    torch.manual_seed(2)
    second = problem_of("RandomFeatures")
    theta = beads(first, 2)
    assert torch.equal(vmapped(first).losses(theta), vmapped(second).losses(theta))
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    problem_of("RandomFeatures").initial(4)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_torch_cannot_batch_goes_in_a_loop() -> None:
    spec = spec_of(tree("Recurrent"))
    problem = build_problem(spec.problem)
    choice = choose_backend(spec, problem)
    assert choice.spec.search.batching == choice.backend.name == "loop"
    with pytest.raises(
        InputError, match=r"search\.batching: is vmap, but .*(aten::lstm|under vmap).*or loop"
    ):
        choose_backend(spec_of(tree("Recurrent"), batching="vmap"), problem)
    able = spec_of(tree("Tied"), batching="vmap")
    assert choose_backend(able, build_problem(able.problem)).backend.name == "vmap"


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("weightless", "has no floating-point parameters; there is nothing to train"),
        ("lazy", "has lazy parameters; run it once on a sample before returning it"),
        ("wide", "does not take a batch of samples (3, 3) of torch.float32 (RuntimeError: mat1"),
        ("summing", "returned (6,) for a batch of 3; return a tensor (sample, …)"),
        ("narrow", "returns (1,) for each sample, but mse compares it with y, which needs (2,)"),
        ("AlwaysDropping", "gives another output when it is called again on the same samples"),
        ("scripted", "returned TorchScript; return the nn.Module that it was made from"),
        ("ByNumpy", "has no gradient by its parameters (RuntimeError: Can't call numpy()"),
        ("Detached", "has no gradient by its parameters (RuntimeError: element 0 of tensors does"),
        ("exits", "failed with SystemExit: 3"),
    ],
)
def test_networks_that_no_path_can_go_through_are_refused(
    network: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    always = network == "AlwaysDropping"
    args: dict[str, Any] = {"in_features": 3, "out_features": 2} if always else {}
    path = preset(tmp_path, tree(network, **args))
    line = refused(capsys, ["run", str(path), "--headless"], words)
    assert line.startswith(f"dss-tui: {path}: problem.network.factory: ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("network", ["flat", "narrow"])
@pytest.mark.parametrize("data", ["scores", "column"])
def test_a_single_value_is_compared_with_or_without_its_axis(network: str, data: str) -> None:
    """(sample,) against (sample, 1) would compare every sample with every other."""
    problem = problem_of(network, data)
    theta = beads(problem, 2)
    x, y = scores()
    for row in range(2):
        output = module_with(problem, globals()[network], theta[row])(x).flatten()
        expected = (output - y).square().mean()
        found = [vmapped(problem).losses(theta)[row], InPlaceBackend(problem).losses(theta)[row]]
        assert [each.item() for each in found] == pytest.approx(2 * [expected.item()], rel=1e-5)


def column() -> Inputs:
    x, y = scores()
    return x, y[:, None]


def grids() -> Inputs:
    """Two rows of three values for each sample."""
    x, _ = values()
    return x, torch.stack([x, x.square()], dim=1)


class Grid(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.last, self.shape = nn.Linear(3, 6), shape

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x).reshape(len(x), *self.shape)  # type: ignore[no-any-return]


def grid(shape: list[int]) -> nn.Module:
    return Grid(*shape)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (6,)])
def test_targets_keep_their_shape_and_are_compared_one_by_one(shape: tuple[int, ...]) -> None:
    problem = problem_of("grid", "grids", shape=list(shape))
    theta = beads(problem, 1)
    x, y = grids()
    output = module_with(problem, lambda: Grid(2, 3), theta[0])(x)
    expected = (output - y).square().sum((1, 2)).mean()
    assert vmapped(problem).losses(theta).item() == pytest.approx(expected.item(), rel=1e-5)


def test_values_of_another_shape_are_refused_and_not_broadcast() -> None:
    with pytest.raises(InputError, match=r"returns \(3, 2\) for each sample.* needs \(2, 3\);"):
        problem_of("grid", "grids", shape=[3, 2])
    with pytest.raises(InputError, match=r"returns \(1,\) for each sample.* needs \(2,\)"):
        problem_of("narrow", "values")


def several() -> Callable[[Tensor, Tensor], Tensor]:
    """Of several labels a sample, (sample, label)."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            output, target.to(output.dtype), reduction="none"
        ).mean(1)

    return loss


def labels_of(kind: str) -> Inputs:
    x, y = values()
    return x, (y > 0).to(getattr(torch, kind))


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32"])
def test_several_labels_a_sample(kind: str) -> None:
    """Multi-label classification: binary cross-entropy of a user's own, as torch has it."""
    parts = tree("small", "labels_of", {"factory": f"{HERE}:several"})
    parts["data"]["args"] = {"kind": kind}
    problem = build_problem(validated(ProblemSpec, parts))
    theta = beads(problem, 1)
    x, y = labels_of("float32")
    output = module_with(problem, small, theta[0])(x)
    expected = functional.binary_cross_entropy_with_logits(output, y)
    assert vmapped(problem).losses(theta).item() == pytest.approx(expected.item(), rel=1e-5)
    assert problem.classes is None or kind != "float32"


def test_whole_numbers_that_are_values_or_no_classes() -> None:
    parts = tree("narrow", "counted")
    with pytest.raises(InputError, match=r"needs \(8,\); .* set problem.data.targets: values if"):
        build_problem(validated(ProblemSpec, parts))
    parts["data"]["targets"] = "values"
    problem = build_problem(validated(ProblemSpec, parts))
    theta = beads(problem, 1)
    x, y = counted()
    expected = (module_with(problem, narrow, theta[0])(x)[:, 0] - y).square().mean()
    assert vmapped(problem).losses(theta).item() == pytest.approx(expected.item(), rel=1e-5)


def counted() -> Inputs:
    x, _ = values()
    return x, torch.arange(len(x)) % 8


def test_too_few_scores_for_the_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"returns \(1,\) for each sample.* \(2,\), a score for"):
        problem_of("narrow", "classes", "cross_entropy")
    assert problem_of("small", "classes", "cross_entropy").classes == 2


# ---------------------------------------------------------------- losses


def test_a_loss_of_ones_own() -> None:
    loss = {"factory": f"{HERE}:weighted", "args": {"power": 3}}
    problem = problem_of("small", loss=loss)
    theta = beads(problem, 3)
    x, y = values()
    losses, grads = vmapped(problem).loss_and_grad(theta)
    for row in range(3):
        module = module_with(problem, small, theta[row])
        expected = ((module(x) - y).abs() ** 3).mean()
        slope = torch.autograd.grad(expected, [*module.parameters()])
        torch.testing.assert_close(losses[row], expected.detach(), rtol=1e-5, atol=1e-6)
        own = torch.cat([part.flatten() for part in slope])
        torch.testing.assert_close(grads[row], own, rtol=1e-4, atol=1e-5)


def test_a_score_that_is_none_of_a_class_has_no_error_rate() -> None:
    """One score for two classes suits a loss of one's own, but says nothing of the larger."""
    loss = {"factory": f"{HERE}:binary"}
    problem = problem_of("flat", "classes", loss)
    assert problem.classes is None
    assert vmapped(problem).losses(beads(problem, 2)).isfinite().all()
    spec = spec_of(tree("flat", "classes", loss), level_on={"metric": "error_rate"})
    with pytest.raises(InputError, match=r"level_on\.metric: is error_rate, but .* choose loss"):
        check_level_on(spec, problem.classes, 0)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (
            "failing",
            f"the loss of {HERE}:failing failed on outputs (3, 2) and targets (3, 2) (ValueError: "
            "not today); make it take them",
        ),
        ("mean_loss", "returned () for 3 samples; return one value for each, (sample,), not their"),
        ("mean_over_samples", "returned (2,) for 3 samples; return one value for each, (sample,)"),
    ],
)
def test_losses_that_do_not_judge_each_sample_are_refused(
    loss: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset(tmp_path, tree("small", loss={"factory": f"{HERE}:{loss}"}))
    line = refused(capsys, ["run", str(path), "--headless"], words)
    assert line.startswith(f"dss-tui: {path}: problem.loss.factory: ")
    assert not (tmp_path / "runs").exists()


# ---------------------------------------------------------------- data


def loaded(data: str) -> Any:
    return load_data(CustomData(kind="custom", factory=f"{HERE}:{data}"))


def four() -> tuple[Any, ...]:
    return *classes(), *classes(5, seed=2)


def numpy_four() -> tuple[Any, ...]:
    return tuple(part.numpy() for part in four())


def dataset_pair() -> list[Dataset[Any]]:
    return [TensorDataset(*classes()), TensorDataset(*classes(5, seed=2))]


class Items:
    """As much of a Dataset as is asked for; items are Python numbers and arrays."""

    def __init__(self, samples: int, seed: int) -> None:
        self.x, self.y = classes(samples, seed=seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        return self.x[number].double().numpy(), int(self.y[number])


def items_pair() -> tuple[Items, Items]:
    return Items(12, 1), Items(5, 2)


@pytest.mark.parametrize("data", ["four", "numpy_four", "dataset_pair", "items_pair"])
def test_samples_come_as_tensors_arrays_or_datasets(data: str) -> None:
    found = loaded(data)
    (x, y), (x_held, y_held) = classes(), classes(5, seed=2)
    for array, expected in (
        (found.x, x), (found.y, y), (found.x_held_out, x_held), (found.y_held_out, y_held),
    ):  # fmt: skip
        np.testing.assert_array_equal(array, expected.numpy())
    assert (found.x.dtype, found.y.dtype) == (np.float32, np.int64)
    assert found.classes == 2


def test_without_held_out_samples_there_are_none() -> None:
    found = loaded("pairs")
    assert found.classes is None
    assert found.x_held_out.shape == (0, 3) and found.y_held_out.shape == (0, 2)
    np.testing.assert_array_equal(found.y, values()[1].numpy())


def test_two_datasets_are_training_and_held_out() -> None:
    found = loaded("one_by_one")
    assert (len(found.x), len(found.x_held_out)) == (14, 6)
    together = np.concatenate([found.x, found.x_held_out])
    np.testing.assert_array_equal(
        np.sort(together, axis=0), np.sort(classes(20)[0].numpy(), axis=0)
    )


def pixels() -> Inputs:
    x = torch.randint(256, (6, 1, 2, 2), generator=draw(3), dtype=torch.uint8)
    return x, torch.tensor([0, 1, 2, 0, 1, 2])


def tokens() -> Inputs:
    x = torch.randint(5, (4, 7), generator=draw(3))
    return x, x.roll(-1, 1)


def one_feature() -> tuple[Any, Any]:
    return np.linspace(0, 1, 5), np.linspace(1, 2, 5)


def test_types_are_kept_compact_and_shown_as_networks_see_them() -> None:
    found = loaded("pixels")
    assert found.x.dtype == np.uint8 and found.classes == 3
    network = {"kind": "cnn", "input": [1, 2, 2], "layers": [{"kind": "dense", "units": 3}]}
    spec = {
        "data": {"kind": "custom", "factory": f"{HERE}:pixels"},
        "network": network | {"outputs": 3},
        "loss": "cross_entropy",
    }
    problem = build_problem(validated(ProblemSpec, spec))
    x, _ = problem.train.part(slice(None), torch.float64)
    torch.testing.assert_close(x, pixels()[0].double() / 255)
    assert loaded("tokens").x.dtype == np.int32
    assert loaded("one_feature").x.shape == (5, 1)
    assert loaded("one_feature").y.shape == (5,)


def test_tokens_for_an_lstm() -> None:
    spec = {
        "data": {"kind": "custom", "factory": f"{HERE}:tokens"},
        "network": {"kind": "lstm", "vocabulary": 5, "embedding": 2, "hidden": 3},
        "loss": "cross_entropy",
    }
    problem = build_problem(validated(ProblemSpec, spec))
    theta = beads(problem, 1)
    x, y = tokens()
    module = problem.make_network()
    nn.utils.vector_to_parameters(theta[0], module.parameters())
    expected = functional.cross_entropy(module(x), y)
    assert vmapped(problem).losses(theta).item() == pytest.approx(expected.item(), rel=1e-5)


def uneven() -> Any:
    return torch.zeros(4, 2), torch.zeros(3, 2)


def empty() -> Any:
    return torch.zeros(0, 2), torch.zeros(0, 2)


def other_held_out() -> Any:
    return torch.zeros(4, 2), torch.zeros(4, 1), torch.zeros(4, 3), torch.zeros(4, 1)


def not_finite() -> Any:
    return torch.tensor([[1.0], [torch.inf]]), torch.zeros(2, 1)


def too_large() -> Any:
    return np.zeros((2, 1)), np.array([[1e300], [0.0]])


def words() -> Any:
    return np.array(["a", "b"]), np.zeros(2)


def lists() -> Any:
    return [[0.0], [1.0]], [0.0, 1.0]


def three() -> Any:
    return torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 1)


def only_x() -> Any:
    return TensorDataset(torch.zeros(3, 1))


def ragged() -> Any:
    return [(torch.zeros(1), 0), (torch.zeros(2), 1)]


class Ragged:
    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return torch.zeros(1 + number), number


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("uneven", "returned 4 x and 3 y as training samples; it must return"),
        ("empty", "returned no training samples"),
        ("other_held_out", "returned training and held-out x of different shape or type"),
        ("not_finite", "returned x with values that are not finite in float32"),
        ("too_large", "returned y with values that are not finite in float32"),
        ("words", "returned x of type <U1 and shape (2,)"),
        ("lists", "returned tuple; it must return (x, y) or (x, y, x_test, y_test) as arrays"),
        ("three", "returned tuple; it must return"),
        ("only_x", "returned a Dataset whose items are not (x, y): item 0 is "),
        ("ragged", "returned list; it must return"),
        ("Ragged", "returned a Dataset whose items differ in shape (x of item 1 is (2,), not (1,)"),
    ],
)
def test_what_holds_no_samples_is_refused(
    data: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset(tmp_path, tree("small", data))
    line = refused(capsys, ["run", str(path), "--headless"], message)
    assert line.startswith(f"dss-tui: {path}: problem.data.factory: {HERE}:{data} ")
    assert not (tmp_path / "runs").exists()


def test_one_sample_cannot_be_normalized_by_its_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset(tmp_path, tree("normalized", "single"))
    refused(capsys, ["run", str(path), "--headless"], "problem.data: ", "needs two or more")


def normalized() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def single() -> Inputs:
    return values(1)


# ---------------------------------------------------------------- whole runs


def test_a_run_of_ones_own_connects_and_can_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tied weights, buffers; verify runs the factories only where that is allowed."""
    path = preset(tmp_path, tree("Tied", "four", "cross_entropy"))
    run, string = str(tmp_path / "run"), tmp_path / "path.safetensors"
    assert main(["run", str(path), "--headless", "--out", run]) == 0
    assert main(["export", run, "--out", str(string)]) == 0
    capsys.readouterr()
    called: list[str] = []
    for name in ("Tied", "four"):
        monkeypatch.setitem(globals(), name, lambda name=name: called.append(name))
    refused(
        capsys,
        ["verify", str(string)],
        f"{string}: dss.problem: to measure it, {HERE}:four and {HERE}:Tied would be imported and "
        "run; if you trust this file, give --run-factories",
    )
    assert called == []
    monkeypatch.undo()
    assert main(["verify", str(string), "--run-factories", "--json", "--grid", "101"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["holds"] and checked["level_on"] == {"metric": "loss", "split": "train"}

    file = read(string)
    x, y, *_ = four()
    for bead, loss in zip(file.string.beads, file.string.losses, strict=True):
        module = Tied()
        nn.utils.vector_to_parameters(torch.from_numpy(bead), module.parameters())
        expected = functional.cross_entropy(module(x), y).item()
        assert loss == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert expected <= file.header.level


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[Path]:
    """A file that leaves a mark when it is run."""
    file = tmp_path / "marking.py"
    mark = tmp_path / "was-run"
    file.write_text(
        f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
        f"from {HERE} import four as data, small as network, weighted as loss\n"
    )
    yield mark


@pytest.mark.parametrize("part", ["data", "network", "loss"])
def test_a_string_file_runs_no_code_unasked(
    part: str, imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither to import a file that it names nor to call its function."""
    factory = f"{tmp_path / 'marking.py'}:{part}"
    problem = {
        "data": {"kind": "points", "x": [[0.0, 0, 0], [1, 0, 1]], "y": [[0.0, 1], [1, 0]]},
        "network": {"kind": "mlp", "sizes": [3, 2]},
        "loss": "mse",
    }
    mlp = preset(tmp_path, problem, level=0.5, batching="loop")
    run, string = str(tmp_path / "run"), tmp_path / "path.npz"
    assert main(["run", str(mlp), "--headless", "--out", run]) == 0
    assert main(["export", run, "--out", str(string)]) == 0
    with np.load(string) as held:
        arrays = dict(held)
    header = json.loads(str(arrays["dss"]))
    kind = {} if part == "loss" else {"kind": "custom"}
    header["problem"][part] = kind | {"factory": factory}
    arrays["dss"] = np.array(json.dumps(header))
    np.savez(string, **arrays)
    capsys.readouterr()
    refused(capsys, ["verify", str(string)], f"{factory} would be imported and run")
    assert not imported.exists()
    main(["verify", str(string), "--run-factories"])
    assert imported.exists()


def test_the_example_preset_connects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shipped preset: custom network with batch normalization, data and loss."""
    example = presets.FOLDER / "custom-example.yaml"
    run, string = str(tmp_path / "run"), str(tmp_path / "path.pt")
    fewer = ["--set", "problem.data.args.points=150"]
    assert main(["run", str(example), "--headless", "--out", run, *fewer]) == 0
    assert main(["export", run, "--out", string, "--with-data"]) == 0
    assert main(["verify", string, "--run-factories", "--grid", "101"]) == 0
    assert "HOLDS" in capsys.readouterr().out


def rated() -> tuple[Any, Any]:
    """Numbers of rows and columns beyond int32, with ratings."""
    pairs = np.stack(np.divmod(np.arange(12), 4), 1)
    return pairs + 2**40, np.cos(pairs[:, 0]) * (1.0 + pairs[:, 1])


class Factors(nn.Module):
    """Matrix factorization: a rating is the product of a row's and a column's numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.columns = nn.Embedding(3, 2), nn.Embedding(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        row, column = (x - 2**40).unbind(1)
        return (self.rows(row) * self.columns(column)).sum(1)  # type: ignore[no-any-return]


def one_by_one_grids() -> Dataset[Any]:
    return TensorDataset(*grids())


@pytest.mark.parametrize(
    ("network", "data", "loss", "args"),
    [
        ("small", "labels_of", "several", {"kind": "bool"}),
        ("Factors", "rated", None, {}),
        ("in_rows", "one_by_one_grids", None, {}),
    ],
    ids=["several labels", "large numbers", "grids from a Dataset"],
)
def test_targets_of_any_kind_from_run_to_verified_file(
    network: str,
    data: str,
    loss: str | None,
    args: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the data in the file, and found again."""
    problem = tree(network, data, {"factory": f"{HERE}:{loss}"} if loss else "mse")
    problem["data"]["args"] = args
    own = preset(tmp_path, problem, level=6.0, batching="loop")
    run, string = str(tmp_path / "run"), str(tmp_path / "path.safetensors")
    assert main(["run", str(own), "--headless", "--out", run]) == 0
    for more in (["--with-data"], ["--force"]):
        assert main(["export", run, "--out", string, *more]) == 0
        capsys.readouterr()
        assert main(["verify", string, "--run-factories", "--grid", "41"]) == 0
        assert "HOLDS" in capsys.readouterr().out


def in_rows() -> nn.Module:
    return Grid(2, 3)
