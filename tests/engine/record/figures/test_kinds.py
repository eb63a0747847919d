"""The numbers of figures, from folders and files: what stands in them, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError
from engine.record import string_file
from engine.record.compare_folder import ComparePlan, variants_of
from engine.record.compare_tables import Measurement
from engine.record.events import Outcome, RunFinished, dump_json
from engine.record.figures.kinds import KINDS, allowed, refusals, sheet_of
from engine.record.figures.source import Source, source_of
from engine.record.finding import COMPARISON
from engine.record.geometry import segment_lengths
from engine.record.loss_plane import LossPlane, NoPlane, PlaneBead, write_answer
from engine.record.quantity import Quantity, Series, write_quantity
from engine.record.string_file import StringFile
from engine.record.sweep_folder import Plan, create, measurement_path, write_plan
from engine.spec.level import LevelOn
from engine.spec.published import published_for
from presets import load_preset
from tests.support.components_folders import components_of, searched, tell_models
from tests.support.run_folders import TOTALS
from tests.support.sweep_folders import begin, cell, ended, sweep_of

RUNS = Path(__file__).parents[3] / "fixtures/6706f4a/runs"


@pytest.fixture
def run(tmp_path: Path) -> Source:
    """A run of `quadratic` that connected, of which a test may write to the folder."""
    made = shutil.copytree(RUNS / "finished-greedy-quadratic", tmp_path / "quadratic-made")
    return source_of(str(made))


# ---------------------------------------------------------------- sweeps


def weighed(beads: int, length: float, over_weights: float) -> RunFinished:
    """The end of a connected cell, with a length over weights alone of its own."""
    end = ended(Outcome.CONNECTED, beads, length)
    totals = replace(
        end.totals, normalized_length_weights=over_weights, beads_per_depth=(2, 1, beads - 3)
    )
    return replace(end, totals=totals)


@pytest.fixture
def sweep(tmp_path: Path) -> Source:
    """Four pairs at three levels: all connect, two do, and none does at the lowest."""
    sweep_of(tmp_path, (0.05, 0.02, 0.01), 4)
    for pair, (beads, length) in enumerate([(3, 1.0), (4, 1.25), (4, 1.5), (5, 1.25)]):
        begin(cell(tmp_path, 0.05, pair), weighed(beads, length, length + 0.5))
    begin(cell(tmp_path, 0.02, 0), weighed(8, 1.5, 2.0))
    begin(cell(tmp_path, 0.02, 1), weighed(10, 2.0, 2.5))
    begin(cell(tmp_path, 0.02, 2), ended(Outcome.NOT_CONNECTED, 90, 7.0))
    begin(cell(tmp_path, 0.02, 3), ended(Outcome.LIMIT_REACHED, 90, 7.0))
    for pair in range(3):
        begin(cell(tmp_path, 0.01, pair), ended(Outcome.ENDPOINT_NOT_TRAINED, 2, nan))
    return source_of(str(tmp_path))


def test_means_stand_at_their_levels_with_their_errors(sweep: Source) -> None:
    sheet = sheet_of(sweep)
    assert (sheet.kind, sheet.fact("seeds"), sheet.fact("preset")) == (
        "levels",
        "3 to 6",
        "quadratic",
    )
    where = {"part": "measured", "quantity": "beads"}
    assert sheet.numbers("level", **where) == [0.05, 0.02]
    assert sheet.numbers("value", **where) == [4.0, 9.0]
    error = np.std([3, 4, 4, 5], ddof=1) / 2
    assert sheet.numbers("low", **where) == pytest.approx([4 - error, 8.0])
    assert sheet.numbers("high", **where) == pytest.approx([4 + error, 10.0])
    assert sheet.numbers("connected_pairs", **where) == [4, 2]
    weights = {"part": "measured", "quantity": "normalized_length_weights"}
    assert sheet.numbers("value", **weights) == [1.75, 2.25]


def test_pairs_that_did_not_connect_are_counted_by_outcome(sweep: Source) -> None:
    sheet = sheet_of(sweep)
    outcomes = ("quantity", "level", "value", "pairs")
    found = zip(
        sheet.words(outcomes[0], part="outcome"),
        *(sheet.numbers(column, part="outcome") for column in outcomes[1:]),
        strict=True,
    )
    assert list(found) == [
        ("connected", 0.05, 4, 4),
        ("connected", 0.02, 2, 4),
        ("not_connected", 0.02, 1, 4),
        ("limit_reached", 0.02, 1, 4),
        ("connected", 0.01, 0, 3),
        ("endpoint_not_trained", 0.01, 3, 3),
    ]


def test_two_levels_have_no_law_and_another_problem_none_of_the_papers_points(
    sweep: Source,
) -> None:
    sheet = sheet_of(sweep)
    assert not {"published", "measured law"} & set(sheet.words("part"))
    assert not sheet.fact("published")


def test_the_papers_points_stand_beside_a_sweep_of_its_problem(tmp_path: Path) -> None:
    spec = load_preset("quadratic-authors")
    create(Plan(spec, (0.1, 0.01, 0.001), 1), tmp_path)
    for number, level in enumerate((0.1, 0.01, 0.001)):
        begin(cell(tmp_path, level, 0), ended(Outcome.CONNECTED, 5 * 2**number, 1.2 + number))
    sheet, published = sheet_of(source_of(str(tmp_path))), published_for(spec)
    assert published is not None
    where = {"part": "published", "quantity": "beads"}
    assert sheet.numbers("level", **where) == [point.level for point in published.points]
    assert sheet.numbers("value", **where) == [point.beads[0] for point in published.points]
    assert "ICLR 2017" in sheet.fact("published") and "1.1 × level" in sheet.fact("published level")
    # 5, 10 and 20 beads at levels that fall by ten double each time: an exponent of −log₁₀ 2.
    assert sheet.fact("measured beads").partition("level^")[2].startswith("-0.3010 (95 %")
    assert sheet.fact("published beads")
    assert len(sheet.numbers("level", part="measured law", quantity="beads")) == 41


def test_depths_of_a_sweep_are_means_over_connected_pairs(sweep: Source) -> None:
    sheet = sheet_of(sweep, "depths")
    rows = zip(
        *(sheet.numbers(c) for c in ("level", "depth", "value", "connected_pairs")), strict=True
    )
    assert list(rows) == [
        (0.05, 0, 2, 4),
        (0.05, 1, 1, 4),
        (0.05, 2, 1, 4),
        (0.02, 0, 2, 2),
        (0.02, 1, 1, 2),
        (0.02, 2, 6, 2),
    ]


def test_a_sweep_in_which_nothing_has_ended_has_no_numbers(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    assert refusals(source_of(str(tmp_path))) == {
        "levels": "none of its pairs has ended yet",
        "depths": "none of its pairs has connected yet",
    }


# ---------------------------------------------------------------- runs and strings


def test_a_path_has_its_profile_its_beads_its_level_and_what_is_held_out(run: Source) -> None:
    sheet, file = sheet_of(run), string_file.read(run.run.string)
    assert (sheet.kind, sheet.fact("preset"), sheet.fact("seeds")) == ("path", "quadratic", "1")
    assert sheet.numbers("value", part="objective") == file.string.profiles.flatten().tolist()
    lengths = segment_lengths(file.string.beads)
    at = np.concatenate([[0], lengths.cumsum()]) / lengths.sum()
    assert sheet.numbers("place", part="bead") == pytest.approx(at.tolist())
    assert sheet.numbers("bead", part="bead") == list(file.header.bead_ids)
    places = sheet.numbers("place", part="objective")
    assert places == sorted(places) and (places[0], places[-1]) == (0, 1)
    assert sheet.numbers("value", part="level") == [0.001, 0.001]
    assert not sheet.numbers("value", part="level with tolerance")
    assert sheet.fact("secondary") == "held-out loss"
    assert len(sheet.numbers("value", part="secondary")) == 6 * 17
    assert not sheet.numbers("value", part="proven bound")


def of_string(tmp_path: Path, **changes: object) -> Source:
    """A string file as that of the run, but for some parts."""
    file = string_file.read(RUNS / "finished-greedy-quadratic/string.safetensors")
    path = tmp_path / "changed.safetensors"
    string = replace(file.string, **changes)  # type: ignore[arg-type]
    header = replace(
        file.header, tolerance=0.25, bead_ids=file.header.bead_ids[: len(string.beads)]
    )
    string_file.write(StringFile(header, string), path)
    return source_of(str(path))


def test_a_proof_stands_on_its_cells(tmp_path: Path) -> None:
    cells = np.array([[0, 0, 0.5, 9e-4], [0, 0.5, 1, 8e-4], [5, 0, 1, 7e-4]])
    sheet = sheet_of(of_string(tmp_path, cells=cells), "path")
    assert sheet.numbers("value", part="proven bound") == [9e-4, 9e-4, 8e-4, 8e-4, 7e-4, 7e-4]
    places, at = (sheet.numbers("place", part=part) for part in ("proven bound", "bead"))
    assert places == pytest.approx([0, at[1] / 2, at[1] / 2, at[1], at[5], 1])
    assert sheet.numbers("value", part="level with tolerance") == [0.00125, 0.00125]


def test_a_string_on_its_axes_keeps_the_distances_that_the_shares_say(run: Source) -> None:
    sheet, file = sheet_of(run, "string"), string_file.read(run.run.string)
    places = np.array([sheet.numbers(axis) for axis in ("first", "second", "third")])
    shares = np.array([float(share) for share in sheet.fact("shares of variance").split(",")])
    whole = file.string.beads.astype(np.float64).var(axis=0).sum()
    assert places.var(axis=1) / whole == pytest.approx(shares, abs=1e-6)
    assert sheet.numbers("value") == file.string.losses.tolist()


def test_what_lies_on_a_line_or_in_a_point_has_no_axes(tmp_path: Path) -> None:
    file = string_file.read(RUNS / "finished-greedy-quadratic/string.safetensors").string
    two = {"beads": file.beads[:2], "losses": file.losses[:2], "profiles": file.profiles[:1]}
    with pytest.raises(InputError, match="has two beads"):
        sheet_of(of_string(tmp_path, **two), "string")
    still = np.repeat(file.beads[:1], 2, axis=0)
    with pytest.raises(InputError, match="lie in one place"):
        sheet_of(of_string(tmp_path, **two | {"beads": still}), "path")


def test_depths_of_a_run_are_its_counters(run: Source) -> None:
    sheet = sheet_of(run, "depths")
    assert sheet.numbers("value") == [2, 1, 2, 2] and sheet.numbers("depth") == [0, 1, 2, 3]


PLANE = LossPlane(
    beads=(1, 6, 2),
    level_on=LevelOn(),
    level=0.25,
    time=3.5,
    precision="float64",
    x=(-1.0, 0.5, 4.0),
    y=(-0.5, 2.0),
    losses=((0.1, 0.7, nan), (0.3, 0.2, 0.9)),
    corners=(
        PlaneBead(1, 0.0, 0.0, 0.0, 0.2),
        PlaneBead(6, 3.0, 0.0, 0.0, 0.1),
        PlaneBead(2, 1.0, 1.5, 0.0, 0.3),
    ),
    string=(PlaneBead(1, 3.0, 0.0, 0.0, 0.1), PlaneBead(7, 0.5, 0.25, 0.75, 0.15)),
)


def test_a_plane_has_its_grid_its_corners_and_the_string(run: Source) -> None:
    with pytest.raises(InputError, match="holds no loss plane yet; --plane A,B,C measures"):
        sheet_of(run, "plane")
    write_answer(run.run, PLANE)
    sheet = sheet_of(run, "plane")
    assert sheet.numbers("x", part="grid") == [-1.0, 0.5, 4.0] * 2
    assert sheet.numbers("y", part="grid") == [-0.5] * 3 + [2.0] * 3
    assert sheet.numbers("value", part="grid")[:2] == [0.1, 0.7]
    assert np.isnan(sheet.numbers("value", part="grid")[2])
    assert sheet.numbers("bead", part="corner") == [1, 6, 2]
    assert sheet.numbers("distance", part="string") == [0.0, 0.75]
    assert (sheet.fact("beads"), sheet.fact("level")) == ("1, 6, 2", "0.25")


def test_of_several_planes_one_is_named(run: Source) -> None:
    write_answer(run.run, PLANE)
    write_answer(run.run, NoPlane(beads=(1, 2, 9), time=1.0, reason="there is no bead 9"))
    (run.run.planes / "notes.json").write_text("{}")
    with pytest.raises(InputError, match="choose one with --plane 1,2,9 or 1,6,2"):
        sheet_of(run, "plane")
    assert sheet_of(replace(run, beads=(1, 6, 2)), "plane").fact("beads") == "1, 6, 2"
    with pytest.raises(InputError, match="there is no bead 9"):
        sheet_of(replace(run, beads=(1, 2, 9)), "plane")


def test_quantities_of_a_run_stand_chart_by_chart(run: Source) -> None:
    series = (
        Series("train_loss", "training", "loss", (0.5, nan, 0.75)),
        Series("held_out_loss", "held-out", "loss", (0.5, 2.5, 0.75)),
    )
    found = Quantity(
        name="swa",
        title="the average",
        time=3.5,
        precision="float64",
        beads=(1, None, 2),
        arc=(0.0, 0.25, 1.0),
        series=series,
        notes=("A note.",),
    )
    assert "measure RUN --what all" in str(refusals(run)["quantities"])
    write_quantity(run.run, found)
    sheet = sheet_of(run, "quantities")
    where = {"quantity": "swa", "chart": "loss", "series": "held-out"}
    assert sheet.numbers("value", **where) == [0.5, 2.5, 0.75]
    assert sheet.numbers("place", **where) == [0, 0.25, 1]
    assert sheet.fact("note on swa") == "A note."


def test_the_table_of_measure_is_a_source_too(tmp_path: Path) -> None:
    path = tmp_path / "along.csv"
    path.write_text(
        "bead,at,swa_train_loss,gradient_norm\n1,0.0,0.5,\n,0.25,0.75,2.5\n2,1.0,1.0,3.5\n"
    )
    sheet = sheet_of(source_of(str(path)))
    assert sheet.kind == "quantities"
    assert sheet.distinct("series") == ["train loss", "norm"]
    assert sheet.numbers("value", quantity="gradient")[1:] == [2.5, 3.5]
    path.write_text("bead,at,swa_train_loss\n1,0.0\n")
    with pytest.raises(InputError, match="line 2: 2 cells, not 3"):
        sheet_of(source_of(str(path)))
    path.write_text("level,pairs\n")
    with pytest.raises(InputError, match="is neither the sheet of a figure nor"):
        sheet_of(source_of(str(path)))
    path.write_text(f"bead,at,{'swa' * 2**17}\n")
    with pytest.raises(InputError, match=r"holds no table of numbers \(field larger"):
        sheet_of(source_of(str(path)))


# ---------------------------------------------------------------- comparisons and components


def test_a_comparison_has_its_pairs_and_its_means(tmp_path: Path) -> None:
    plan = ComparePlan(load_preset("quadratic", seed=5), variants_of("greedy,neb", []), 2)
    write_plan(plan.text(), tmp_path, COMPARISON)
    source = source_of(str(tmp_path))
    with pytest.raises(InputError, match="none of its searches has ended yet"):
        sheet_of(source)
    measured = Measurement(9, "float64", 0.01, True, 0.009, 0.001, 0.005, 1.5, 30.0, 5)
    for number, each in enumerate(plan.cells(tmp_path)):
        outcome = Outcome.NOT_CONNECTED if number == 0 else Outcome.CONNECTED
        totals = replace(
            TOTALS, sample_gradients=1000 * (number + 1), normalized_length=1.0 + number
        )
        begin(each.run, RunFinished(outcome, "Ended.", totals))
        measurement_path(each.run).write_text(dump_json(measured))
    sheet = sheet_of(source)
    where = {"part": "pair"}
    assert sheet.words("method", **where) == ["greedy", "greedy", "neb", "neb"]
    assert sheet.words("connected", **where) == ["false", "true", "true", "true"]
    assert sheet.numbers("sample_gradients", **where) == [1000, 2000, 3000, 4000]
    mean = {"part": "mean", "method": "neb"}
    assert sheet.numbers("normalized_length", **mean) == [3.5]
    assert sheet.numbers("length_low", **mean) == [3.0]
    assert sheet.numbers("sample_gradients", part="mean", method="greedy") == [2000]
    assert sheet.fact("seeds") == "5 to 6"


def test_trees_have_a_place_for_each_node_so_that_no_lines_cross(tmp_path: Path) -> None:
    """Models 2 and 3 are joined, model 0 to both of them, and no path was found to model 1."""
    plan = components_of(tmp_path)
    source = source_of(str(tmp_path))
    with pytest.raises(InputError, match="has no models yet"):
        sheet_of(source)
    told = tell_models(plan, tmp_path)
    found = {(0.02, 0, 2): (0.0185, True), (0.05, 0, 3): (0.045, False)}
    for level in plan.levels:
        for a, b in plan.every_pair:
            peak, proven = found.get((level, a, b), (nan, False))
            outcome = Outcome.CONNECTED if (level, a, b) in found else Outcome.NOT_CONNECTED
            searched(tmp_path, level, (a, b), outcome, peak, proven=proven)
    sheet = sheet_of(source)
    assert (sheet.kind, sheet.fact("seeds"), sheet.fact("models")) == (
        "disconnectivity",
        "3 to 4",
        "4, trained",
    )
    assert "does not prove that there is none" in sheet.fact("said")
    where = {"graph": "peaks", "kind": "model"}
    assert sheet.numbers("height", **where) == list(told.losses)
    members, x = sheet.words("models", graph="peaks"), sheet.numbers("x", graph="peaks")
    places = dict(zip(members, x, strict=True))
    # Deep ones first: model 2 (.009) is the deepest of its tree, and model 1 (.012) hangs alone.
    assert places == {"0": 1.0, "1": 3.0, "2": 0.0, "3": 2.0, "0 2": 0.5, "0 2 3": 1.25}
    joins = {"graph": "peaks", "kind": "join"}
    assert sheet.words("proven", **joins) == ["true", "false"]
    assert sheet.numbers("height", **joins) == [0.0185, 0.045]
    assert sheet.distinct("graph") == ["peaks", "levels"]


# ---------------------------------------------------------------- kinds


def test_the_natural_kind_comes_first() -> None:
    natural = {
        what: allowed(Source(what, Path("x")))[0]
        for what in ("run", "string", "sweep", "comparison", "components", "table")
    }
    assert natural == {
        "run": "path",
        "string": "path",
        "sweep": "levels",
        "comparison": "methods",
        "components": "disconnectivity",
        "table": "quantities",
    }


def test_what_a_source_does_not_allow_is_refused_with_what_it_does(sweep: Source) -> None:
    with pytest.raises(InputError, match="is a sweep, of which there are levels, depths"):
        sheet_of(sweep, "plane")
    with pytest.raises(InputError, match="did you mean 'levels'"):
        sheet_of(sweep, "level")


def test_a_sheet_is_a_source_of_itself_alone(sweep: Source, tmp_path: Path) -> None:
    path, sheet = tmp_path / "figure.csv", sheet_of(sweep)
    path.write_text(sheet.to_csv())
    again = source_of(str(path))
    assert sheet_of(again) == sheet_of(again, "levels") == sheet
    with pytest.raises(InputError, match="is path, but the sheet is one of levels"):
        sheet_of(again, "path")


def test_columns_are_named_once() -> None:
    for kind in KINDS.values():
        assert len(set(kind.columns)) == len(kind.columns)
