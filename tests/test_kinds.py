"""Each kind of network, data, loss and checkpoint works to its end, or is refused in a sentence."""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dss_tui.cli import main
from engine.record.string_file import StringFile, read
from tests.support import kinds_parts, mirror_cases
from tests.support.kinds import KINDS, PAGE, Kind, page
from tests.support.more import always

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the paths of factories to a test, and from factories the command line of the tests."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["dss-tui"])


def preset(kind: Kind, folder: Path) -> Path:
    path = folder / "kind.yaml"
    path.write_text(json.dumps(kind.tree(folder)))
    return path


def named(refused: bool, share: int) -> pytest.MarkDecorator:
    """Kinds of the table, of which most runs of the tests take one in so many."""
    chosen = [kind for kind in KINDS if bool(kind.refused) == refused]
    cases = always(chosen[::share], chosen)
    return pytest.mark.parametrize("kind", cases, ids=lambda kind: kind.name)


@named(refused=False, share=3)
def test_a_kind_that_works_is_measured_to_a_verified_string(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` builds everything anew, and plain torch must find the same losses."""
    run, string = tmp_path / "run", tmp_path / "string.npz"
    assert main(["run", str(preset(kind, tmp_path)), "--headless", "--out", str(run)]) == 0
    assert main(["export", str(run), "--out", str(string), "--with-data"]) == 0
    capsys.readouterr()
    checks = ["verify", str(string), "--run-factories", "--grid", "9", "--json"]
    assert main(checks) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] and len(found["mirror"]["comparisons"]) >= 3
    held = read(string)
    for bead, loss in zip(held.string.beads, held.string.losses, strict=True):
        assert loss == pytest.approx(truth(kind, held, torch.from_numpy(bead)), rel=2e-4, abs=1e-5)


@named(refused=True, share=1)
def test_a_kind_that_does_not_is_refused_in_one_sentence(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["run", str(preset(kind, tmp_path)), "--headless", "--out", str(run)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and kind.refuses(said[0]), said
    assert not run.exists()


def truth(kind: Kind, held: StringFile, bead: Tensor) -> float:
    """Returns the training loss of a bead by torch alone, in a module from the factory."""
    torch.manual_seed(0)
    module = called(kind.network)
    module = getattr(module, "_orig_mod", getattr(module, "module", module))
    module._apply(lambda each: each.float() if each.dtype == torch.float64 else each)
    sizes = [prod(shape) for _, shape in held.header.parameters]
    parts = zip(held.header.parameters, torch.split(bead, sizes), strict=True)
    state = {name: part.reshape(shape) for (name, shape), part in parts}
    state |= {name: torch.from_numpy(array) for name, array in held.fixed.items()}
    ends = torch.from_numpy(held.string.beads[[0, -1]]).double()
    way = ends[1] - ends[0]
    share = ((bead - ends[0]) @ way / (way @ way)).clamp(0, 1)
    for name, buffers in held.carried.items():
        first, last = torch.from_numpy(buffers)
        state[name] = (1 - share) * first + share * last
    with torch.no_grad():
        for name, value in state.items():
            parent, _, own = name.rpartition(".")
            getattr(module.get_submodule(parent), own).copy_(value)
        x, y = samples(kind.data)
        norms = [each for each in module.eval().modules() if isinstance(each, _BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        if norms:
            output_of(module, x)
        output = output_of(module.eval(), x)
        if kind.loss == "cross_entropy" or isinstance(kind.loss, dict):
            given = kind.loss["class_weights"] if isinstance(kind.loss, dict) else [1.0] * 3
            weight = torch.tensor(given, dtype=torch.float32)[: output.shape[1]]
            return nn.functional.cross_entropy(output, y, weight).item()
        if kind.loss != "mse":
            return called(kind.loss)(output, y).mean().item()  # type: ignore[no-any-return]
        if isinstance(output, tuple | dict):
            output = output["out"] if isinstance(output, dict) else output[0]
        output = getattr(output, "logits", output)
        each = (output.reshape(y.shape) - y).square()  # value by value, never by broadcasting
        return each.sum(1).mean().item()  # type: ignore[no-any-return]


def called(factory: str) -> Any:
    """Returns what a factory of the table returns."""
    return getattr(kinds_parts if hasattr(kinds_parts, factory) else mirror_cases, factory)()


def samples(data: str) -> tuple[Any, Tensor]:
    """Returns x and y as the factory of some data returns them, in float32."""
    returned = called(data)
    if isinstance(returned, kinds_parts.Items):
        return kinds_parts.by_name()
    x, y = returned
    if isinstance(x, np.ndarray):
        x, y = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    return x, y


def output_of(module: nn.Module, x: Any) -> Any:
    """Returns a module's output for its inputs, which it may write into."""
    if isinstance(x, dict):
        return module(**x)
    return module(*x) if isinstance(x, tuple) else module(x.clone())


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text() == page(), "python -m tests.support.kinds writes it anew"
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 60
