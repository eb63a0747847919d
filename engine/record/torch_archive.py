"""Looks at archives that `torch.save` wrote before torch reads them. No torch here.

Nothing in one is compressed, its parts do not share bytes, and it names sizes that torch believes.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from engine import own_file
from engine.record.reading import MIB

#: The bytes of the largest pickle in an archive, which holds the names and shapes of tensors.
LARGEST_PICKLE = 64 * MIB
#: The most parts of an archive.
MOST_PARTS = 100_000


def check_archive(path: Path, *, checksums: bool = False) -> bool:
    """Returns whether a file is an archive of torch.save, whose parts are as large as they say.

    With `checksums` its bytes are compared with theirs. Raises ValueError where it is an archive
    and they are not, and OSError where it cannot be read.
    """
    with own_file.opened(path) as file:
        if not zipfile.is_zipfile(file):
            return False
        try:
            with zipfile.ZipFile(file) as archive:
                _check(archive, os.fstat(file.fileno()).st_size)
                if checksums and (name := archive.testzip()) is not None:
                    raise ValueError(f"its part {name!r} is not what was written")
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise ValueError(str(error) or "it ends too early") from None
    return True


def _check(archive: zipfile.ZipFile, size: int) -> None:
    """Raises ValueError where the parts are not those of an archive of that size."""
    parts = archive.infolist()
    if len(parts) > MOST_PARTS or sum(each.file_size for each in parts) > size:
        raise ValueError("its parts are larger than it is")
    for each in parts:
        if each.filename.endswith(".pkl") and each.file_size > LARGEST_PICKLE:
            raise ValueError(f"its part {each.filename!r} is too large")
