"""MNIST and Fashion-MNIST: their files, and which of their samples are used."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from engine.data import Dataset, counts, load_data
from engine.data.base import Scaling
from engine.data.idx import IdxData
from engine.errors import InputError
from tests.support.image_files import TEST, TRAIN, idx, labels, pixels, write, write_idx

X, Y = pixels(23, 28, 28), labels(23, seed=3)
X_TEST, Y_TEST = pixels(11, 28, 28, seed=103), labels(11, seed=103)


def spec(path: Path | None = None, **keys: Any) -> IdxData:
    named = {"kind": "mnist", "path": None if path is None else str(path)}
    return IdxData(**(named | keys))


def load(path: Path | None = None, **keys: Any) -> Dataset:
    return load_data(spec(path, **keys))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "files")


# ---------------------------------------------------------------- what is read


def test_pixels_and_labels_are_those_of_the_files(folder: Path) -> None:
    data = load(folder)
    np.testing.assert_array_equal(data.x, X[:, None])
    np.testing.assert_array_equal(data.y, Y)
    np.testing.assert_array_equal(data.x_held_out, X_TEST[:, None])
    np.testing.assert_array_equal(data.y_held_out, Y_TEST)
    assert {data.x.dtype, data.x_held_out.dtype} == {np.dtype(np.uint8)}
    assert {data.y.dtype, data.y_held_out.dtype} == {np.dtype(np.int64)}
    assert (data.features, data.outputs, data.classes) == (784, 10, 10)
    assert isinstance(data.scaling, Scaling)
    assert (data.scaling.mean, data.scaling.std) == ((0.0,), (1.0,))


def test_torch_takes_the_arrays_as_they_are(folder: Path) -> None:
    """Without a copy, and without its warning of arrays that cannot be written to."""
    data = load(folder)
    for array in (data.x, data.y, data.x_held_out, data.y_held_out):
        assert torch.as_tensor(array).data_ptr() == array.ctypes.data


SPELLINGS = ["{}.gz", "dot", "dot.gz"]


def respelled(name: str, spelling: str) -> str:
    return spelling.replace("dot", name.replace("-idx", ".idx")).format(name)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_files_may_be_compressed_and_spelled_with_a_dot(
    spelling: str, folder: Path, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        write(tmp_path / "other" / respelled(path.name, spelling), path.read_bytes())
    assert load(tmp_path / "other").checksum() == load(folder).checksum()
    assert counts(spec(tmp_path / "other")) == (23, 11)


def test_a_name_may_be_wrong_about_compression(folder: Path) -> None:
    expected = load(folder).checksum()
    images = folder / TRAIN[0]
    images.rename(folder / f"{TRAIN[0]}.gz")
    assert load(folder).checksum() == expected
    images.write_bytes(gzip.compress((folder / f"{TRAIN[0]}.gz").read_bytes()))
    assert load(folder).checksum() == expected


@pytest.mark.parametrize(
    ("kind", "name"),
    [("mnist", "mnist"), ("fashion_mnist", "fashion_mnist"), ("fashion_mnist", "fashion-mnist")],
)
def test_without_a_path_files_are_looked_up_in_the_data_folder(
    kind: Literal["mnist", "fashion_mnist"],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path))
    write_idx(tmp_path / name)
    np.testing.assert_array_equal(load(kind=kind).y, Y)


def test_an_empty_folder_does_not_hide_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path))
    (tmp_path / "fashion_mnist").mkdir()
    write_idx(tmp_path / "fashion-mnist")
    assert len(load(kind="fashion_mnist").x) == 23


def test_a_relative_path_is_looked_up_here_and_then_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, library = tmp_path / "here", tmp_path / "library"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("DSS_TUI_DATA", str(library))
    write_idx(library / "own", samples=5)
    assert len(load(Path("own")).x) == 5
    write_idx(here / "own", samples=6)
    assert len(load(Path("own")).x) == 6


# ---------------------------------------------------------------- which samples are used


@pytest.mark.parametrize(
    ("keys", "train", "held_out"),
    [
        ({"limit": 9}, (0, 9), None),
        ({"limit": 900, "held_out_limit": 900}, (0, 23), None),
        ({"held_out": 0.3}, (0, 16), (16, 23)),
        ({"held_out": 0.3, "limit": 4, "held_out_limit": 3}, (0, 4), (16, 19)),
        ({"held_out": 0.3, "limit": 20}, (0, 16), (16, 23)),
        ({"held_out": 0.97}, (0, 1), (1, 23)),
    ],
    ids=str,
)
def test_limits_and_the_split_take_the_samples_they_promise(
    keys: dict[str, Any], train: tuple[int, int], held_out: tuple[int, int] | None, folder: Path
) -> None:
    data = load(folder, **keys)
    np.testing.assert_array_equal(data.x, X[slice(*train), None])
    np.testing.assert_array_equal(data.y, Y[slice(*train)])
    if held_out is None:
        np.testing.assert_array_equal(data.x_held_out, X_TEST[:, None])
    else:
        np.testing.assert_array_equal(data.x_held_out, X[slice(*held_out), None])
        np.testing.assert_array_equal(data.y_held_out, Y[slice(*held_out)])
    assert counts(spec(folder, **keys)) == (len(data.x), len(data.x_held_out))


def test_the_test_set_is_limited_from_its_beginning(folder: Path) -> None:
    data = load(folder, held_out_limit=4)
    np.testing.assert_array_equal(data.x_held_out, X_TEST[:4, None])
    np.testing.assert_array_equal(data.y_held_out, Y_TEST[:4])


def test_a_split_needs_no_test_set(folder: Path) -> None:
    for name in TEST:
        (folder / name).unlink()
    assert len(load(folder, held_out=0.3).x_held_out) == 7
    assert counts(spec(folder, held_out=0.3)) == (16, 7)
    assert "has no t10k-images-idx3-ubyte, plain or .gz; download it from " in refusal(folder)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_split_that_leaves_nothing_is_refused(share: float, folder: Path) -> None:
    expected = (
        f"problem.data.held_out: is {share:g}, which leaves none of 23 samples to hold out or none "
        "to train on; choose another share, or null for the test set"
    )
    for ask in (load_data, counts):
        with pytest.raises(InputError) as caught:
            ask(spec(folder, held_out=share))
        assert str(caught.value) == expected


# ---------------------------------------------------------------- scaling


@pytest.mark.parametrize("keys", [{}, {"limit": 9}, {"held_out": 0.3}], ids=str)
def test_standardized_pixels_have_mean_0_and_deviation_1(
    keys: dict[str, Any], folder: Path
) -> None:
    data = load(folder, standardize=True, **keys)
    assert isinstance(data.scaling, Scaling)
    wide = data.x.astype(np.float64) / 255
    assert data.scaling.mean == pytest.approx([wide.mean()], rel=1e-12)
    assert data.scaling.std == pytest.approx([wide.std()], rel=1e-12)
    assert data.checksum() != load(folder, **keys).checksum()


def test_pixels_that_are_all_the_same_are_divided_by_1(folder: Path) -> None:
    write(folder / TRAIN[0], idx(np.full((23, 28, 28), 51, np.uint8)))
    data = load(folder, standardize=True)
    assert isinstance(data.scaling, Scaling)
    assert data.scaling.mean == pytest.approx((0.2,), rel=1e-15)
    assert data.scaling.std == (1.0,)


def test_moments_are_taken_of_all_samples_of_a_large_set(tmp_path: Path) -> None:
    """More than are counted at a time, and different at the end from the beginning."""
    images = np.zeros((9000, 28, 28), np.uint8)
    images[8500:] = 255
    write_idx(tmp_path)
    write(tmp_path / TRAIN[0], idx(images))
    write(tmp_path / TRAIN[1], idx(labels(9000)))
    data = load(tmp_path, standardize=True)
    assert isinstance(data.scaling, Scaling)
    share = 500 / 9000
    assert data.scaling.mean == pytest.approx((share,), rel=1e-12)
    assert data.scaling.std == pytest.approx(((share * (1 - share)) ** 0.5,), rel=1e-12)


# ---------------------------------------------------------------- once a process


def test_data_are_loaded_once_until_a_file_changes(folder: Path) -> None:
    first = load(folder)
    assert load(folder) is first
    assert load(folder, limit=5) is not first
    assert load(folder) is first
    images = folder / TRAIN[0]
    images.write_bytes(idx(pixels(23, 28, 28, seed=8)))
    os.utime(images, ns=(1, 1))
    assert load(folder).checksum() != first.checksum()


def test_counts_read_headers_alone(folder: Path) -> None:
    images = folder / TRAIN[0]
    images.write_bytes(images.read_bytes()[:-784])
    assert counts(spec(folder)) == (23, 11)
    with pytest.raises(InputError):
        load(folder)


def test_files_of_another_number_of_samples_are_said_to_be_a_subset(folder: Path) -> None:
    assert spec(folder).caveat() == (
        "a subset of MNIST, 23 of 60000 training and 11 of 10000 test images: results are not "
        "comparable with the whole set's"
    )
    assert spec(folder, held_out=0.3, kind="fashion_mnist").caveat() == (
        "a subset of Fashion-MNIST, 23 of 60000 training images: results are not comparable with "
        "the whole set's"
    )
    for names, count in ((TRAIN, 60000), (TEST, 10001)):
        header = idx(np.zeros((0, 28, 28), np.uint8))
        write(folder / names[0], header[:4] + count.to_bytes(4, "big") + header[8:])
    remark = spec(folder).caveat()
    assert remark is not None
    assert remark.startswith("not the published MNIST, 60000 of 60000 training and 10001 of ")
    assert spec(folder, held_out=0.3).caveat() is None


# ---------------------------------------------------------------- what is refused


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


AGAIN = "download it again from https://ossci-datasets.s3.amazonaws.com/mnist/"
WHOLE = idx(X)
PACKED = gzip.compress(WHOLE)

DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "empty": (TRAIN[0], b"", "holds 0 bytes, less than the header of an IDX file; " + AGAIN),
    "cut header": (TRAIN[0], WHOLE[:15], "holds 15 bytes, less than the header of an IDX file; "),
    "cut": (
        TRAIN[0],
        WHOLE[:-1],
        f"holds {len(WHOLE) - 1} bytes, but its header promises 23 samples in {len(WHOLE)} bytes; "
        + AGAIN,
    ),
    "too long": (TRAIN[0], WHOLE + b"\0", f"holds {len(WHOLE) + 1} bytes, but its header promises"),
    "cut gzip": (TRAIN[0], PACKED[:-100], "its gzip data end too early; " + AGAIN),
    "cut gzip header": (TRAIN[0], PACKED[:3], "its gzip data end too early; " + AGAIN),
    "changed gzip": (
        TRAIN[0],
        PACKED[:5000] + bytes([PACKED[5000] ^ 0x55]) + PACKED[5001:],
        "its gzip data are damaged; " + AGAIN,
    ),
    "other magic": (
        TRAIN[0],
        b"<!DOCTYPE html><html>",
        "begins with 0x3c21444f, but an IDX file of images with 0x00000803; " + AGAIN,
    ),
    "labels as images": (
        TRAIN[0],
        idx(labels(23)),
        "begins with 0x00000801, but an IDX file of images with 0x00000803; ",
    ),
    "images as labels": (
        TRAIN[1],
        WHOLE,
        "begins with 0x00000803, but an IDX file of labels with 0x00000801; ",
    ),
    "other type": (
        TEST[0],
        b"\0\0\x0d\x03" + WHOLE[4:],
        "begins with 0x00000d03, but an IDX file of images with 0x00000803; ",
    ),
    "other shape": (
        TRAIN[0],
        idx(pixels(23, 27, 29)),
        "holds images of 27 × 29 pixels, but those of MNIST have 28 × 28; " + AGAIN,
    ),
    "no samples": (TRAIN[0], idx(X[:0]), "holds no samples; " + AGAIN),
    "giant": (
        TRAIN[0],
        WHOLE[:4] + b"\xff" * 4 + WHOLE[8:],
        f"holds {len(WHOLE)} bytes, but its header promises 4294967295 samples in ",
    ),
    "label": (
        TRAIN[1],
        idx(np.array([3] * 20 + [10, 200, 3], np.uint8)),
        "the label of sample 20 is 10, but MNIST has labels from 0 to 9; " + AGAIN,
    ),
    "fewer labels": (
        TRAIN[1],
        idx(labels(22)),
        "holds 23 images, but train-labels-idx1-ubyte beside it holds 22 labels; take both from "
        "the same data set",
    ),
    "more test labels": (
        TEST[1],
        idx(labels(23)),
        "holds 11 images, but t10k-labels-idx1-ubyte beside it holds 23 labels; ",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_refused(case: str, folder: Path) -> None:
    name, content, sentence = DAMAGED[case]
    (folder / name).write_bytes(content)
    blamed = name.replace("labels-idx1", "images-idx3") if "beside it" in sentence else name
    assert refusal(folder).startswith(f"{folder / blamed}: {sentence}")


def test_a_folder_in_place_of_a_file_is_no_file(folder: Path) -> None:
    (folder / TRAIN[1]).unlink()
    (folder / TRAIN[1]).mkdir()
    assert refusal(folder) == (
        f"{folder}: has no train-labels-idx1-ubyte, plain or .gz; download it from "
        "https://ossci-datasets.s3.amazonaws.com/mnist/"
    )


FILES = ", ".join((*TRAIN, *TEST))


def test_missing_files_say_where_they_were_looked_for_and_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(**keys: Any) -> str:
        with pytest.raises(InputError) as caught:
            load(**keys)
        with pytest.raises(InputError) as also:
            counts(spec(**keys))
        assert str(caught.value) == str(also.value)
        return str(caught.value)

    fashion = "https://github.com/zalandoresearch/fashion-mnist"
    assert said(kind="fashion_mnist") == (
        f"problem.data.path: is null, but $DSS_TUI_DATA is not set; download {FILES} from "
        f"{fashion} into a folder fashion_mnist, and set DSS_TUI_DATA to the folder around it"
    )
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path))
    assert said(kind="fashion_mnist") == (
        f"problem.data.path: no file of Fashion-MNIST is in {tmp_path / 'fashion_mnist'} nor in "
        f"{tmp_path / 'fashion-mnist'}; download {FILES} from {fashion} into one of them"
    )
    assert said() == (
        f"problem.data.path: no file of MNIST is in {tmp_path / 'mnist'}; download {FILES} from "
        "http://yann.lecun.com/exdb/mnist/ or https://ossci-datasets.s3.amazonaws.com/mnist/ "
        "into it"
    )
    assert said(path=tmp_path / "gone").endswith(" into it, or correct problem.data.path")
