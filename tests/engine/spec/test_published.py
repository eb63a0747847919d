"""The paper's points: which sweeps they stand beside, and that they are those of its figures."""

from __future__ import annotations

import json

import pytest

from engine.spec.published import FILE, published_for
from presets import load_preset


def test_points_are_those_of_the_figures() -> None:
    """Read off by eye: 10⁻³ at 62 beads and 1.86 × straight for quadratics; 5.5 beads for MNIST."""
    found = published_for(load_preset("quadratic-paper"))
    assert found is not None and (len(found.points), found.enforced) == (10, 1.1)
    first = found.points[0]
    assert first.level == 0.001
    assert first.beads == pytest.approx((62.4, 5.9), abs=0.1)
    assert first.normalized_length == pytest.approx((1.863, 0.154), abs=1e-3)
    mnist = published_for(load_preset("mnist-cnn"))
    assert mnist is not None and mnist.enforced == 1.02
    (percent,) = [point for point in mnist.points if point.level == 0.01]
    assert percent.beads[0] == pytest.approx(5.48, abs=0.01)


def test_every_preset_with_points_ships() -> None:
    tree = json.loads(FILE.read_text())
    assert "Freeman" in tree["source"]
    for name in tree["presets"]:
        found = published_for(load_preset(name))
        assert found is not None and found.preset == name
        levels = [point.level for point in found.points]
        assert levels == sorted(set(levels))
        most = 1000 if name == "ptb-lstm" else 1  # a perplexity, or a loss or share of errors
        assert all(0 < level < most for level in levels)
        assert (found.enforced is None) == (found.note != "")


def test_paths_that_no_level_bounded_are_told_so() -> None:
    held = published_for(load_preset("ptb-lstm"))
    assert held is not None and held.held.startswith("paths were not held to the level: ")
    assert {point.beads for point in held.points} == {(3.0, 0.0)}
    quadratic = published_for(load_preset("quadratic-paper"))
    assert quadratic is not None and quadratic.held == "paths were held to 1.1 × level"


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_the_networks_of_the_paper_have_the_points_too(kind: str) -> None:
    theirs, smaller = (published_for(load_preset(f"{kind}-{name}")) for name in ("paper", "cnn"))
    assert theirs is not None and smaller is not None
    assert (theirs.points, theirs.enforced) == (smaller.points, smaller.enforced)


@pytest.mark.parametrize(
    "override",
    ["problem.data.points=64", "problem.loss=mse", "search.level_on.split=train"],
)
def test_another_problem_has_no_points(override: str) -> None:
    preset = "mnist-cnn" if "level_on" in override else "quadratic-paper"
    assert published_for(load_preset(preset, [override])) is None
    assert published_for(load_preset("quadratic")) is None


def test_another_search_of_the_same_problem_keeps_them() -> None:
    spec = load_preset("quadratic-paper", ["search.method=auto", "search.level=0.01"], seed=7)
    assert published_for(spec) == published_for(load_preset("quadratic-paper"))
    assert published_for(spec.of_a_new_run()) == published_for(spec)


def test_the_authors_protocol_stands_beside_the_same_points() -> None:
    """Their cubic preset has evenly spaced points in place of one of many draws."""
    for task in ("quadratic", "cubic"):
        authors, paper = (
            published_for(load_preset(f"{task}-{protocol}")) for protocol in ("authors", "paper")
        )
        assert authors is not None and paper is not None
        assert (authors.points, authors.enforced) == (paper.points, paper.enforced)
    cubic = published_for(load_preset("cubic-authors"))
    assert cubic is not None and cubic.preset == "cubic-authors" and len(cubic.points) == 25
