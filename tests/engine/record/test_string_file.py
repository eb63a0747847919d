"""String files: what is promised to readers, and what is refused from writers."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
import zipfile
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.typing import NDArray

from engine.data import room
from engine.errors import InputError
from engine.problem.problem import build_problem
from engine.record import string_file
from engine.record.events import dump_json
from engine.record.geometry import BeadString
from engine.record.string_file import Header, StringFile
from engine.record.tensor_file import Pieced, Stacked
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.string_files import encode
from tests.support.workers import vmapped

ENDINGS = [".safetensors", ".npz", ".pt"]
EVERY_ENDING = pytest.mark.parametrize("ending", ENDINGS)

PROBLEM = validated(
    ProblemSpec,
    {
        "data": {"kind": "polynomial", "coefficients": [0.3, -0.8, 1.4], "points": 9},
        "network": {"kind": "mlp", "sizes": [1, 3, 1], "activation": "tanh"},
        "loss": "mse",
    },
)
HEADER = Header(
    outcome="not_connected",
    level=0.03,
    alpha=0.7,
    method="greedy",
    seed=5,
    problem=PROBLEM,
    parameters=(("in.weight", (3, 1)), ("in.bias", (3,)), ("out.weight", (1, 3)), ("b", (1,))),
    data_sha256="c0ffee",
    bead_ids=(4, 9, 2, 7),
    elapsed_s=3.25,
    audit={"precision": "float64", "points": 330},
    tolerance=0.07,
)
BEADS, POINTS, PARAMS = 4, 6, 10

Arrays = dict[str, NDArray[Any]]


def random(*shape: int, seed: int = 8) -> NDArray[np.float64]:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def arrays() -> Arrays:
    return {
        "beads": random(BEADS, PARAMS).astype(np.float32),
        "losses": random(BEADS) ** 2,
        "t": np.linspace(0.0, 1.0, POINTS),
        "profiles": random(BEADS - 1, POINTS) ** 2,
    }


def samples() -> Arrays:
    x = random(9, 2).astype(np.float32)
    return {"data.x": x, "data.y": np.array([3, 1, 4, 1, 5, 2, 6, 5, 3])}


def string_of(held: Arrays) -> BeadString:
    return BeadString(held["beads"], held["losses"], held["t"], held["profiles"])


def tree(**changes: object) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(HEADER.to_tree()))
    return plain | changes


def store(path: Path, held: Arrays, header: object) -> Path:
    """A file made without the engine's writers; header None leaves `dss` out."""
    if header is not None and not isinstance(header, str):
        header = json.dumps(header)
    if path.suffix == ".npz":
        extra = {} if header is None else {"dss": np.array(header)}
        np.savez(path, **held, **extra)  # type: ignore[arg-type]
    elif path.suffix == ".pt":
        tensors = {name: torch.from_numpy(array) for name, array in held.items()}
        torch.save(tensors if header is None else tensors | {"dss": header}, path)
    else:
        metadata = None if header is None else {"dss": str(header)}
        safetensors.numpy.save_file(held, path, metadata=metadata)
    return path


def refusal(path: Path) -> str:
    """The one-line sentence, which starts with the file's name."""
    with pytest.raises(InputError) as caught:
        string_file.read(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path}: ")


def measured_string() -> StringFile:
    """Random beads, measured by the engine in float32, with their samples."""
    problem = build_problem(PROBLEM)
    beads = torch.from_numpy(random(BEADS, problem.parameter_count).astype(np.float32))
    t = torch.linspace(0.0, 1.0, POINTS)[:, None]
    profiles = [vmapped(problem).losses(torch.lerp(a, b, t)).numpy() for a, b in pairwise(beads)]
    string = BeadString(
        beads.numpy(),
        vmapped(problem).losses(beads).numpy(),
        np.linspace(0.0, 1.0, POINTS),
        np.array(profiles),
    )
    header = replace(HEADER, parameters=tuple((p.name, p.shape) for p in problem.parameters))
    return StringFile(header, string, (problem.train.x.numpy(), problem.train.y.numpy()))


# ---------------------------------------------------------------- there and back


@EVERY_ENDING
@pytest.mark.parametrize("with_data", [False, True], ids=["alone", "with data"])
def test_a_string_comes_back(ending: str, with_data: bool, tmp_path: Path) -> None:
    held, data = arrays(), samples()
    file = StringFile(
        HEADER, string_of(held), (data["data.x"], data["data.y"]) if with_data else None
    )
    path = tmp_path / f"string{ending}"
    path.write_bytes(encode(file, ending))
    back = string_file.read(path)
    assert back.header == HEADER
    for name, array in held.items():
        read = getattr(back.string, name)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
    assert (back.data is not None) is with_data
    for read, array in zip(back.data or (), data.values(), strict=False):
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@EVERY_ENDING
def test_samples_that_are_made_in_pieces_are_written_as_others_are(
    ending: str, tmp_path: Path
) -> None:
    held, data = arrays(), samples()
    made = [
        cast("NDArray[Any]", Pieced(9, each.shape[1:], each.dtype, each.__getitem__))
        for each in data.values()
    ]
    path = tmp_path / f"string{ending}"
    string_file.write(StringFile(HEADER, string_of(held), (made[0], made[1])), path)
    back = string_file.read(path)
    for read, array in zip(back.data or (), data.values(), strict=True):
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@EVERY_ENDING
def test_large_beads_that_lie_apart_are_not_held_again_in_memory(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beads of 4 MiB together are written, and at no time more than a fourth of that is held."""
    monkeypatch.setattr(room, "IN_MEMORY", 2**20)
    params, path = 2**18, tmp_path / f"string{ending}"
    beads = list(random(4, params).astype(np.float32))
    apart = cast("NDArray[Any]", Stacked(beads))
    held = arrays() | {"beads": apart, "losses": random(4), "profiles": random(3, POINTS)}
    file = StringFile(replace(HEADER, parameters=(("all", (params,)),)), string_of(held))
    string_file.write(file, tmp_path / f"warm{ending}")  # imports what it needs
    tracemalloc.start()
    try:
        string_file.write(file, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    whole = tmp_path / f"whole{ending}"
    string_file.write(replace(file, string=string_of(held | {"beads": np.stack(beads)})), whole)
    assert path.read_bytes() == whole.read_bytes()


def test_an_archive_is_what_numpy_writes(tmp_path: Path) -> None:
    held = arrays()
    content = encode(StringFile(HEADER, string_of(held)), ".npz")
    np.savez(tmp_path / "theirs.npz", **held, dss=np.array(dump_json(HEADER.to_tree())))  # type: ignore[arg-type]
    with zipfile.ZipFile(BytesIO(content)) as ours, zipfile.ZipFile(tmp_path / "theirs.npz") as his:
        assert ours.namelist() == his.namelist()
        for name in ours.namelist():
            assert ours.read(name) == his.read(name)


@EVERY_ENDING
def test_a_file_by_other_hands_is_read(ending: str, tmp_path: Path) -> None:
    held = arrays()
    back = string_file.read(store(tmp_path / f"s{ending}", held | samples(), tree()))
    assert back.header == HEADER
    np.testing.assert_array_equal(back.string.profiles, held["profiles"])
    assert back.data is not None


@EVERY_ENDING
def test_what_is_not_promised_may_be_missing(ending: str, tmp_path: Path) -> None:
    header = tree()
    for name in ("data_sha256", "bead_ids", "elapsed_s", "audit", "tolerance"):
        del header[name]
    back = string_file.read(store(tmp_path / f"s{ending}", arrays(), header)).header
    left_out = replace(HEADER, data_sha256="", bead_ids=(), elapsed_s=0.0, audit={}, tolerance=0.0)
    assert back == left_out


def test_tensors_have_the_promised_types_whatever_came_in() -> None:
    held = arrays()
    rounded = {name: array.astype(np.float32) for name, array in held.items()}
    odd = string_of(rounded | {"beads": np.asfortranarray(held["beads"].astype(">f8"))})
    raw = safetensors.numpy.load(encode(StringFile(HEADER, odd), ".safetensors"))
    assert {name: array.dtype.str for name, array in raw.items()} == {
        "beads": "<f4",
        "losses": "<f8",
        "t": "<f8",
        "profiles": "<f8",
    }
    np.testing.assert_array_equal(raw["beads"], held["beads"])
    np.testing.assert_array_equal(raw["profiles"], rounded["profiles"])


def test_the_metadata_are_the_promised_json() -> None:
    content = encode(StringFile(HEADER, string_of(arrays())), ".npz")
    with np.load(BytesIO(content), allow_pickle=False) as held:
        written = json.loads(str(held["dss"]))
    assert (
        written.items()
        >= {
            "format": "dss-string",
            "version": 1,
            "outcome": "not_connected",
            "level": 0.03,
            "tolerance": 0.07,
            "alpha": 0.7,
            "method": "greedy",
            "seed": 5,
            "problem": PROBLEM.model_dump(mode="json"),
            "parameters": [
                {"name": "in.weight", "shape": [3, 1]},
                {"name": "in.bias", "shape": [3]},
                {"name": "out.weight", "shape": [1, 3]},
                {"name": "b", "shape": [1]},
            ],
        }.items()
    )


def test_ten_lines_of_numpy_reproduce_every_loss(tmp_path: Path) -> None:
    path = tmp_path / "string.npz"
    path.write_bytes(encode(measured_string(), ".npz"))

    with np.load(path) as held:
        file = dict(held)
    parameters = json.loads(str(file["dss"]))["parameters"]
    beads, t = file["beads"].astype(np.float64), file["t"][:, None]

    def loss(bead: NDArray[Any]) -> float:
        parts = np.split(bead, np.cumsum([np.prod(p["shape"]) for p in parameters])[:-1])
        w1, b1, w2, b2 = (v.reshape(p["shape"]) for v, p in zip(parts, parameters, strict=True))
        output = np.tanh(file["data.x"] @ w1.T + b1) @ w2.T + b2
        return float(np.mean((output - file["data.y"]) ** 2))

    losses = [loss(bead) for bead in beads]
    profiles = [[loss(w) for w in (1 - t) * a + t * b] for a, b in pairwise(beads)]

    np.testing.assert_allclose(losses, file["losses"], rtol=1e-5)
    np.testing.assert_allclose(profiles, file["profiles"], rtol=1e-5)
    assert [p["shape"] for p in parameters] == [[3, 1], [3], [1, 3], [1]]
    assert len(set(losses)) == BEADS


# ---------------------------------------------------------------- refused


def test_an_unknown_ending_cannot_be_written() -> None:
    with pytest.raises(InputError) as caught:
        string_file.write(StringFile(HEADER, string_of(arrays())), "string.h5")
    said = "string.h5: ends in '.h5'; choose one of .safetensors, .npz, .pt"
    assert str(caught.value) == said


def test_an_unknown_ending_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "string.h5"
    path.write_bytes(b"HDF")
    assert refusal(path) == "ends in '.h5'; choose one of .safetensors, .npz, .pt"


@EVERY_ENDING
def test_a_missing_file_says_how_to_make_one(ending: str, tmp_path: Path) -> None:
    says = "no such file; `dss-tui export RUN --out FILE` makes one"
    assert refusal(tmp_path / f"gone{ending}") == says
    folder = tmp_path / f"folder{ending}"
    folder.mkdir()
    assert refusal(folder) == says


@EVERY_ENDING
@pytest.mark.parametrize("share", [0.0, 0.002, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_not_whole(ending: str, share: float, tmp_path: Path) -> None:
    whole = encode(StringFile(HEADER, string_of(arrays())), ending)
    path = tmp_path / f"string{ending}"
    path.write_bytes(whole[: int(share * len(whole))])
    assert refusal(path).startswith(f"is not a whole {ending} string file (")


@EVERY_ENDING
@pytest.mark.parametrize(
    "content",
    [b"beads: 3", b"\x00" * 400, b"\xff" * 400, b"PK\x03\x04" + b"x" * 60, b"\x93NUMPY\x01\x00"],
)
def test_another_programs_file_is_not_whole(ending: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"string{ending}"
    path.write_bytes(content)
    assert refusal(path).startswith(f"is not a whole {ending} string file (")


@EVERY_ENDING
@pytest.mark.parametrize(
    "header",
    [None, "", "{", "[]", "3", "null", "[" * 100_000, "{}", tree(format="neb-string")],
    ids=lambda header: str(header)[:12],
)
def test_a_file_without_our_metadata_is_not_ours(
    ending: str, header: object, tmp_path: Path
) -> None:
    path = store(tmp_path / f"s{ending}", arrays(), header)
    assert refusal(path) == "is not a string file: it has no metadata `dss`"


def test_metadata_that_are_numbers_are_not_ours(tmp_path: Path) -> None:
    numbers = np.array([3.0, 4.0])
    torch.save({"dss": torch.from_numpy(numbers)}, tmp_path / "s.pt")
    np.savez(tmp_path / "s.npz", dss=numbers)
    for ending in (".pt", ".npz"):
        assert refusal(tmp_path / f"s{ending}").endswith("it has no metadata `dss`")


@EVERY_ENDING
@pytest.mark.parametrize("version", [2, "1", None])
def test_another_version_is_refused(ending: str, version: object, tmp_path: Path) -> None:
    path = store(tmp_path / f"s{ending}", arrays(), tree(version=version))
    assert refusal(path) == (
        f"dss.version: has version {version!r}, but this dss-tui reads version 1; "
        "use the dss-tui that wrote it"
    )


GARBLED: list[tuple[dict[str, object], str]] = [
    ({"level": "high"}, "level is 'high', but must be a number"),
    ({"level": "0.5"}, "level is '0.5', but must be a number"),
    ({"level": []}, "level is an empty list"),
    ({"level": 0}, "level is 0, but must be above 0"),
    ({"level": -1.0}, "level is -1.0, but must be above 0"),
    ({"level": 1e308}, "level is 1e+308, which no loss is"),
    ({"level": 1e999}, "level is inf, which no loss is"),
    ({"alpha": []}, "alpha is an empty list"),
    ({"alpha": True}, "alpha is true"),
    ({"seed": 1e999}, "seed is inf, but must be a whole number"),
    ({"seed": True}, "seed is true, but must be a whole number"),
    ({"parameters": 3}, "parameters is 3, but must be a list"),
    ({"parameters": [{"name": "w"}]}, "parameters.0.shape is missing"),
    ({"parameters": [{"name": "w", "shape": ["x"]}]}, "parameters.0.shape.0 is 'x'"),
    ({"parameters": [{"name": "w", "shape": [-1, -3]}]}, "parameters.0.shape.0 is -1"),
    ({"bead_ids": "ab"}, "bead_ids is 'ab', but must be a list"),
    ({"audit": [3]}, "audit is no object"),
    ({"tolerance": -0.5}, "tolerance is -0.5"),
    ({"tolerance": 1e999}, "tolerance is inf"),
]


@pytest.mark.parametrize(("changes", "names"), GARBLED, ids=[str(c) for c, _ in GARBLED])
def test_garbled_metadata_are_refused(
    changes: dict[str, object], names: str, tmp_path: Path
) -> None:
    sentence = refusal(store(tmp_path / "s.npz", arrays(), tree(**changes)))
    assert sentence.startswith("its metadata lack or garble ")
    assert sentence.endswith("; export it again")
    assert names in sentence


@pytest.mark.parametrize("version", [True, 1.0, "1", None, [1]])
def test_a_version_that_is_no_number_is_refused(version: object, tmp_path: Path) -> None:
    said = refusal(store(tmp_path / "s.safetensors", arrays(), tree(version=version)))
    assert f"has version {version!r}, but this dss-tui reads version 1" in said


@pytest.mark.parametrize("ids", [[1, 2], [1, 1, 1, 1], [1, 2, 3, 3]])
def test_ids_of_other_beads_are_refused(ids: list[int], tmp_path: Path) -> None:
    assert len(ids) != BEADS or len(set(ids)) < BEADS
    said = refusal(store(tmp_path / "s.safetensors", arrays(), tree(bead_ids=ids)))
    assert said == f"its bead_ids are not those of {BEADS} beads; export it again"


@pytest.mark.parametrize("name", ["outcome", "level", "alpha", "method", "seed", "parameters"])
def test_metadata_without_a_promised_key_are_refused(name: str, tmp_path: Path) -> None:
    header = tree()
    del header[name]
    path = store(tmp_path / "s.safetensors", arrays(), header)
    assert refusal(path) == f"its metadata lack or garble {name} is missing; export it again"


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (None, "holds no keys"),
        ({"loss": "mse"}, "data: is missing"),
        (PROBLEM.model_dump(mode="json") | {"loss": "mso"}, "loss: is \"mso\"; did you mean 'mse'"),
    ],
)
def test_a_problem_that_cannot_be_is_refused(problem: object, says: str, tmp_path: Path) -> None:
    sentence = refusal(store(tmp_path / "s.npz", arrays(), tree(problem=problem)))
    assert sentence.startswith(f"dss.problem: {says}")


@EVERY_ENDING
@pytest.mark.parametrize("name", ["beads", "losses", "t", "profiles"])
def test_a_missing_tensor_is_named(ending: str, name: str, tmp_path: Path) -> None:
    held = arrays()
    del held[name]
    path = store(tmp_path / f"s{ending}", held, tree())
    assert refusal(path) == f"has no tensor {name!r}; export it again"


@EVERY_ENDING
@pytest.mark.parametrize(
    ("name", "shape", "needed"),
    [
        ("beads", (BEADS, PARAMS + 1), (BEADS, PARAMS)),
        ("beads", (BEADS, PARAMS, 1), (BEADS, PARAMS)),
        ("beads", (BEADS * PARAMS,), (BEADS * PARAMS, PARAMS)),
        ("losses", (BEADS - 1,), (BEADS,)),
        ("losses", (BEADS, 1), (BEADS,)),
        ("t", (POINTS, 1), (POINTS,)),
        ("profiles", (BEADS, POINTS), (BEADS - 1, POINTS)),
        ("profiles", (POINTS, BEADS - 1), (BEADS - 1, POINTS)),
    ],
)
def test_a_wrong_shape_is_named(
    ending: str, name: str, shape: tuple[int, ...], needed: tuple[int, ...], tmp_path: Path
) -> None:
    held = arrays() | {name: random(*shape)}
    path = store(tmp_path / f"s{ending}", held, tree())
    assert refusal(path) == f"{name} has shape {shape}, but {needed} is needed; export it again"


@EVERY_ENDING
@pytest.mark.parametrize(("name", "shape"), [("beads", ()), ("beads", (1, PARAMS)), ("t", (1,))])
def test_less_than_a_segment_is_no_string(
    ending: str, name: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    held = arrays() | {name: np.full(shape, 0.3)}
    says = "holds no string: two beads and two points t at least"
    assert refusal(store(tmp_path / f"s{ending}", held, tree())) == says


@EVERY_ENDING
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["beads", "losses", "t", "profiles"])
def test_numbers_that_are_not_finite_are_refused(
    ending: str, name: str, odd: float, tmp_path: Path
) -> None:
    held = arrays()
    held[name].flat[-1] = odd
    path = store(tmp_path / f"s{ending}", held, tree())
    assert refusal(path) == f"{name} holds values that are not finite numbers; export it again"


@pytest.mark.parametrize("kind", [np.int64, np.complex128, np.str_])
def test_tensors_that_are_no_real_numbers_are_refused(kind: type, tmp_path: Path) -> None:
    held = arrays() | {"losses": np.arange(2, 2 + BEADS).astype(kind)}
    path = store(tmp_path / "s.npz", held, tree())
    assert refusal(path) == "losses holds values that are not finite numbers; export it again"


BAD_SAMPLES: dict[str, Arrays] = {
    "lengths": {"data.y": np.arange(5)},
    "empty": {"data.x": np.zeros((0, 2)), "data.y": np.zeros(0)},
    "scalar": {"data.x": np.array(0.3), "data.y": np.array(0.4)},
    "x not finite": {"data.x": np.full((9, 2), np.nan)},
    "y not finite": {"data.y": np.full((9, 1), np.inf)},
}
WORDS: dict[str, Arrays] = {
    "x words": {"data.x": np.array(["ab"] * 9)},
    "y words": {"data.y": np.array(["ab"] * 9)},
}
CASES = [(ending, name) for ending in ENDINGS for name in BAD_SAMPLES] + [
    (".npz", name) for name in WORDS
]


@pytest.mark.parametrize(("ending", "name"), CASES)
def test_data_that_are_no_samples_are_refused(ending: str, name: str, tmp_path: Path) -> None:
    held = arrays() | samples() | (BAD_SAMPLES | WORDS)[name]
    path = store(tmp_path / f"s{ending}", held, tree())
    assert refusal(path) == "its data.x and data.y are not samples; export it again"


def test_an_archive_with_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path / "s.npz", arrays(), tree())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "mine")
    assert "is not a whole .npz string file" in refusal(path)


# ---------------------------------------------------------------- nothing in a file is run


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()


def trapped(kind: str, folder: Path, sprung: Path) -> Path:
    trap = np.array([Trap(sprung)], dtype=object)
    path = folder / f"s{kind.split()[0]}"
    match kind:
        case ".npz tensor":
            store(path, arrays() | {"beads": trap}, tree())
        case ".npz metadata":
            np.savez(path, dss=trap, **arrays())  # type: ignore[arg-type]
        case ".pt value":
            torch.save(arrays() | {"dss": Trap(sprung)}, path)
        case _:
            path.write_bytes(pickle.dumps({"beads": Trap(sprung)}))
    return path


@pytest.mark.parametrize(
    "kind", [".npz tensor", ".npz metadata", ".npz pickle", ".pt value", ".pt pickle"]
)
def test_code_in_a_file_is_never_run(kind: str, tmp_path: Path) -> None:
    path = trapped(kind, tmp_path, tmp_path / "sprung")
    assert b"mkdir" in path.read_bytes()
    assert refusal(path).startswith(f"is not a whole {path.suffix} string file (")
    assert not (tmp_path / "sprung").exists()
