"""A user's own arrays."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.data.base import Scaling
from engine.errors import InputError
from tests.support.arrays import SAMPLES, classes_of, load, ours, stored, x_of


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


NO_ARCHIVE = "is not a readable .npz archive ("


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
    assert refusal(path).startswith(NO_ARCHIVE)
    assert refusal(path).endswith("; save it with numpy.savez")


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


# ---------------------------------------------------------------- what the numbers mean


def test_pixels_tokens_and_values_keep_their_shape(tmp_path: Path) -> None:
    images = np.arange(SAMPLES * 12, dtype=np.uint8).reshape(SAMPLES, 3, 2, 2)
    path = stored(tmp_path, **ours(x=images, mean=np.array([0.1, 0.2, 0.3]), std=np.ones(3)))
    pixels = load(path, inputs="pixels")
    assert pixels.reads == "pixels" and pixels.x.dtype == np.uint8
    assert pixels.x.shape[1:] == (3, 2, 2)
    assert isinstance(pixels.scaling, Scaling) and pixels.scaling.mean == (0.1, 0.2, 0.3)
    tokens = load(path, inputs="tokens")
    assert (tokens.reads, tokens.scaling) == ("tokens", None)
    values = load(path, inputs="values")
    assert values.reads == "values" and values.x.dtype == np.float32
    assert values.x.shape[1:] == (3, 2, 2)
    assert load(path).x.shape[1:] == (12,)


def test_large_whole_numbers_do_not_become_values_in_silence(tmp_path: Path) -> None:
    numbers = 2**24 + np.arange(2 * SAMPLES).reshape(SAMPLES, 2)
    path = stored(tmp_path, **ours(x=numbers))
    assert refusal(path).startswith("x holds whole numbers beyond 16777216, which float32 does not")
    found = load(path, inputs="tokens")
    together = np.concatenate([found.x, found.x_held_out])
    np.testing.assert_array_equal(np.sort(together, 0), numbers)


def test_targets_may_be_values_or_classes(tmp_path: Path) -> None:
    path = stored(tmp_path, **ours(y=np.arange(2 * SAMPLES).reshape(SAMPLES, 2) % 4))
    assert load(path).classes is None
    assert load(path, targets="classes").classes == 4
    path = stored(tmp_path, **ours(classes=np.array(9)))
    assert (load(path).classes, load(path, targets="values").classes) == (9, None)


@pytest.mark.parametrize(
    ("keys", "changes", "words"),
    [
        ({"inputs": "pixels"}, {}, "is pixels, but .* holds x of float64; save uint8, or choose"),
        ({"inputs": "tokens"}, {}, "is tokens, but .* holds x of float64; save whole numbers, or"),
        (
            {"targets": "classes"},
            {"y": x_of()},
            "is classes, but .* holds y of float64; save whole",
        ),
        ({}, {"classes": np.array(2)}, "classes is 2, but y holds class [0-9]; save the number"),
        (
            {"inputs": "pixels"},
            {"x": np.zeros((SAMPLES, 3, 1, 1), np.uint8), "mean": np.zeros(2)},
            "mean and std must both hold a finite number for each channel of x",
        ),
    ],
)
def test_what_keys_and_arrays_say_must_agree(
    keys: dict[str, Any], changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        load(stored(tmp_path, **ours(**changes)), **keys)
