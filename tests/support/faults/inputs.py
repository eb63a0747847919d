"""Kinds of inputs from hell, and what takes them: each is accepted, or refused in one sentence."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import pickle
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from hypothesis import strategies as st

from dss_tui import dispatch
from dss_tui.arguments import build_parser
from dss_tui.cli import main
from dss_tui.tui import keymap
from dss_tui.viewing import counters
from dss_tui.viewing.folding import fold_all
from dss_tui.viewing.view_state import sentence
from engine.data import archives, load_data
from engine.data.cifar import CIFAR10, Cifar10Data
from engine.data.cifar_batches import samples
from engine.data.idx import SOURCES, IdxData, read_images, read_labels
from engine.data.stored_files import contents as stored
from engine.errors import InputError
from engine.record import commands, string_file, tensor_reading
from engine.record.decoding import decode, parse_json
from engine.record.events import from_line
from engine.record.progress import Progress
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.run.verify import problem_of
from engine.spec.checks import check_quickly
from engine.spec.yaml_file import parse, read_yaml, with_overrides
from presets import load_preset, names, source
from tests.support import image_files
from tests.support.faults import mutations
from tests.support.faults.mutations import JUNK
from tests.support.faults.targets import SMALL
from tests.support.faults.values import places

FIXTURES = Path(__file__).parents[2] / "fixtures" / "6706f4a"
RUN = FIXTURES / "runs" / "limited-auto-detour"

Taken = Literal["accepted", "refused"]


@dataclass(frozen=True)
class Kind:
    """One kind of inputs."""

    drawn: Callable[[], st.SearchStrategy[Any]]
    take: Callable[[Any], object]
    """Does with an input what a user's would have done; raises InputError where it is refused."""


def taken(kind: Kind, drawn: Any) -> Taken:
    """What becomes of an input. Raises AssertionError for what is no sentence, and all else."""
    try:
        kind.take(drawn)
        return "accepted"
    except InputError as error:
        said = str(error)
        assert said and "\n" not in said, said
        return "refused"


@contextlib.contextmanager
def file(name: str, content: bytes) -> Any:
    """A file of that name in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=_place()) as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def _place() -> str | None:
    """A place in memory, where there is one: nothing is lost with these files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# ---------------------------------------------------------------- texts


@cache
def _presets() -> dict[str, Any]:
    return {name: read_yaml(source(name), name) for name in names()}


def _preset_trees() -> st.SearchStrategy[Any]:
    return st.sampled_from(names()).flatmap(lambda name: mutations.trees(_presets()[name]))


def _take_preset(tree: Any) -> None:
    read = read_yaml(yaml.safe_dump(tree), "p.yaml")
    check_quickly(parse(read, "p.yaml").problem)


def _preset_texts() -> st.SearchStrategy[bytes]:
    return st.sampled_from(names()).flatmap(lambda name: mutations.contents(source(name).encode()))


def _take_text(content: bytes) -> None:
    with file("p.yaml", content) as path:
        check_quickly(load_preset(str(path)).problem)


def _overrides() -> st.SearchStrategy[Any]:
    tree = load_preset("quadratic").model_dump(mode="json")
    keys = [".".join(map(str, place)) for place in places(tree)]
    key = (
        st.sampled_from(keys) | st.text(max_size=12) | st.sampled_from(keys).map(lambda k: k + ".x")
    )
    value = JUNK.map(mutations.text) | st.text(max_size=12) | st.sampled_from(mutations.WORDS)
    own = st.sampled_from(list(_values(tree)))
    line = own | own | own | st.builds("{}={}".format, key, value) | st.text(max_size=20)
    return st.lists(line, min_size=1, max_size=3)


def _values(tree: Any) -> Iterator[str]:
    """The lines that give keys the values that they have, or numbers near these."""
    for place in places(tree):
        at = tree
        for step in place:
            at = at[step]
        if all(isinstance(step, str) for step in place):
            key = ".".join(place)
            yield f"{key}={mutations.text(at)}"
            if type(at) in (int, float):
                half = at // 2 if type(at) is int else at / 2
                yield from (
                    f"{key}={mutations.text(other)}" for other in (half, 2 * at, 10**9 * at)
                )


def _take_overrides(lines: list[str]) -> None:
    check_quickly(parse(with_overrides(_presets()["quadratic"], lines, "p.yaml"), "p.yaml").problem)


def _keys() -> st.SearchStrategy[bytes]:
    whole = {"run.stop": "ctrl+x", "run.pause": "p,space", "menu.runs": "2"}
    trees = mutations.trees(whole).map(lambda tree: yaml.safe_dump(tree).encode())
    return trees | mutations.contents(yaml.safe_dump(whole).encode())


def _take_keys(content: bytes) -> None:
    with file("keys.yaml", content) as path:
        before = keymap.path
        keymap.path = lambda: path
        try:
            found = keymap.keymap()
        finally:
            keymap.path = before
    assert all(isinstance(part, str) for pair in found.items() for part in pair)


#: Command lines that do something where the files of `stock` are in the current folder. All but
#: three are accepted: `attach` has no terminal, nothing runs that `stop` could stop, and the run is
#: not connected, which `shorten` asks for.
PLAUSIBLE = tuple(
    tuple(line.split())
    for line in """\
ls
presets small.yaml
data small.yaml --json
run small.yaml --headless --seed 3
attach run
resume run --headless
stop run
diagnose run --json
export run --out out.npz --force
export run --out out.pt --with-data --force
shorten run --headless --set limits.seconds=1
verify s.npz --grid 9 --json
measure s.npz --what swa,gradient --json
measure s.npz --plane 1,2,3
barrier s.npz --points 5 --no-certify
barrier s.npz#first s.npz#last --preset run/run.yaml --points 5
align s.npz --out b.pt --permutation order.safetensors
figure run --kind depths --out out.svg
figure run --out out.csv
sweep small.yaml --levels 0.6,0.5 --pairs 1 --headless --out sweep
compare small.yaml --methods greedy,neb --pairs 1 --headless --json --out compare
components small.yaml --models 2 --levels 0.5 --headless --out components
doctor --json
bench --json
serve --port 8000
""".splitlines()
)
#: Other words of command lines, most of which name nothing.
LINE_WORDS = (
    *(
        "--help",
        "--what",
        "--plane",
        "--levels",
        "--pairs",
        "--models",
        "--tries",
        "--out",
        "--set",
    ),
    *("--seed", "--device", "--json", "--headless", "--grid", "--force", "--certify", "--level"),
    *("--methods", "--variant", "--preset", "--align", "--points", "--csv", "--kind", "--port"),
    *("--run-factories", "--key", "none.npz", "none.safetensors", "none", "none.yaml", "."),
    *("/dev/null", "1,2,3", "swa", "all", "greedy", "0.1", "-1", "nan", "1e400", "9" * 20),
    *("a=b", "#first", "search.level=x", "=", "", "é", "\udc80", "x" * 300, "a\nb", "last"),
)


def _lines() -> st.SearchStrategy[list[str]]:
    plausible = st.sampled_from(PLAUSIBLE).map(list)
    word = (
        st.sampled_from(LINE_WORDS)
        | st.sampled_from([word for line in PLAUSIBLE for word in line])
        | st.text(max_size=6)
    )
    made_up = st.builds(lambda line, more: [line[0], *more], plausible, st.lists(word, max_size=6))
    return plausible | st.builds(_changed, plausible, st.integers(0, 9), st.none() | word) | made_up


def _changed(line: list[str], place: int, word: str | None) -> list[str]:
    """Returns a command line with a word left out, or with another one in its place."""
    place %= len(line)
    return [*line[:place], *(() if word is None else (word,)), *line[place + 1 :]]


def stock() -> None:
    """Puts what command lines name into the current folder, unless it is there."""
    if not Path("small.yaml").exists():
        shutil.copytree(RUN, "run")
        shutil.copy(FIXTURES / "strings" / "quadratic-with-data.npz", "s.npz")
        Path("small.yaml").write_text(SMALL)


def _take_line(line: list[str]) -> None:
    stock()
    said = io.StringIO()
    terminal, sys.stdin = sys.stdin, io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            # Without a command the menu opens.
            asked = build_parser().parse_args(line)
            status = 0 if not line or _lasts(asked) else main(line)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        finally:
            sys.stdin = terminal
    assert status in (0, 1, 2, 3), status
    assert "Traceback" not in said.getvalue(), said.getvalue()
    if status in (1, 2):
        assert said.getvalue().strip(), line
        raise InputError(f"exit status {status}")


def _lasts(asked: argparse.Namespace) -> bool:
    """Whether a command would take long, or wait: it is only parsed."""
    if asked.command in (dispatch.serve, dispatch.bench, dispatch.doctor, dispatch.menu):
        return True
    many = [getattr(asked, "pairs", None) or 0, getattr(asked, "models", None) or 0]
    return getattr(asked, "preset", None) in names() or any(number > 2 for number in many)


# ---------------------------------------------------------------- files of a run


def _event_lines() -> st.SearchStrategy[list[bytes]]:
    lines = [json.loads(line) for line in (RUN / "events.jsonl").read_bytes().splitlines()]
    kinds = list({line["event"]: line for line in lines}.values())
    changed = (
        st.sampled_from(kinds).flatmap(mutations.trees).map(lambda t: mutations.text(t).encode())
    )
    whole = st.sampled_from(lines).map(lambda tree: mutations.text(tree).encode())
    return st.lists(changed | whole | st.binary(max_size=20), min_size=1, max_size=6)


def _take_events(lines: list[bytes]) -> None:
    records, faults = [], []
    for line in lines:
        try:
            records.append(from_line(line))
        except Unfit as unfit:
            faults.append(str(unfit))
    fold_all(records)
    for record in records:
        sentence(record)
    if faults:
        raise InputError(faults[0])


def _progress() -> st.SearchStrategy[bytes]:
    tree = json.loads((RUN / "progress.json").read_bytes())
    trees = mutations.trees(tree).map(lambda each: mutations.text(each).encode())
    return trees | mutations.contents(mutations.text(tree).encode())


def _take_progress(content: bytes) -> None:
    try:
        progress = decode(Progress, parse_json(content))
    except Unfit as unfit:
        raise InputError(str(unfit)) from None
    counters.words(progress, 3.0)
    counters.training(progress)


def _commands() -> st.SearchStrategy[bytes]:
    lines = [{"command": "pause"}, {"command": "plane", "beads": [1, 2, 3]}, {"command": "stop"}]
    changed = (
        st.sampled_from(lines).flatmap(mutations.trees).map(lambda t: mutations.text(t).encode())
    )
    return st.lists(changed | st.binary(max_size=20), max_size=6).map(b"\n".join)


def _take_commands(content: bytes) -> None:
    with file("commands.jsonl", content + b"\n") as path:
        found = commands.CommandTail(RunDir(path.parent), skip_old=False).new_commands()
    if not found:
        raise InputError("no command")


# ---------------------------------------------------------------- tensors


@cache
def _string() -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the header of a string file."""
    with np.load(FIXTURES / "strings" / "quadratic-with-data.npz") as held:
        arrays = dict(held)
    return arrays, json.loads(str(arrays.pop("dss")))


def _strings() -> st.SearchStrategy[tuple[Any, Any]]:
    arrays, head = _string()
    other = st.sampled_from(
        [np.zeros(0), np.zeros((2, 2)), np.array("x"), np.full((7, 33), np.nan, np.float32)]
    )
    name = st.sampled_from([*arrays, "cells", "fixed.a", "carried.b", "data.x.z"])
    some = st.dictionaries(name, other, max_size=2)
    return st.tuples(mutations.trees(head) | st.just(head), some)


def _take_string(drawn: tuple[Any, Any]) -> None:
    head, changed = drawn
    held = io.BytesIO()
    np.savez(held, **(_string()[0] | changed), dss=np.array(mutations.text(head)))
    with file("s.npz", held.getvalue()) as path:
        problem_of(string_file.read(path))


def _stored_string(ending: str) -> bytes:
    return (FIXTURES / "strings" / f"quadratic{ending}").read_bytes()


def _take_stored(name: str) -> Callable[[bytes], None]:
    def take(content: bytes) -> None:
        with file(name, content) as path:
            string_file.read(path)

    return take


@cache
def _written() -> bytes:
    """A file of tensors with checksums."""
    held = io.BytesIO()
    string_file.write_to(string_file.read(FIXTURES / "strings/quadratic.npz"), ".safetensors", held)
    return held.getvalue()


def _tensors() -> st.SearchStrategy[bytes]:
    content = _stored_string(".safetensors")
    size = int.from_bytes(content[:8], "little")
    head, body = json.loads(content[8 : 8 + size]), content[8 + size :]

    def headed(tree: Any) -> bytes:
        told = mutations.text(tree).encode()
        return len(told).to_bytes(8, "little") + told + body

    whole = mutations.contents(content) | mutations.contents(_written())
    return mutations.trees(head).map(headed) | whole


def _take_tensors(content: bytes) -> None:
    with file("s.safetensors", content) as path:
        tensor_reading.read(path)


# ---------------------------------------------------------------- data


@cache
def _images() -> bytes:
    return image_files.idx(image_files.pixels(3, 28, 28))


def _idx() -> st.SearchStrategy[tuple[str, bytes]]:
    labels = image_files.idx(image_files.labels(5))
    return st.tuples(st.just("images"), mutations.contents(_images())) | st.tuples(
        st.just("labels"), mutations.contents(labels)
    )


def _take_idx(drawn: tuple[str, bytes]) -> None:
    what, content = drawn
    read = read_images if what == "images" else read_labels
    read(bytearray(content), Path("a"), SOURCES["mnist"])


def _take_idx_set(drawn: tuple[str, bytes]) -> None:
    """The same among whole files, in gzip."""
    what, content = drawn
    with file("none", b"") as place:
        folder = image_files.write_idx(place.parent / "mnist", 3, 3)
        name = image_files.TRAIN[what == "labels"]
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        load_data(IdxData(kind="mnist", path=str(folder)))


def _cifar() -> st.SearchStrategy[tuple[str, bytes]]:
    x, y = image_files.pixels(2, 3, 32, 32), image_files.labels(2)
    held = {b"data": x.reshape(2, -1), b"labels": y.tolist()}
    pickled = st.sampled_from([0, 2, 4]).flatmap(
        lambda protocol: mutations.contents(pickle.dumps(held, protocol))
    )
    records = mutations.contents(image_files.records(x, y))
    return st.tuples(st.just("data_batch_1"), pickled) | st.tuples(
        st.just("data_batch_1.bin"), records
    )


def _take_cifar(drawn: tuple[str, bytes]) -> None:
    name, content = drawn
    samples(bytearray(content), Path(name), CIFAR10, 0)


@cache
def _packed() -> tuple[bytes, bytes]:
    """Images in gzip, and a tar of records; made once, since gzip notes the time."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name in (
            "cifar-10-batches-bin/data_batch_1.bin",
            "cifar-10-batches-bin/test_batch.bin",
        ):
            content = image_files.records(image_files.pixels(1, 3, 32, 32), image_files.labels(1))
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(_images(), 1), held.getvalue()


def _gzips() -> st.SearchStrategy[tuple[str, bytes]]:
    packed, tar = _packed()
    return st.tuples(st.just("a.gz"), mutations.contents(packed)) | st.tuples(
        st.just("cifar-10-binary.tar.gz"), mutations.contents(tar)
    )


def _take_gzip(drawn: tuple[str, bytes]) -> None:
    name, content = drawn
    with file(name, content) as path:
        if name == "a.gz":
            stored(path, SOURCES["mnist"])
        else:
            load_data(Cifar10Data(kind="cifar10", path=str(path)))


def _archives() -> st.SearchStrategy[bytes]:
    def saved(save: Any) -> bytes:
        held = io.BytesIO()
        save(held, x=np.arange(40.0, dtype=np.float32).reshape(10, 4), y=np.arange(10) % 3)
        return held.getvalue()

    return st.sampled_from([np.savez, np.savez_compressed]).flatmap(
        lambda save: mutations.contents(saved(save))
    )


def _take_archive(content: bytes) -> None:
    with file("a.npz", content) as path:
        archives.read(path)


#: All kinds, by name.
KINDS: dict[str, Kind] = {
    "presets, as trees": Kind(_preset_trees, _take_preset),
    "presets, as bytes": Kind(_preset_texts, _take_text),
    "--set": Kind(_overrides, _take_overrides),
    "keys.yaml": Kind(_keys, _take_keys),
    "command lines": Kind(_lines, _take_line),
    "events": Kind(_event_lines, _take_events),
    "progress": Kind(_progress, _take_progress),
    "commands": Kind(_commands, _take_commands),
    "strings, as trees": Kind(_strings, _take_string),
    "strings, .npz": Kind(
        lambda: mutations.contents(_stored_string(".npz")), _take_stored("s.npz")
    ),
    "strings, .pt": Kind(lambda: mutations.contents(_stored_string(".pt")), _take_stored("s.pt")),
    "safetensors": Kind(_tensors, _take_tensors),
    "IDX": Kind(_idx, _take_idx),
    "IDX in gzip": Kind(_idx, _take_idx_set),
    "CIFAR": Kind(_cifar, _take_cifar),
    "gzip and tar": Kind(_gzips, _take_gzip),
    "npz": Kind(_archives, _take_archive),
}
