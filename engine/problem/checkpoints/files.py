"""Reads files and folders of checkpoints. Code in them is never run."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.errors import InputError
from engine.own_file import check_itself, read_text
from engine.problem.checkpoints import inert_pickle
from engine.problem.stored import tensor_of
from engine.record import tensor_reading
from engine.record.reading import Damaged
from engine.record.torch_archive import check_archive

#: Endings of files that torch.save wrote: plain ones, Lightning's, the Hub's, and of older scripts.
PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".th")
#: The names under which a folder from the Hub holds a model, the preferred one first.
IN_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
#: The ending of a list that tells which file holds which tensor.
INDEX = ".index.json"
#: The most bytes of such a list.
INDEX_BYTES = 50 * 2**20


def read(path: Path) -> Any:
    """Returns what a checkpoint holds: tensors by name, or a mapping with such a mapping in it.

    `path` is a file, a folder from the Hub, or the list of a model in several files. Raises
    InputError where that is not safe, whole or known.
    """
    if path.is_dir():
        return read(_model_in(path))
    if path.name.endswith(INDEX):
        return _read_several(path)
    check_itself(path)
    if path.suffix == ".safetensors":
        return _whole(path, lambda: tensors_of(path))
    if path.suffix in PICKLED:
        return _read_pickled(path)
    endings = ", ".join((*PICKLED, ".safetensors"))
    raise InputError(
        f"ends in {path.suffix!r}; give a file that ends in {endings}, or a folder with "
        f"{IN_FOLDER[0]}",
        file=path,
    )


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of a .safetensors file by name. Raises Damaged."""
    arrays, _ = tensor_reading.read(path, follow=True)
    return {name: tensor_of(array) for name, array in arrays.items()}


def _model_in(folder: Path) -> Path:
    """Returns the file of a folder that holds the model. Raises InputError where there is none."""
    for name in IN_FOLDER:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"is a folder without {' or '.join(IN_FOLDER)}; name a file in it", file=folder
    )


def _read_several(index: Path) -> dict[str, Any]:
    """Returns the tensors of all files that a list names. They must lie beside it."""
    try:
        where = json.loads(read_text(index, INDEX_BYTES))["weight_map"]
        names = {str(name) for name in where.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"is no list of a model's files ({type(error).__name__}); save the model again",
            file=index,
        ) from None
    held: dict[str, Any] = {}
    for name in sorted(names):
        if Path(name).name != name or not (index.parent / name).is_file():
            raise InputError(f"names {name!r}, which is no file beside it; add it", file=index)
        held |= read(index.parent / name)
    missing = where.keys() - held.keys()
    if missing:
        raise InputError(
            f"names {min(missing)!r}, which is not in its file; save the model again", file=index
        )
    return held


def _read_pickled(path: Path) -> Any:
    """Returns what a file of torch.save holds, with inert objects in place of unknown ones."""
    if _is_torchscript(path):
        raise InputError(
            "is a TorchScript archive, which holds code; save it with "
            "torch.save(model.state_dict(), …)",
            file=path,
        )
    _whole(path, lambda: check_archive(path))
    try:
        return _whole(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        # Holds more than tensors, or is damaged.
        how: dict[str, Any] = {"pickle_module": inert_pickle, "weights_only": False}
        return _whole(path, lambda: torch.load(path, map_location="cpu", **how))


def _is_torchscript(path: Path) -> bool:
    """Returns whether a file is an archive of torch.jit.save."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def _whole(path: Path, load: Callable[[], Any]) -> Any:
    """Returns what `load` reads. Raises InputError where the file is not whole.

    An UnpicklingError of torch's reader is left to the caller while another reader may succeed.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # what is refused is refused in words
            return load()
    except Exception as error:  # each reader has its own ways to say that a file is not whole
        if isinstance(error, pickle.UnpicklingError) and "weights_only" in str(error).lower():
            raise
        raise InputError(
            f"is not a whole {path.suffix} file ({_reason(error)}); save it again", file=path
        ) from None


def _reason(error: Exception) -> str:
    """Returns the first sentence of an error, or of one that has none what kind of error it is."""
    if isinstance(error, Damaged):
        return error.why
    said = str(getattr(error, "strerror", None) or error).partition("\n")[0].partition(". ")[0]
    return said[:120] if " " in said else f"{type(error).__name__} {said}".rstrip()
