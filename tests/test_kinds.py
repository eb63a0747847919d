"""Each kind of network, data, loss and checkpoint works to its end, or is refused in a sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dss_tui.cli import main
from tests.support.kinds import KINDS, PAGE, Kind, page

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def preset(kind: Kind, folder: Path) -> Path:
    path = folder / "kind.yaml"
    path.write_text(json.dumps(kind.tree(folder)))
    return path


def named(refused: bool) -> pytest.MarkDecorator:
    chosen = [kind for kind in KINDS if bool(kind.refused) == refused]
    return pytest.mark.parametrize("kind", chosen, ids=lambda kind: kind.name)


@named(refused=False)
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


@named(refused=True)
def test_a_kind_that_does_not_is_refused_in_one_sentence(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["run", str(preset(kind, tmp_path)), "--headless", "--out", str(run)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and kind.refuses(said[0]), said
    assert not run.exists()


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text() == page(), "python -m tests.support.kinds writes it anew"
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 60
