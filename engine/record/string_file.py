"""String files: a path of weights that anyone can check, as .safetensors, .npz or .pt.

The tensors and the metadata key `dss` are the same in all three. Loading never runs code from
the file. Torch is imported only where a `.pt` file is read or written.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import inf, isnan, prod
from os import PathLike
from pathlib import Path
from typing import IO, Annotated, Any, cast

import numpy as np
from numpy.typing import NDArray

from engine.data import archives
from engine.errors import InputError
from engine.own_file import check_itself
from engine.part import LARGEST_LOSS
from engine.record import string_parts, tensor_file, tensor_reading, writing
from engine.record.bracket import Bracket
from engine.record.decoding import decode, parse_json
from engine.record.events import dump_json
from engine.record.geometry import BeadString
from engine.record.marks import Count, Level, Range, Seed, Tolerance
from engine.record.reading import Damaged
from engine.record.string_parts import Arrays
from engine.record.tensor_file import Stacked
from engine.record.torch_archive import check_archive
from engine.record.unfit import Unfit
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.training import AlignedBy
from engine.spec.validation import validated

FORMAT, VERSION = "dss-string", 1

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
        InputError: The ending is another one, or it is `.pt` and the cache folder has no room for
            large beads, which are mapped from there.
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


@dataclass
class _Counted:
    """A file to write to that tells the share of `total` bytes that were written."""

    held: IO[bytes]
    total: int
    told: Callable[[float], None]
    written: int = 0

    def write(self, content: Any) -> int:
        """Writes bytes, and tells how many there are."""
        size = self.held.write(content)
        self.written += size
        self.told(min(1.0, self.written / self.total))
        return size

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
    tensor_file.write(held, arrays, {"dss": header})


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
    """Writes a .pt file that holds a dictionary, from arrays that are mapped where they are large.

    Raises InputError where the cache folder has no room for these.
    """
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
    check_itself(path)
    try:
        arrays, header = readers[path.suffix](path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=path) from None
    except Damaged as damaged:
        raise InputError(
            f"is not a whole {path.suffix} string file ({damaged.why}); export it again", file=path
        ) from None
    except Exception as error:  # each reader has its own ways to say that a file is not whole
        if isinstance(error, InputError):
            raise
        what = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"is not a whole {path.suffix} string file ({what}); export it again", file=path
        ) from None
    return _checked(arrays, header_of(header, path), path)


def _read_safetensors(path: Path) -> tuple[Arrays, str | None]:
    """Returns the arrays and the header of a .safetensors file. Raises Damaged."""
    arrays, texts = tensor_reading.read(path, follow=True)
    return arrays, texts.get("dss")


def _read_npz(path: Path) -> tuple[Arrays, str | None]:
    """Returns the arrays and the header of an .npz file. Raises what its reader raises."""
    arrays = archives.arrays_in(path, mapping=False)
    header = arrays.pop("dss", None)
    return arrays, None if header is None else str(header)


def _read_pt(path: Path) -> tuple[Arrays, str | None]:
    """Returns the arrays and the header of a .pt file. Raises what torch.load raises."""
    import torch

    if not check_archive(path, checksums=True):
        raise ValueError("it is no archive of torch.save")
    held = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(held, dict):
        raise ValueError("it holds no dictionary")
    header = held.pop("dss", None)
    for name, tensor in held.items():
        if not isinstance(tensor, torch.Tensor) or not tensor.is_contiguous():
            raise ValueError(f"its {name} is no plain tensor")
    return {str(name): tensor.numpy() for name, tensor in held.items()}, header


@dataclass(frozen=True)
class _Parameter:
    """A parameter as the metadata name it."""

    name: str
    shape: tuple[Count, ...]


@dataclass(frozen=True)
class _Told:
    """What the metadata tell in plain values, as they are written."""

    outcome: str
    level: Level
    """Null is the level of a search that has not set one yet."""
    alpha: Annotated[float, Range(0, 1)]
    method: str
    seed: Seed
    parameters: tuple[_Parameter, ...]
    data_sha256: str = ""
    bead_ids: tuple[Count, ...] = ()
    elapsed_s: float = 0.0
    tolerance: Tolerance = 0.0
    level_from: Bracket | None = None
    relabelled: AlignedBy | None = None


def header_of(text: str | None, path: Path) -> Header:
    """Returns the header in the metadata of a string file; `path` is named in errors.

    Raises InputError where it is not whole.
    """
    try:
        tree = parse_json(text) if isinstance(text, str) else None
    except Unfit:
        tree = None
    if type(tree) is not dict or tree.get("format") != FORMAT:
        raise InputError("is not a string file: it has no metadata `dss`", file=path)
    version = tree.get("version")
    if type(version) is not int or version != VERSION:
        raise InputError(
            f"has version {version!r}, but this dss-tui reads version {VERSION}; use the dss-tui "
            "that wrote it",
            file=path,
            key="dss.version",
        )
    problem = validated(ProblemSpec, tree.get("problem"), f"{path}: dss.problem")
    level_on = validated(LevelOn, tree.get("level_on", {}), f"{path}: dss.level_on")
    try:
        told, audit = decode(_Told, tree), tree.get("audit", {})
        if type(audit) is not dict:
            raise Unfit("audit is no object")
        if told.level > LARGEST_LOSS:
            raise Unfit(f"level is {told.level:g}, which no loss is")
    except Unfit as unfit:
        raise InputError(
            f"its metadata lack or garble {unfit}; export it again", file=path
        ) from None
    return Header(
        outcome=told.outcome,
        level=inf if isnan(told.level) else told.level,
        alpha=told.alpha,
        method=told.method,
        seed=told.seed,
        problem=problem,
        parameters=tuple((each.name, each.shape) for each in told.parameters),
        data_sha256=told.data_sha256,
        bead_ids=told.bead_ids,
        elapsed_s=0.0 if isnan(told.elapsed_s) else told.elapsed_s,
        audit=audit,
        level_on=level_on,
        tolerance=told.tolerance,
        bracket=told.level_from,
        relabelled=told.relabelled,
    )


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
    ids = header.bead_ids
    if ids and (len(ids) != beads[0] or len(set(ids)) < len(ids)):
        raise InputError(
            f"its bead_ids are not those of {beads[0]} beads; export it again", file=path
        )
    string = BeadString(
        beads=arrays["beads"],
        losses=arrays["losses"],
        t=arrays["t"],
        profiles=arrays["profiles"],
        cells=_cells(arrays, beads[0] - 1, path),
    )
    fixed, carried = (string_parts.under(prefix, arrays) for prefix in (FIXED, CARRIED))
    for name, array in carried.items():
        if array.shape[:1] != (2,):
            raise InputError(
                f"{CARRIED}{name} holds no value for each end; export it again", file=path
            )
    return StringFile(header, string, string_parts.data_in(arrays, path), fixed, carried)
