"""Reads and writes .npz archives whose large arrays stay in the file, mapped into memory.

An array that was saved without compression lies in the archive as it lies in memory. Archives that
belong to another user are read, not mapped, since their owner could cut them short meanwhile.
Nothing in an archive is ever executed.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine import own_file
from engine.data import room
from engine.errors import InputError, SaveError
from engine.owners import may_be_mapped

#: Bytes of a zip entry's header before its name, and of what zipfile adds to large entries.
ENTRY, LARGE = 30, 20
#: Arrays that unpack to more bytes than this may be so many times as large as the file.
LARGE_UNPACKED, DENSEST = 2**28, 50
#: Arrays begin at multiples of this in the archives that are written.
ALIGNED = 64


def read(path: Path, only: str | None = None) -> dict[str, NDArray[Any]]:
    """Returns the arrays of an archive by their names, all or at most one of them.

    Large ones that are not compressed are mapped from an archive of this user's. Raises InputError
    for a file that is no whole archive, or that holds anything but plain arrays.
    """
    own_file.check_itself(path)
    try:
        return arrays_in(path, only)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=path) from None
    except Exception as error:  # a damaged archive has many ways to say so
        if "Object arrays" in str(error):
            raise InputError(
                "holds Python objects, which are never loaded; save plain number arrays", file=path
            ) from None
        raise InputError(
            f"is not a readable .npz archive ({_said(error)}); save it with numpy.savez", file=path
        ) from None


def _said(error: Exception) -> str:
    """Returns what an error says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def arrays_in(
    path: Path, only: str | None = None, *, mapping: bool = True
) -> dict[str, NDArray[Any]]:
    """Returns what `read` does, large arrays mapped only with `mapping`.

    Raises OSError, ValueError or whatever else zipfile raises for what is no such archive.
    """
    with own_file.opened(path) as file, zipfile.ZipFile(file) as archive:
        _check_sizes(archive, os.fstat(file.fileno()).st_size)
        mapping = mapping and may_be_mapped(file)
        return {
            entry.filename.removesuffix(".npy"): _array(file, archive, entry, mapping)
            for entry in archive.infolist()
            if only is None or entry.filename == f"{only}.npy"
        }


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """Raises ValueError where entries share bytes of an archive of that size, or unpack to a lot.

    A small file whose arrays fill the disk is a trap.
    """
    entries = archive.infolist()
    if sum(entry.compress_size for entry in entries) > size:
        raise ValueError("its arrays share bytes")
    if sum(entry.file_size for entry in entries) > max(LARGE_UNPACKED, DENSEST * size):
        raise ValueError(f"its arrays unpack to more than {DENSEST} times its size")


def _array(
    file: IO[bytes], archive: zipfile.ZipFile, entry: zipfile.ZipInfo, mapping: bool
) -> NDArray[Any]:
    """Returns one array, mapped from the archive where it is large and lies there as it is."""
    with archive.open(entry) as held:
        shape, fortran, dtype = _header(held)
        if (
            prod(shape) * dtype.itemsize != entry.file_size - held.tell()
            or min(shape, default=0) < 0
        ):
            raise ValueError(f"its array {entry.filename!r} is not whole")
        if entry.file_size <= room.IN_MEMORY:
            return _whole(held, shape, fortran, dtype)
        start = _start(file, entry) + held.tell()
        plain = entry.compress_type == zipfile.ZIP_STORED and not fortran
        if mapping and plain and start % dtype.alignment == 0:
            return np.memmap(file, dtype, "c", start, shape)
        return _unpacked(held, shape[::-1] if fortran else shape, dtype, fortran)


def _whole(
    held: IO[bytes], shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Returns an array that is read at once. Raises ValueError where it is cut short."""
    content = bytearray(held.read())
    if not content:
        return np.empty(shape, dtype)
    flat: NDArray[Any] = np.frombuffer(content, dtype, prod(shape))
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(held: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Returns shape, order and type of an array. Raises ValueError for Python objects."""
    version = npy.read_magic(held)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Python 2 has written it
        shape, fortran, dtype = read_header(held)
    if dtype.hasobject:
        raise ValueError("Object arrays are not loaded")
    return shape, fortran, dtype


def _start(file: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Returns where the content of an entry begins in the archive, in bytes."""
    at = file.tell()
    file.seek(entry.header_offset + ENTRY - 4)
    name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    file.seek(at)
    return entry.header_offset + ENTRY + name + extra


def _unpacked(
    held: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool
) -> NDArray[Any]:
    """Returns an array that is read from an archive some samples at a time."""
    found = room.room(shape, dtype)
    for part in room.pieces(found):
        content = held.read(found[part].nbytes)
        found[part] = np.frombuffer(content, dtype).reshape(found[part].shape)
    held.read(1)  # at the end the checksum is compared
    return found.T if fortran else found


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays as an archive without compression, whole or not at all.

    Raises SaveError where the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                _write(file, archive, f"{name}.npy", array)
        os.replace(temporary, path)
    except OSError as error:
        raise SaveError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(file: IO[bytes], archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    """Writes one array piece by piece, so that its header begins at a multiple of ALIGNED."""
    entry = zipfile.ZipInfo(name)
    spare = -(file.tell() + ENTRY + len(name) + LARGE + 4) % ALIGNED
    entry.extra = b"\xff\xff" + spare.to_bytes(2, "little") + bytes(spare)
    with archive.open(entry, "w", force_zip64=True) as held:
        npy.write_array_header_2_0(
            held,
            {
                "descr": npy.dtype_to_descr(array.dtype),
                "fortran_order": False,
                "shape": array.shape,
            },
        )
        if array.ndim == 0:
            held.write(array.tobytes())
            return
        for part in room.pieces(array):
            held.write(np.ascontiguousarray(array[part]).data)
