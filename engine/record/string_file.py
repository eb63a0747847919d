"""String files: a path of weights that anyone can check, as .safetensors, .npz or .pt.

The tensors and the metadata key `dss` are the same in all three. Loading never runs code from
the file. Torch is imported only where a `.pt` file is read or written.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from math import inf, prod
from os import PathLike
from pathlib import Path
from typing import IO, Any, cast, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from engine.errors import InputError
from engine.record import string_parts, tensor_file, writing
from engine.record.bracket import Bracket
from engine.record.decoding import decode
from engine.record.events import dump_json
from engine.record.geometry import BeadString
from engine.record.string_parts import Arrays
from engine.record.tensor_file import Stacked
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy
from engine.spec.validation import validated

FORMAT, VERSION = "dss-string", 1

#: The values of a tensor from which on it is mapped into memory rather than read.
MAPPED = 2**24

Written = dict[str, tensor_file.Written]
"""What is written to a file, by name."""

#: What stands before the names of what does not move, and of buffers that differ between the ends.
FIXED, CARRIED = "fixed.", "carried."


@dataclass(frozen=True)
class Header:
    """The facts about a string that the metadata key `dss` of its file holds."""

    outcome: str
    """The outcome of the run, or "running"."""
    level: float
    """The level that the path is to stay below."""
    alpha: float
    """The share of the level that beads were trained to."""
    method: str
    """The method that found the string."""
    seed: int
    """The seed of the run."""
    problem: ProblemSpec
    """The keys of the data, the network and the loss."""
    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    """The name and shape of each parameter, in the order in which a bead's vector holds them."""
    data_sha256: str
    """The checksum of the training samples."""
    bead_ids: tuple[int, ...]
    """The ids of the beads in order along the string."""
    elapsed_s: float
    """Running time of the run in seconds when the string was taken."""
    audit: dict[str, Any] = field(default_factory=dict)
    """The way in which the profiles were measured."""
    level_on: LevelOn = field(default_factory=LevelOn)
    """The objective, of which the losses and profiles are."""
    tolerance: float = 0.0
    """A segment holds up to (1 + tolerance) × level."""
    bracket: Bracket | None = None
    """How the level came about in the search; None where the preset named it."""
    relabelled: AlignedBy | None = None
    """What the last bead's hidden units were matched by when they were put into the first one's
    order; None where both ends are as they were trained."""

    def to_tree(self) -> dict[str, Any]:
        """Returns the header as plain values for JSON."""
        how: dict[str, Any] = {}
        if self.bracket is not None:
            how["level_from"] = asdict(self.bracket)
        if self.relabelled is not None:
            how["relabelled"] = self.relabelled
        return how | {
            "format": FORMAT,
            "version": VERSION,
            "outcome": self.outcome,
            "level": self.level,
            "tolerance": self.tolerance,
            "level_on": self.level_on.model_dump(mode="json"),
            "alpha": self.alpha,
            "method": self.method,
            "seed": self.seed,
            "problem": self.problem.model_dump(mode="json"),
            "parameters": [{"name": name, "shape": shape} for name, shape in self.parameters],
            "data_sha256": self.data_sha256,
            "bead_ids": self.bead_ids,
            "elapsed_s": self.elapsed_s,
            "audit": self.audit,
        }


@dataclass(frozen=True)
class StringFile:
    """A string with its header, and the training data where the file holds them."""

    header: Header
    string: BeadString
    data: tuple[NDArray[Any], NDArray[Any]] | None = None
    """The training samples x and y as network and loss take them, (sample, …) each. Several inputs
    are one structured array (`engine.data.fields`)."""
    fixed: Arrays = field(default_factory=dict)
    """The network's parameters that do not move, and its buffers, by name. Files of before hold
    none."""
    carried: Arrays = field(default_factory=dict)
    """The buffers of the first and the last bead, (2, …) each, by name, where these differ."""


# ---------------------------------------------------------------- writing


def write(
    file: StringFile, path: str | PathLike[str], told: Callable[[float], None] = lambda share: None
) -> int:
    """Writes a string file, which is replaced whole or not at all, and returns its bytes' number.

    Args:
        file: The string with its header, and the training data where it is to hold them.
        path: Where; the ending says how: `.safetensors`, `.npz`, or `.pt`, which needs torch.
        told: A function that is called with the share that is written, from 0 to 1, now and then.

    Raises:
        InputError: The ending is another one.
        SaveError: The file cannot be written.
    """
    path = writing.chosen(path)
    if path.suffix not in WRITERS:
        raise InputError(f"ends in {path.suffix!r}; choose one of {', '.join(WRITERS)}", file=path)
    with writing.replacing(path) as held:
        size = file.string.beads.nbytes + sum(part.nbytes for part in file.data or ())
        counted = _Counted(held, size, told)
        write_to(file, path.suffix, cast("IO[bytes]", counted))
        return held.tell()


@dataclass(frozen=True)
class _Counted:
    """A file to write to that tells how much of `total` bytes it holds."""

    held: IO[bytes]
    total: int
    told: Callable[[float], None]

    def write(self, content: Any) -> int:
        """Writes bytes, and tells how many there are."""
        size = self.held.write(content)
        self.told(min(1.0, self.held.tell() / self.total))
        return size

    def writelines(self, parts: Iterable[Any]) -> None:
        """Writes many bytes."""
        for part in parts:
            self.write(part)

    def __getattr__(self, name: str) -> Any:
        """Returns everything else of the file."""
        return getattr(self.held, name)


def write_to(file: StringFile, ending: str, held: IO[bytes]) -> None:
    """Writes a string file with that ending, one of `WRITERS`, bead by bead."""
    arrays: Written = {
        "beads": _single(file.string.beads),
        "losses": np.asarray(file.string.losses, np.float64),
        "t": np.asarray(file.string.t, np.float64),
        "profiles": np.asarray(file.string.profiles, np.float64),
    }
    if file.string.cells is not None:
        arrays["cells"] = np.asarray(file.string.cells, np.float64)
    arrays |= string_parts.prefixed(FIXED, file.fixed)
    arrays |= string_parts.prefixed(CARRIED, file.carried)
    if file.data is not None:
        arrays |= string_parts.of_data(*file.data)
    WRITERS[ending](arrays, dump_json(file.header.to_tree()), held)


def _single(beads: NDArray[Any] | Stacked) -> NDArray[np.float32] | Stacked:
    """Returns beads in float32."""
    return beads if beads.dtype == np.float32 else np.asarray(beads, np.float32)


def _write_safetensors(arrays: Written, header: str, held: IO[bytes]) -> None:
    """Writes a .safetensors file."""
    held.writelines(tensor_file.pieces(arrays, {"dss": header}))


def _write_npz(arrays: Written, header: str, held: IO[bytes]) -> None:
    """Writes an .npz file, with the header as an array of one text."""
    with zipfile.ZipFile(held, "w") as archive:
        for name, array in (*arrays.items(), ("dss", np.array(header))):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_npy(array, member)


def _write_npy(array: tensor_file.Written, held: IO[bytes]) -> None:
    """Writes an array of an .npz file as numpy does, some MiB at a time."""
    dtype = np.lib.format.dtype_to_descr(array.dtype)
    head = {"descr": dtype, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(held, head)
    for part in tensor_file.bytes_of(array):
        held.write(part)


def _write_pt(arrays: Written, header: str, held: IO[bytes]) -> None:
    """Writes a .pt file that holds a dictionary."""
    import torch

    tensors = {
        name: torch.from_numpy(np.asarray(array, order="C")) for name, array in arrays.items()
    }
    torch.save(tensors | {"dss": header}, held)


#: The writer of each format, by the ending of a file's name.
WRITERS: dict[str, Callable[[Written, str, IO[bytes]], None]] = {
    ".safetensors": _write_safetensors,
    ".npz": _write_npz,
    ".pt": _write_pt,
}


# ---------------------------------------------------------------- reading


def read(path: str | PathLike[str]) -> StringFile:
    """Returns the string in a file. No code in the file is run.

    Args:
        path: A file that ends in `.safetensors`, `.npz` or `.pt`; the last needs torch.

    Raises:
        InputError: The file is missing, damaged, of another version, or holds arrays that do not
            fit each other or are not finite.
    """
    path = Path(path)
    readers = {".safetensors": _read_safetensors, ".npz": _read_npz, ".pt": _read_pt}
    if path.suffix not in readers:
        raise InputError(f"ends in {path.suffix!r}; choose one of {', '.join(readers)}", file=path)
    if not path.is_file():
        raise InputError("no such file; `dss-tui export RUN --out FILE` makes one", file=path)
    try:
        arrays, header = readers[path.suffix](path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=path) from None
    except Exception as error:  # each reader has its own ways to say that a file is not whole
        if isinstance(error, InputError):
            raise
        what = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"is not a whole {path.suffix} string file ({what}); export it again", file=path
        ) from None
    return _checked(arrays, header_of(header, path), path)


def _read_safetensors(path: Path) -> tuple[Arrays, str | None]:
    """Returns the arrays and the header of a .safetensors file. Raises ValueError."""
    try:
        with safe_open(path, framework="numpy") as file:
            large = [name for name in list(file.keys()) if _is_large(file.get_slice(name))]
            arrays = {name: file.get_tensor(name) for name in set(file.keys()).difference(large)}
            arrays |= {name: tensor_file.mapped(path, name) for name in large}
            return arrays, (file.metadata() or {}).get("dss")
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _is_large(tensor: Any) -> bool:
    """Returns whether a tensor of a file is mapped rather than read."""
    return prod(tensor.get_shape()) > MAPPED and tensor.get_dtype() in tensor_file.TYPES


def _read_npz(path: Path) -> tuple[Arrays, str | None]:
    """Returns the arrays and the header of an .npz file. Raises ValueError."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from None
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("it holds a file that is no array")
    header = arrays.pop("dss", None)
    return arrays, None if header is None else str(header)


def _read_pt(path: Path) -> tuple[Arrays, str | None]:
    """Returns the arrays and the header of a .pt file. Raises what torch.load raises."""
    import torch

    held = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(held, dict):
        raise ValueError("it holds no dictionary")
    header = held.pop("dss", None)
    return {str(name): tensor.numpy() for name, tensor in held.items()}, header


def header_of(text: str | None, path: Path) -> Header:
    """Returns the header in the metadata of a string file; `path` is named in errors.

    Raises InputError where it is not whole.
    """
    try:
        tree = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise InputError("is not a string file: it has no metadata `dss`", file=path)
    if tree.get("version") != VERSION:
        raise InputError(
            f"has version {tree.get('version')!r}, but this dss-tui reads version {VERSION}; "
            "use the dss-tui that wrote it",
            file=path,
            key="dss.version",
        )
    problem = validated(ProblemSpec, tree.get("problem"), f"{path}: dss.problem")
    level_on = validated(LevelOn, tree.get("level_on", {}), f"{path}: dss.level_on")
    try:
        return Header(
            outcome=str(tree["outcome"]),
            level=_level(tree["level"]),
            alpha=float(tree["alpha"]),
            method=str(tree["method"]),
            seed=int(tree["seed"]),
            problem=problem,
            parameters=tuple(
                (str(entry["name"]), tuple(int(size) for size in entry["shape"]))
                for entry in tree["parameters"]
            ),
            data_sha256=str(tree.get("data_sha256", "")),
            bead_ids=tuple(int(bead) for bead in tree.get("bead_ids", ())),
            elapsed_s=float(tree.get("elapsed_s") or 0.0),
            audit=dict(tree.get("audit", {})),
            level_on=level_on,
            tolerance=_tolerance(tree.get("tolerance", 0.0)),
            bracket=decode(Bracket, tree["level_from"]) if "level_from" in tree else None,
            relabelled=_relabelled(tree.get("relabelled")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"its metadata lack or garble {error}; export it again", file=path
        ) from None


def _level(value: Any) -> float:
    """Returns the level; null is that of a search which has not set one yet, and is infinite."""
    return inf if value is None else float(value)


def _cells(arrays: Arrays, segments: int, path: Path) -> NDArray[np.float64] | None:
    """Returns the proven cells of a string file. Raises InputError where they cannot be cells."""
    cells = arrays.get("cells")
    if cells is None:
        return None
    if cells.ndim != 2 or cells.shape[1] != 4 or cells.dtype.kind != "f":
        raise InputError("cells is no table of four columns; export it again", file=path)
    segment, u, v, bound = cells.T
    known = np.isin(segment, np.arange(segments)).all()
    if not known or not ((u >= 0) & (u < v) & (v <= 1)).all() or not np.isfinite(bound).all():
        raise InputError("cells holds what is no part of a segment; export it again", file=path)
    return cells.astype(np.float64)


def _relabelled(value: Any) -> AlignedBy | None:
    """Returns what the last bead was relabelled by. Raises ValueError for anything else."""
    if value is not None and value not in get_args(AlignedBy):
        raise ValueError(f"relabelled {value}")
    return value  # type: ignore[no-any-return]


def _tolerance(value: Any) -> float:
    """Returns the tolerance of the metadata. Raises ValueError where it is negative or infinite."""
    tolerance = float(value)
    if not 0 <= tolerance < inf:
        raise ValueError(f"tolerance {value}")
    return tolerance


def _checked(arrays: Arrays, header: Header, path: Path) -> StringFile:
    """Returns the string file of these arrays.

    Raises InputError where shapes do not fit the header or each other, or a number is not finite.
    """
    count = sum(prod(shape) for _, shape in header.parameters)
    missing = {"beads", "losses", "t", "profiles"} - arrays.keys()
    if missing:
        raise InputError(f"has no tensor {min(missing)!r}; export it again", file=path)
    beads, points = arrays["beads"].shape[:1], arrays["t"].shape[:1]
    if beads < (2,) or points < (2,):
        raise InputError("holds no string: two beads and two points t at least", file=path)
    expected = {
        "beads": (*beads, count),
        "losses": beads,
        "t": points,
        "profiles": (beads[0] - 1, *points),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise InputError(
                f"{name} has shape {arrays[name].shape}, but {shape} is needed; export it again",
                file=path,
            )
        if arrays[name].dtype.kind != "f" or not all(np.isfinite(a).all() for a in arrays[name]):
            raise InputError(
                f"{name} holds values that are not finite numbers; export it again", file=path
            )
    string = BeadString(
        beads=arrays["beads"],
        losses=arrays["losses"],
        t=arrays["t"],
        profiles=arrays["profiles"],
        cells=_cells(arrays, beads[0] - 1, path),
    )
    fixed, carried = (string_parts.under(prefix, arrays) for prefix in (FIXED, CARRIED))
    return StringFile(header, string, string_parts.data_in(arrays, path), fixed, carried)
