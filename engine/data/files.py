"""Where data that are not shipped are looked up. No numpy and no torch here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

ImageKind = Literal["mnist", "fashion_mnist", "cifar10"]

#: Folders under $DSS_TUI_DATA that may hold a data set.
FOLDERS: dict[ImageKind, tuple[str, ...]] = {
    "mnist": ("mnist",),
    "fashion_mnist": ("fashion_mnist", "fashion-mnist"),
    "cifar10": ("cifar10", "cifar-10-batches-bin"),
}


def data_folder() -> Path | None:
    """$DSS_TUI_DATA; None where it is not set."""
    named = os.environ.get("DSS_TUI_DATA")
    return Path(os.path.expanduser(named)) if named else None


def candidates(path: str, *before: Path) -> list[Path]:
    """The places of a path: in `before`, in the current folder, then under $DSS_TUI_DATA."""
    data = data_folder()
    folders = [*before, Path.cwd(), *([data] if data else [])]
    return list(dict.fromkeys(folder / os.path.expanduser(path) for folder in folders))


def locate(path: str, *before: Path, folders: bool = False) -> Path | None:
    """The first of the candidates that is a file, or a folder where those count; None: none is."""
    for place in candidates(path, *before):
        if place.is_file() or (folders and place.is_dir()):
            return place.resolve()
    return None


def image_folders(kind: ImageKind, path: str | None) -> list[Path]:
    """Where an image data set may lie; nowhere without a path and without $DSS_TUI_DATA."""
    if path is not None:
        return candidates(path)
    data = data_folder()
    return [data / name for name in FOLDERS[kind]] if data else []
