"""Files replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import SaveError
from engine.record.writing import replace
from tests.support.run_folders import (
    output_of,
)

FULL_DISK = """
import os, resource, sys
from pathlib import Path
from engine.errors import SaveError
from engine.record.writing import replace

resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
path, durable = Path(sys.argv[1]), sys.argv[2] == "True"
try:
    replace(path, b"n" * 5000, durable=durable)
except SaveError as error:
    print(error, end="")
"""


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_disk_leaves_the_old_content(durable: bool, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"o" * 4000)
    message = output_of(FULL_DISK, path, durable)
    assert message == f"{path}: cannot be written: File too large"
    assert path.read_bytes() == b"o" * 4000
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("durable", [True, False])
def test_who_reads_while_a_file_is_replaced_reads_the_old_one(
    durable: bool, tmp_path: Path
) -> None:
    path = tmp_path / "progress.json"
    replace(path, b"old" * 900)
    with open(path, "rb", buffering=0) as reader:
        start = reader.read(5)
        replace(path, b"new", durable=durable)
        assert start + reader.read() == b"old" * 900
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == [path.name]


def test_a_folder_that_is_gone_is_a_save_error(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "meta.json"
    with pytest.raises(SaveError) as caught:
        replace(path, b"new")
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory"
