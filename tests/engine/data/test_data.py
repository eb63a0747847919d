"""The data sets: those that are made, the one that ships, and a user's own."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.data import Dataset, load_data
from engine.data.arrays import ArraysData
from engine.data.digits import DigitsData
from engine.data.polynomial import PolynomialData
from engine.errors import InputError

COEFFICIENTS = (0.7, -1.3, 0.4, 2.1)


def polynomial(**keys: Any) -> Dataset:
    return load_data(PolynomialData(kind="polynomial", coefficients=COEFFICIENTS, **keys))


def cubic(x: NDArray[Any]) -> NDArray[np.float64]:
    wide = x.astype(np.float64)
    return np.asarray(0.7 - 1.3 * wide + 0.4 * wide**2 + 2.1 * wide**3)


# ---------------------------------------------------------------- polynomials


def test_a_grid_is_even_and_the_held_out_points_lie_halfway() -> None:
    data = polynomial(points=37)
    steps = np.arange(37)[:, None] / 36
    np.testing.assert_allclose(data.x, steps, rtol=1e-6)
    np.testing.assert_allclose(data.x_held_out, steps[:-1] + 1 / 72, rtol=1e-6)
    assert (data.x[0, 0], data.x[-1, 0]) == (0.0, 1.0)


def test_random_points_are_drawn_from_the_interval() -> None:
    data = polynomial(points=4000, sampling="random", seed=5)
    for x in (data.x, data.x_held_out):
        assert x.shape == (4000, 1)
        assert 0 <= x.min() < 0.01 < 0.99 < x.max() <= 1
        # Uniform: mean 1/2 and variance 1/12, within five standard errors.
        assert abs(x.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / 4000)
        assert abs(x.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / 4000)


@pytest.mark.parametrize("sampling", ["grid", "random"])
def test_values_are_the_polynomials(sampling: str) -> None:
    data = polynomial(points=53, sampling=sampling, seed=5)
    np.testing.assert_allclose(data.y, cubic(data.x), atol=1e-6)
    np.testing.assert_allclose(data.y_held_out, cubic(data.x_held_out), atol=1e-6)
    assert (data.features, data.outputs, data.classes) == (1, 1, None)
    assert {a.dtype for a in (data.x, data.y, data.x_held_out, data.y_held_out)} == {
        np.dtype(np.float32)
    }


def test_random_points_follow_their_seed() -> None:
    one, same, other = (polynomial(points=29, sampling="random", seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.x, same.x)
    np.testing.assert_array_equal(one.x_held_out, same.x_held_out)
    assert not np.isin(one.x, other.x).any()
    assert not np.isin(one.x, one.x_held_out).any()


# ---------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data(DigitsData(kind="digits"))


def test_digits_have_their_promised_sizes(digits: Dataset) -> None:
    assert (digits.x.shape, digits.x_held_out.shape) == ((1437, 64), (360, 64))
    assert (digits.y.shape, digits.y_held_out.shape) == ((1437,), (360,))
    assert (digits.features, digits.outputs, digits.classes) == (64, 10, 10)
    assert digits.x.dtype == np.float32
    assert digits.y.dtype == digits.y_held_out.dtype == np.int64


def test_digits_are_sixteenths_of_full_ink(digits: Dataset) -> None:
    pixels = np.concatenate([digits.x, digits.x_held_out])
    np.testing.assert_array_equal(np.unique(pixels * 16), np.arange(17))


def test_digits_hold_the_published_number_of_each_class(digits: Dataset) -> None:
    counts = [np.bincount(y, minlength=10) for y in (digits.y, digits.y_held_out)]
    assert min(map(min, counts)) > 0
    assert (counts[0] + counts[1]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_no_digit_is_both_trained_on_and_held_out(digits: Dataset) -> None:
    train, held_out = ({row.tobytes() for row in x} for x in (digits.x, digits.x_held_out))
    assert not train & held_out


# ---------------------------------------------------------------- a user's own arrays

SAMPLES = 30


def x_of(samples: int = SAMPLES, *shape: int) -> NDArray[np.float64]:
    """Rows that tell which they are: their first entry is their number."""
    size = shape or (3,)
    return 0.5 * np.arange(samples * prod(size), dtype=np.float64).reshape(samples, *size)


def classes_of(x: NDArray[Any]) -> NDArray[np.int64]:
    return (np.arange(len(x)) * 7 % 5).astype(np.int64)


def ours(**arrays: Any) -> dict[str, Any]:
    x = x_of()
    return {"x": x, "y": classes_of(x)} | arrays


def load(path: object, **keys: Any) -> Dataset:
    return load_data(ArraysData(kind="arrays", path=str(path), **keys))


def stored(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", [np.int64, np.int16, np.uint8])
def test_whole_numbers_are_classes(kind: type, tmp_path: Path) -> None:
    data = load(stored(tmp_path, **ours(y=classes_of(x_of()).astype(kind))))
    assert (data.features, data.outputs, data.classes) == (3, 5, 5)
    assert data.x.dtype == np.float32
    assert data.y.dtype == np.int64
    assert data.y.ndim == 1


def test_truth_values_are_two_classes(tmp_path: Path) -> None:
    data = load(stored(tmp_path, **ours(y=classes_of(x_of()) > 2)))
    assert data.classes == 2
    assert set(data.y) | set(data.y_held_out) == {0, 1}


@pytest.mark.parametrize(
    ("shape", "outputs"), [((), 1), ((1,), 1), ((2,), 2), ((2, 3), 6)], ids=str
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_other_values_are_flattened_to_outputs(
    shape: tuple[int, ...], outputs: int, kind: type, tmp_path: Path
) -> None:
    y: NDArray[Any] = np.random.default_rng(4).normal(size=(SAMPLES, *shape)).astype(kind)
    data = load(stored(tmp_path, **ours(y=y)), held_out=0.1)
    assert (data.y.shape, data.y_held_out.shape) == ((27, outputs), (3, outputs))
    assert (data.outputs, data.classes) == (outputs, None)
    assert data.y.dtype == np.float32
    rows = (data.x[:, 0] / 1.5).astype(int)
    np.testing.assert_array_equal(data.y, y.reshape(SAMPLES, -1)[rows].astype(np.float32))


def test_images_are_flattened_row_by_row(tmp_path: Path) -> None:
    images = x_of(SAMPLES, 4, 2)
    data = load(stored(tmp_path, **ours(x=images, x_test=images[:7], y_test=np.full(7, 3))))
    np.testing.assert_array_equal(data.x, images.reshape(SAMPLES, 8))
    np.testing.assert_array_equal(data.x_held_out, images[:7].reshape(7, 8))


def test_a_held_out_part_of_the_users_own_is_kept(tmp_path: Path) -> None:
    x_test, y_test = x_of(6) + 0.25, np.array([3, 1, 4, 1, 8, 2])
    data = load(stored(tmp_path, **ours(x_test=x_test, y_test=y_test)))
    np.testing.assert_array_equal(data.x, x_of())
    np.testing.assert_array_equal(data.y, classes_of(x_of()))
    np.testing.assert_array_equal(data.x_held_out, x_test)
    np.testing.assert_array_equal(data.y_held_out, y_test)
    assert data.classes == 9


@pytest.mark.parametrize(("share", "held_out"), [(0.2, 6), (0.5, 15), (0.04, 1), (0.97, 29)])
def test_a_split_is_complete_and_disjoint(share: float, held_out: int, tmp_path: Path) -> None:
    data = load(stored(tmp_path, **ours()), held_out=share, seed=11)
    assert (len(data.x), len(data.x_held_out)) == (SAMPLES - held_out, held_out)
    rows = np.concatenate([data.x, data.x_held_out])
    labels = np.concatenate([data.y, data.y_held_out])
    order = np.argsort(rows[:, 0])
    np.testing.assert_array_equal(rows[order], x_of())
    np.testing.assert_array_equal(labels[order], classes_of(x_of()))


def test_a_split_follows_its_seed(tmp_path: Path) -> None:
    path = stored(tmp_path, **ours())
    one, same, other = (load(path, held_out=0.5, seed=seed) for seed in (11, 11, 12))
    np.testing.assert_array_equal(one.x_held_out, same.x_held_out)
    assert set(one.x_held_out[:, 0]) != set(other.x_held_out[:, 0])
    # Not the first or last of them: a file is often sorted by class.
    assert 0 < np.mean(one.x_held_out[:, 0] < np.median(x_of()[:, 0])) < 1


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"x": None}, "has no array 'x'; it holds ['y']"),
    ({"y": None}, "has no array 'y'; it holds ['x']"),
    ({"x_test": x_of(4)}, "has no array 'y_test'; it holds ['x', 'x_test', 'y']"),
    ({"y_test": np.full(4, 3)}, "has no array 'x_test'; it holds ['x', 'y', 'y_test']"),
    ({"x": np.full((SAMPLES, 3), np.nan)}, "x holds values that are not finite in float32; "),
    ({"x": np.full((SAMPLES, 3), 1e60)}, "x holds values that are not finite in float32; "),
    ({"y": np.full(SAMPLES, -np.inf)}, "y holds values that are not finite in float32; "),
    ({"x": x_of(SAMPLES - 1)}, "x has 29 samples but y has 30; they must agree"),
    ({"x": np.array(["ab"] * SAMPLES)}, "x has type <U2; numbers are needed"),
    ({"y": np.array(["ab"] * SAMPLES)}, "y has type <U2; numbers are needed"),
    ({"y": np.full(SAMPLES, 3j)}, "y has type complex128; numbers are needed"),
    ({"x": np.zeros((0, 3)), "y": np.zeros(0)}, "x has shape (0, 3); samples are needed"),
    ({"y": np.array(3)}, "y has shape (); samples are needed"),
    ({"y": np.arange(SAMPLES) - 4}, "y holds class -4; number classes from 0"),
    (
        {"x_test": x_of(4), "y_test": np.full(5, 3)},
        "x_test has 4 samples but y_test has 5; they must agree",
    ),
    (
        {"x_test": x_of(4, 2), "y_test": np.full(4, 3)},
        "x, y are (3,), () int64 a sample but x_test, y_test are (2,), () int64; they must agree",
    ),
    (
        {"x_test": x_of(4), "y_test": np.full(4, 3.5)},
        "x, y are (3,), () int64 a sample but x_test, y_test are (3,), (1,) float32; they must",
    ),
    (
        {"x": x_of(1), "y": np.array([3])},
        "1 samples leave none to train on or none to hold out; add x_test and y_test",
    ),
    (
        {"x": x_of(2), "y": np.array([3, 4])},
        "2 samples leave none to train on or none to hold out; add x_test and y_test",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), MALFORMED, ids=[s[:40] for _, s in MALFORMED])
def test_arrays_that_do_not_fit_are_refused(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    arrays = {name: array for name, array in ours(**changes).items() if array is not None}
    assert refusal(stored(tmp_path, **arrays)).startswith(sentence)


NO_ARCHIVE = "is not a readable .npz archive; save it with numpy.savez"


def whole_archive() -> bytes:
    buffer = BytesIO()
    np.savez_compressed(buffer, **ours())
    return buffer.getvalue()


def single_array() -> bytes:
    buffer = BytesIO()
    np.save(buffer, x_of())
    return buffer.getvalue()


def archive_of(**members: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_npy", ".npy"), content)
    return buffer.getvalue()


def giant() -> bytes:
    """The header of an array that no memory holds."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 900)}"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


NOT_NPZ = {
    "empty": b"",
    "text": b"x,y\n0.3,4\n",
    "npy": single_array(),
    "cut": whole_archive()[:-9],
    "damaged": whole_archive()[:60] + b"\x5a" * 40 + whole_archive()[100:],
    "not arrays": archive_of(x=b"hello", y=b"you"),
    "not arrays, so called": archive_of(x_npy=b"hello", y_npy=b"you"),
    "too large": archive_of(x_npy=giant(), y_npy=giant()),
}


@pytest.mark.parametrize("content", NOT_NPZ.values(), ids=NOT_NPZ.keys())
def test_a_file_that_is_no_archive_of_arrays_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    assert refusal(path) == NO_ARCHIVE


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["x", "y", "x_test", "notes"])
def test_python_objects_are_refused_and_never_run(name: str, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    path = stored(tmp_path, **ours(**{name: np.array([Trap(sprung)], dtype=object)}))
    assert refusal(path) == (
        "holds Python objects, which are never loaded; save plain number arrays"
    )
    assert not sprung.exists()
    with np.load(path, allow_pickle=True) as held:  # the trap itself works
        held[name]
    assert sprung.is_dir()


# ---------------------------------------------------------------- where a file is looked up


def test_data_are_looked_up_where_one_stands_and_then_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, library = tmp_path / "here", tmp_path / "library"
    for folder in (here, library / "sets"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("DSS_TUI_DATA", str(library))
    with pytest.raises(InputError) as caught:
        load("sets/own.npz")
    assert str(caught.value) == (
        f"sets/own.npz: no such file: {here / 'sets/own.npz'} nor "
        f"{library / 'sets/own.npz'}; correct problem.data.path"
    )
    stored(library / "sets", **ours(x=x_of() + 40))
    assert load("sets/own.npz").x.min() >= 40
    (here / "sets").mkdir()
    stored(here / "sets", **ours())
    assert load("sets/own.npz").x.min() < 40


@pytest.mark.parametrize("name", ["gone.npz", "~nobody-of-that-name/own.npz", "."])
def test_a_missing_file_names_where_it_was_looked_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load(name)
    assert str(caught.value) == (
        f"{name}: no such file: {tmp_path / name}; correct problem.data.path"
    )


# ---------------------------------------------------------------- checksum


def held(**changes: Any) -> Dataset:
    x, y = x_of().astype(np.float32), classes_of(x_of())
    parts: dict[str, Any] = {"x": x, "y": y, "x_held_out": x[:4], "y_held_out": y[:4], "classes": 5}
    return Dataset(**(parts | changes))


def test_a_checksum_knows_the_training_samples_alone() -> None:
    x, y = x_of().astype(np.float32), classes_of(x_of())
    assert held().checksum() == held(x=x.copy(), y=y.copy()).checksum()
    assert held().checksum() == held(x=np.asfortranarray(x)).checksum()
    assert held().checksum() == held(x_held_out=x[5:9] + 3).checksum()


def nudged() -> NDArray[np.float32]:
    x = x_of().astype(np.float32)
    x[17, 2] = np.nextafter(x[17, 2], np.float32(np.inf))
    return x


@pytest.mark.parametrize(
    "changes",
    [
        {"x": nudged()},
        {"y": (classes_of(x_of()) + 1) % 5},
        {"x": x_of().astype(np.float32)[::-1]},
        {"x": x_of().astype(np.float32).reshape(3, -1)},
        {"x": x_of().astype(np.float32).view(np.int32)},
    ],
    ids=["value", "class", "order", "shape", "type"],
)
def test_a_checksum_tells_data_apart(changes: dict[str, Any]) -> None:
    assert held(**changes).checksum() != held().checksum()


def test_the_data_of_different_specs_have_different_checksums() -> None:
    made = [
        polynomial(points=29),
        polynomial(points=30),
        polynomial(points=29, sampling="random", seed=5),
        polynomial(points=29, sampling="random", seed=6),
    ]
    assert len({data.checksum() for data in made}) == len(made)
    assert made[0].checksum() == polynomial(points=29).checksum()
