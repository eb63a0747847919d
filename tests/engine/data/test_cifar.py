"""CIFAR-10: its batches in order, its planes of colour, and subsets that say so."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.data import Dataset, counts, load_data
from engine.data.base import ByImage, Scaling
from engine.data.cifar import Cifar10Data, Cifar100Data
from engine.errors import InputError
from tests.support.image_files import labels, pixels, records, write, write_cifar10

RECORD = 3073
SHAPE = (3, 32, 32)
X = np.concatenate([pixels(13, *SHAPE, seed=3), pixels(15, *SHAPE, seed=4)])
Y = np.concatenate([labels(13, seed=3), labels(15, seed=4)])
X_TEST, Y_TEST = pixels(7, *SHAPE, seed=5), labels(7, seed=5)


def spec(path: Path | None = None, **keys: Any) -> Cifar10Data:
    return Cifar10Data(kind="cifar10", path=None if path is None else str(path), **keys)


def load(path: Path | None = None, **keys: Any) -> Dataset:
    return load_data(spec(path, **keys))


def batch(samples: int, seed: int) -> bytes:
    return records(pixels(samples, *SHAPE, seed=seed), labels(samples, seed=seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_cifar10(tmp_path / "files")


# ---------------------------------------------------------------- what is read


def test_pixels_and_labels_are_those_of_the_batches(folder: Path) -> None:
    data = load(folder)
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)
    np.testing.assert_array_equal(data.x_held_out, X_TEST)
    np.testing.assert_array_equal(data.y_held_out, Y_TEST)
    assert {data.x.dtype, data.x_held_out.dtype} == {np.dtype(np.uint8)}
    assert {data.y.dtype, data.y_held_out.dtype} == {np.dtype(np.int64)}
    assert (data.features, data.outputs, data.classes) == (3072, 10, 10)
    assert data.x.flags.c_contiguous and data.x.flags.writeable
    assert counts(spec(folder)) == (28, 7)


def test_planes_are_red_green_and_blue_row_by_row(tmp_path: Path) -> None:
    """A record written out by hand: 1024 bytes of each colour, rows of 32."""
    record = bytearray(RECORD)
    record[0] = 6
    record[1 + 2 * 32 + 5] = 201  # red, row 2, column 5
    record[1 + 1024 + 31 * 32] = 202  # green, row 31, column 0
    record[1 + 2048 + 31] = 203  # blue, row 0, column 31
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / name).write_bytes(record)
    data = load(tmp_path)
    expected = np.zeros((1, *SHAPE), np.uint8)
    expected[0, 0, 2, 5], expected[0, 1, 31, 0], expected[0, 2, 0, 31] = 201, 202, 203
    np.testing.assert_array_equal(data.x, expected)
    assert data.y.tolist() == [6]


def test_compressed_batches_hold_the_same(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        write(tmp_path / "other" / f"{path.name}.gz", path.read_bytes())
    assert load(tmp_path / "other").checksum() == load(folder).checksum()
    assert counts(spec(tmp_path / "other")) == (28, 7)


def test_batches_go_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    sizes = {1: 2, 2: 3, 3: 1, 10: 4}
    for number, samples in sizes.items():
        write(tmp_path / f"data_batch_{number}.bin", batch(samples, seed=number))
    write(tmp_path / "test_batch.bin", batch(2, seed=50))
    expected = np.concatenate([labels(samples, seed=n) for n, samples in sizes.items()])
    np.testing.assert_array_equal(load(tmp_path).y, expected)


def test_parts_of_batches_are_read_under_any_name(tmp_path: Path) -> None:
    write(tmp_path / "data_batch_1.first5.bin.gz", batch(5, seed=6))
    write(tmp_path / "data_batch_mine.bin", batch(3, seed=7))
    write(tmp_path / "test_batch_small.bin", batch(2, seed=8))
    write(tmp_path / "data_batch_2", batch(9, seed=9))  # of the version for Python: no .bin
    (tmp_path / "batches.meta.txt").write_text("airplane\n")
    data = load(tmp_path)
    assert (len(data.x), len(data.x_held_out)) == (8, 2)
    np.testing.assert_array_equal(data.y[:5], labels(5, seed=6))


def test_a_batch_that_lies_there_twice_is_read_once(folder: Path) -> None:
    expected = load(folder).checksum()
    write(folder / "data_batch_1.bin.gz", batch(4, seed=6))
    write(folder / "data_batch_1.first4.bin", batch(4, seed=6))
    write(folder / "data_batch_2_first4.bin.gz", batch(4, seed=6))
    assert load(folder).checksum() == expected


def test_two_parts_of_a_batch_are_refused(folder: Path) -> None:
    (folder / "data_batch_1.bin").rename(folder / "data_batch_1.first13.bin")
    write(folder / "data_batch_1.first4.bin.gz", batch(4, seed=6))
    assert refusal(folder) == (
        f"{folder}: holds data_batch_1.first13.bin and data_batch_1.first4.bin.gz, which may share "
        "samples; leave one of them there"
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar-10-batches-bin"])
def test_without_a_path_batches_are_looked_up_in_the_data_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path))
    write_cifar10(tmp_path / name)
    np.testing.assert_array_equal(load().y, Y)


# ---------------------------------------------------------------- which samples are used


@pytest.mark.parametrize(
    ("keys", "train", "held_out"),
    [
        ({"limit": 14}, (0, 14), None),
        ({"held_out": 0.25}, (0, 21), (21, 28)),
        ({"held_out": 0.25, "limit": 6, "held_out_limit": 2}, (0, 6), (21, 23)),
    ],
    ids=str,
)
def test_limits_and_the_split_take_the_samples_they_promise(
    keys: dict[str, Any], train: tuple[int, int], held_out: tuple[int, int] | None, folder: Path
) -> None:
    data = load(folder, **keys)
    np.testing.assert_array_equal(data.x, X[slice(*train)])
    np.testing.assert_array_equal(data.y, Y[slice(*train)])
    expected = X_TEST if held_out is None else X[slice(*held_out)]
    np.testing.assert_array_equal(data.x_held_out, expected)
    assert counts(spec(folder, **keys)) == (len(data.x), len(data.x_held_out))


def test_a_split_needs_no_test_batch(folder: Path) -> None:
    (folder / "test_batch.bin").unlink()
    assert counts(spec(folder, held_out=0.25)) == (21, 7)
    assert len(load(folder, held_out=0.25).x) == 21
    assert refusal(folder).startswith(f"{folder}: has no test_batch*.bin, plain or .gz; download ")


def test_each_channel_is_standardized_by_itself(tmp_path: Path) -> None:
    x = pixels(13, *SHAPE) // np.array([1, 2, 5], np.uint8)[:, None, None]
    for name in ("data_batch_1.bin", "test_batch.bin"):
        write(tmp_path / name, records(x, labels(13)))
    scaling = load(tmp_path, standardize=True, limit=11).scaling
    assert isinstance(scaling, Scaling)
    wide = x[:11].astype(np.float64) / 255
    assert scaling.mean == pytest.approx(wide.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert scaling.std == pytest.approx(wide.std((0, 2, 3)).tolist(), rel=1e-12)


# ---------------------------------------------------------------- subsets


def test_a_subset_says_so(folder: Path) -> None:
    assert spec(folder).caveat() == (
        "a subset of CIFAR-10, 28 of 50000 training and 7 of 10000 test images: results are not "
        "comparable with the whole set's"
    )


def test_the_whole_set_has_nothing_to_say(tmp_path: Path) -> None:
    """Known from the sizes of files, here without content."""
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        with open(tmp_path / f"{name}.bin", "wb") as file:
            file.truncate(10000 * RECORD)
    assert spec(tmp_path).caveat() is None
    assert counts(spec(tmp_path, held_out=0.1, limit=30000)) == (30000, 5000)
    (tmp_path / "data_batch_4.bin").unlink()
    remark = spec(tmp_path).caveat()
    assert remark is not None
    assert remark.startswith("a subset of CIFAR-10, 40000 of 50000 training and 10000 of 10000 ")


@pytest.mark.parametrize("parts", [(13,), (5, 8), (12, 1), (1, 12)], ids=str)
def test_counts_of_compressed_batches_are_those_that_are_loaded(
    parts: tuple[int, ...], folder: Path
) -> None:
    """Also of gzip data in several parts, which is a valid file."""
    content = (folder / "data_batch_1.bin").read_bytes()
    ends = np.cumsum((0, *parts)) * RECORD
    packed = b"".join(gzip.compress(content[a:b]) for a, b in pairwise(ends))
    (folder / "data_batch_1.bin").unlink()
    (folder / "data_batch_1.bin.gz").write_bytes(packed)
    assert counts(spec(folder)) == (28, 7)
    np.testing.assert_array_equal(load(folder).y, Y)


def test_counts_do_not_take_a_part_of_a_record_for_the_end(folder: Path) -> None:
    """Content so even that its size says nothing of that of the parts."""
    content, cut = bytes(13 * RECORD), 5 * RECORD + 10
    (folder / "data_batch_1.bin").unlink()
    packed = gzip.compress(content[:cut]) + gzip.compress(content[cut:])
    (folder / "data_batch_1.bin.gz").write_bytes(packed)
    assert counts(spec(folder)) == (len(load(folder).x), 7) == (28, 7)


# ---------------------------------------------------------------- what is refused


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


AGAIN = "download it again from https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
WHOLE = batch(13, seed=3)
PACKED = gzip.compress(WHOLE)

DAMAGED = {
    "cut": (WHOLE[:-1], f"holds {13 * RECORD - 1} bytes, which is no multiple of the 3073 of a "),
    "empty": (b"", f"holds no records; {AGAIN}"),
    "cut gzip": (PACKED[:-50], f"its gzip data end too early; {AGAIN}"),
    "cut gzip header": (PACKED[:2], f"its gzip data end too early; {AGAIN}"),
    "changed gzip": (PACKED[:20000] + b"\x55\xaa" * 50 + PACKED[20100:], "its gzip data are dam"),
    "cut in gzip": (gzip.compress(WHOLE[:-1]), f"holds {13 * RECORD - 1} bytes, which is no mul"),
    "label": (
        WHOLE[: 4 * RECORD] + b"\x0b" + WHOLE[4 * RECORD + 1 :],
        f"the label of sample 4 is 11, but CIFAR-10 has labels from 0 to 9; {AGAIN}",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("name", ["data_batch_2.bin", "test_batch.bin"])
def test_damaged_batches_are_refused(case: str, name: str, folder: Path) -> None:
    content, sentence = DAMAGED[case]
    (folder / name).write_bytes(content)
    assert refusal(folder).startswith(f"{folder / name}: {sentence}")


@pytest.mark.parametrize("case", ["cut", "empty", "cut gzip", "cut gzip header", "cut in gzip"])
def test_sizes_that_no_records_have_are_refused_by_counts_too(case: str, folder: Path) -> None:
    content, sentence = DAMAGED[case]
    (folder / "data_batch_1.bin").write_bytes(content)
    with pytest.raises(InputError) as caught:
        counts(spec(folder))
    assert str(caught.value).startswith(f"{folder / 'data_batch_1.bin'}: {sentence}")


def test_missing_batches_say_where_they_were_looked_for_and_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSS_TUI_DATA", str(tmp_path))
    with pytest.raises(InputError) as caught:
        load()
    names = ", ".join(f"data_batch_{number}.bin" for number in range(1, 6))
    assert str(caught.value) == (
        f"problem.data.path: no file of CIFAR-10 is in {tmp_path / 'cifar10'} nor in "
        f"{tmp_path / 'cifar-10-batches-bin'} nor in {tmp_path / 'cifar-10-batches-py'} nor in "
        f"{tmp_path}; download {names}, test_batch.bin from "
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz into one of them"
    )
    write(tmp_path / "cifar10" / "test_batch.bin", WHOLE)
    assert refusal(tmp_path / "cifar10").startswith(
        f"{tmp_path / 'cifar10'}: has no data_batch_*.bin, plain or .gz; download data_batch_1.bin"
    )


# ---------------------------------------------------------------- what networks are shown


def test_a_crop_and_images_scaled_by_themselves_are_part_of_the_data(folder: Path) -> None:
    whole, cut = load(folder), load(folder, crop=24, standardize="image")
    assert (whole.features, cut.features) == (3 * 32 * 32, 3 * 24 * 24)
    assert cut.x.shape == whole.x.shape  # steps may cut other squares out
    assert cut.scaling == ByImage()
    sums = {load(folder, **keys).checksum() for keys in ({"crop": 24}, {"crop": 22}, {})}
    assert len(sums | {cut.checksum()}) == 4
    assert whole.checksum() == load(folder).checksum()


def test_a_crop_larger_than_the_images_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"problem\.data\.crop: is 33, but the images have 32"):
        load(folder, crop=33)


# ---------------------------------------------------------------- pickles and tars


def pickled(samples: int, seed: int, names: tuple[str, ...] = ("labels",)) -> bytes:
    """A batch as the version for Python holds it, in Python 2's form: text is bytes there."""
    x, y = pixels(samples, *SHAPE, seed=seed), labels(samples, seed=seed)
    held = {b"batch_label": b"one of some", b"data": x.reshape(samples, -1)}
    for number, name in enumerate(names):
        held[name.encode()] = [
            int(label) // (5 if number == 0 and len(names) > 1 else 1) for label in y
        ]
    return pickle.dumps(held, protocol=2)


def batches(write_one: Callable[[int, int], bytes], ending: str) -> dict[str, bytes]:
    """The batches of `folder`, by name."""
    sizes = {"data_batch_1": (13, 3), "data_batch_2": (15, 4), "test_batch": (7, 5)}
    return {name + ending: write_one(*at) for name, at in sizes.items()}


def into_tar(path: Path, inside: str, content: dict[str, bytes], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in ["readme.html", *content]:
            member = tarfile.TarInfo(f"{inside}/{name}")
            held = content.get(name, b"<html>")
            member.size = len(held)
            archive.addfile(member, io.BytesIO(held))
    return path


@pytest.fixture(params=["pickles", "folder of pickles", "tar of pickles", "tar of records", "tar"])
def other_form(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The samples of `folder` as they may have been downloaded or unpacked."""
    held, place = batches(pickled, ""), tmp_path / "other"
    match request.param:
        case "pickles" | "folder of pickles":
            inside = place if request.param == "pickles" else place / "cifar-10-batches-py"
            for name, content in held.items():
                write(inside / name, content)
            return place
        case "tar of pickles":
            into_tar(place / "cifar-10-python.tar.gz", "cifar-10-batches-py", held)
            return place
        case "tar of records":
            into_tar(
                place / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", batches(batch, ".bin")
            )
            return place
        case _:
            return into_tar(place / "mine.tar", "./cifar-10-batches-py", held, "w")


def test_all_published_forms_hold_the_same(other_form: Path, folder: Path) -> None:
    assert counts(spec(other_form)) == (28, 7)
    data = load(other_form)
    assert data.checksum() == load(folder).checksum()
    np.testing.assert_array_equal(data.x_held_out, X_TEST)
    np.testing.assert_array_equal(data.y_held_out, Y_TEST)
    assert all(path.is_file() for path in spec(other_form).files())


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_that_were_written_again_are_read(protocol: int, tmp_path: Path) -> None:
    x, y = pixels(4, *SHAPE, seed=3), labels(4, seed=3)
    held = {"data": x.reshape(4, -1), "labels": y.astype(np.int64), "filenames": ["a"] * 4}
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(pickle.dumps(held, protocol))
    data = load(tmp_path)
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.y, y)


class Runs:
    def __reduce__(self) -> Any:
        return Path.write_text, (Path("ran"), "it did")


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"data": Runs(), "labels": [1]}, "ValueError: data is no array of bytes"),
        ({"data": np.zeros((1, 3072)), "labels": [1]}, "ValueError: is no array of whole numbers"),
        ({"data": np.zeros((1, 3072), object), "labels": [1]}, "ValueError: is no plain array"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "ValueError: data is (2, 3072) f"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "KeyError: 'labels'"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [Runs()]}, "TypeError: "),
        ([1, 2], "ValueError: holds no dictionary"),
    ],
    ids=["code", "values", "objects", "other number", "no labels", "labels", "list"],
)
def test_pickles_run_nothing_and_must_hold_a_batch(
    held: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "files" / "test_batch", pickled(2, 1))
    path = write(tmp_path / "files" / "data_batch_1", pickle.dumps(held))
    assert refusal(tmp_path / "files").startswith(f"{path}: is no batch of CIFAR-10 ({words}")
    assert not (tmp_path / "ran").exists()


def test_labels_of_pickles_are_checked(tmp_path: Path) -> None:
    held = {"data": np.zeros((2, 3072), np.uint8), "labels": [3, -1]}
    write(tmp_path / "test_batch", pickled(2, 1))
    path = write(tmp_path / "data_batch_1", pickle.dumps(held))
    assert refusal(tmp_path).startswith(f"{path}: the label of sample 1 is -1, but CIFAR-10 has")


def test_damaged_tars_and_pickles_are_refused(tmp_path: Path) -> None:
    tar = into_tar(tmp_path / "cifar-10-python.tar.gz", "a", batches(pickled, ""))
    whole = tar.read_bytes()
    tar.write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path).startswith(f"{tar}: its gzip data end too early; download it again")
    tar.write_bytes(b"no tar at all" * 100)
    assert refusal(tmp_path).startswith(f"{tar}: is no whole tar; download it again from ")
    tar.unlink()
    write(tmp_path / "test_batch", pickled(2, 1))
    path = write(tmp_path / "data_batch_1", pickled(2, 1)[:-50])
    assert refusal(tmp_path).startswith(f"{path}: is no batch of CIFAR-10 (ValueError: is no whole")


# ---------------------------------------------------------------- CIFAR-100


def hundred(path: Path, **keys: Any) -> Dataset:
    return load_data(Cifar100Data(kind="cifar100", path=str(path), **keys))


@pytest.mark.parametrize("form", ["records", "pickles"])
def test_cifar100_has_fine_and_coarse_labels(form: str, tmp_path: Path) -> None:
    for name, count, seed in (("train", 13, 3), ("test", 7, 5)):
        x, y = pixels(count, *SHAPE, seed=seed), labels(count, seed=seed)
        if form == "records":
            coarse = zip(y // 5, y, x, strict=True)
            content = b"".join(bytes([a, b]) + image.tobytes() for a, b, image in coarse)
            write(tmp_path / f"{name}.bin", content)
        else:
            write(tmp_path / name, pickled(count, seed, ("coarse_labels", "fine_labels")))
    fine, coarse_data = hundred(tmp_path), hundred(tmp_path, label="coarse")
    np.testing.assert_array_equal(fine.x, X[:13])
    np.testing.assert_array_equal(fine.y, Y[:13])
    np.testing.assert_array_equal(coarse_data.y, Y[:13] // 5)
    np.testing.assert_array_equal(fine.x_held_out, X_TEST)
    assert (fine.classes, coarse_data.classes) == (100, 20)
    assert counts(Cifar100Data(kind="cifar100", path=str(tmp_path))) == (13, 7)


def test_cifar100_is_missing_in_words(tmp_path: Path) -> None:
    write(tmp_path / "test.bin", bytes(3074))
    with pytest.raises(InputError) as caught:
        hundred(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: has no train.bin, plain or .gz; download train.bin, test.bin from "
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    )
