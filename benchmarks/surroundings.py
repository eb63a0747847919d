"""Every command in hostile surroundings: locales, terminals, streams, limits, folders, permissions.

`python -m benchmarks.surroundings` makes a small run and tries each command in each of the
surroundings, in a process of its own. It must end in time, with a promised exit status, in
sentences and never in a traceback; where the surroundings allow what is asked for, with the status
that it has elsewhere. `--only WORDS` takes the surroundings whose names hold one of these words,
`--quick` the commands that compute nothing. The exit status is 1 where anything was wrong.

Root is not bound by permissions; where the program is run by root, it gives that up by `setpriv`.
Surroundings that need namespaces are left out where `unshare` is refused.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

HOME = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-P", "-m", "dss_tui")
SMALL = ("--set", "problem.data.points=64", "--set", "search.level=1e-2", "--seed", "2")
#: The exit statuses that are promised; signals add theirs to 128.
PROMISED = {0, 1, 2, 3, 141}
#: What nothing may say.
NEVER = ("Traceback (most recent call last)", "Exception ignored", "Fatal Python error")
#: The seconds after which a command counts as hanging.
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Place:
    """The folders of all trials."""

    root: Path

    @property
    def runs(self) -> Path:
        """The runs folder, with a run of the name *run*."""
        return self.root / "runs"

    @property
    def string(self) -> str:
        """The string of the run."""
        return str(self.runs / "run" / "string.safetensors")

    def new(self, name: str) -> str:
        """A path at which nothing is."""
        path = self.root / "new" / name
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True) if path.is_file() else None
        path.parent.mkdir(exist_ok=True)
        return str(path)


#: The commands: those that compute nothing, and those that do.
Commands = Mapping[str, Callable[[Place], list[str]]]
LIGHT: Commands = {
    "--version": lambda at: ["--version"],
    "--help": lambda at: ["--help"],
    "menu": lambda at: [],
    "unknown": lambda at: ["unknown"],
    "ls": lambda at: ["ls"],
    "presets": lambda at: ["presets"],
    "presets NAME": lambda at: ["presets", "digits"],
    "data": lambda at: ["data"],
    "diagnose": lambda at: ["diagnose", "run"],
    "stop": lambda at: ["stop", "run"],
    "attach": lambda at: ["attach", "run"],
    "resume": lambda at: ["resume", "run"],
    "no such run": lambda at: ["attach", "x" * 300],
    "bytes": lambda at: ["diagnose", os.fsdecode(b"caf\xe9\x1b[31m")],
    "export": lambda at: ["export", "run", "--out", at.new("s.npz")],
}
HEAVY: Commands = {
    "run": lambda at: ["run", "quadratic", *SMALL, "--headless", "--out", at.new("run")],
    "run --json": lambda at: ["run", "quadratic", *SMALL, "--json", "--out", at.new("json")],
    "shorten": lambda at: ["shorten", "run", "--headless", "--out", at.new("short")],
    "verify": lambda at: ["verify", at.string],
    "verify --certify": lambda at: ["verify", at.string, "--certify"],
    "measure": lambda at: ["measure", at.string, "--what", "gradient"],
    "plane": lambda at: ["measure", at.string, "--plane", "1,2,3"],
    "barrier": lambda at: ["barrier", at.string, "--no-certify"],
    "align": lambda at: ["align", at.string, "--out", at.new("b.pt")],
    "sweep": lambda at: [
        *("sweep", "quadratic", *SMALL[:2], "--levels", "1e-2", "--pairs", "1", "--headless"),
        *("--out", at.new("sweep")),
    ],
    "compare": lambda at: [
        *("compare", "quadratic", *SMALL[:4], "--methods", "greedy", "--pairs", "1"),
        *("--headless", "--out", at.new("compare")),
    ],
}


@dataclass(frozen=True)
class Surroundings:
    """What is special about a process and what is around it."""

    name: str
    env: Mapping[str, str | None] = field(default_factory=dict)
    """Variables that are set, or with None taken away."""
    cwd: Callable[[Place], str] = lambda at: str(at.root)
    limits: Mapping[int, int] = field(default_factory=dict)
    out: str = "pipe"
    """Where standard output goes: pipe, /dev/full, closed, or broken."""
    errors: str = "pipe"
    """Where standard error goes, likewise."""
    given: str = "null"
    """Where standard input comes from: null or closed."""
    before: str = ""
    """A line of the shell that comes first; $HOME, $ROOT and $RUNS are set there."""
    namespace: bool = False
    """Whether the line needs a namespace of its own for what is mounted."""
    bound: bool = False
    """Whether root gives up its right to pass by permissions."""
    same: bool = True
    """Whether every command ends as it does elsewhere."""


def everything() -> Iterator[Surroundings]:
    """Yields all surroundings."""
    yield from _of_encodings()
    yield from _of_terminals()
    yield from _of_python()
    yield from _of_folders()
    yield from _of_streams()
    yield from _of_limits()


def _of_encodings() -> Iterator[Surroundings]:
    for encoding in ("ascii", "ascii:strict", "latin-1:strict", "cp437", "utf-16", "koi8-r"):
        yield Surroundings(f"encoding {encoding}", {"PYTHONIOENCODING": encoding})
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    yield Surroundings("locale C without UTF-8", plain)
    yield Surroundings("locale POSIX", {"LC_ALL": "POSIX"})
    yield Surroundings("locale that is not there", {"LC_ALL": "xx_YY.ISO-8859-1"})
    yield Surroundings("locale Latin-1", {"LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0"})


def _of_terminals() -> Iterator[Surroundings]:
    for term in (None, "", "dumb", "no-such-terminal"):
        yield Surroundings(f"TERM {term!r}", {"TERM": term})
    for columns in ("0", "-5", "many", "1", "100000"):
        yield Surroundings(f"COLUMNS {columns}", {"COLUMNS": columns, "LINES": columns})
    yield Surroundings("NO_COLOR", {"NO_COLOR": "1", "FORCE_COLOR": "1"})


def _of_python() -> Iterator[Surroundings]:
    yield Surroundings("warnings as errors", {"PYTHONWARNINGS": "error"})
    yield Surroundings("NUMBA_DISABLE_JIT", {"NUMBA_DISABLE_JIT": "1"})
    yield Surroundings("PYTHONOPTIMIZE 2", {"PYTHONOPTIMIZE": "2"})
    yield Surroundings("PYTHONSAFEPATH", {"PYTHONSAFEPATH": "1"})
    yield Surroundings("PYTHONDEVMODE", {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "default"})
    yield Surroundings("no bytecode", {"PYTHONDONTWRITEBYTECODE": "1"})


def _of_folders() -> Iterator[Surroundings]:
    yield Surroundings("no HOME", {"HOME": None})
    yield Surroundings("HOME missing", {"HOME": "/nowhere/at/all"})
    yield Surroundings("HOME a file", {"HOME": "/dev/null"})
    yield Surroundings("HOME relative", {"HOME": "some/where"})
    yield Surroundings("TMPDIR missing", {"TMPDIR": "/nowhere"})
    yield Surroundings("HOME read-only", before="chmod 555 $HOME", bound=True)
    yield Surroundings("HOME closed", before="chmod 0 $HOME", bound=True)
    yield Surroundings(
        "HOME full",
        before="mount -t tmpfs -o size=4k none $HOME && cat /dev/zero > $HOME/full",
        namespace=True,
    )
    yield Surroundings(
        "cache full",
        {"DSS_TUI_CACHE": "/tmp/full", "NUMBA_CACHE_DIR": "/tmp/full/numba"},
        before="mkdir -p /tmp/full; mount -t tmpfs -o size=4k none /tmp/full "
        "&& cat /dev/zero > /tmp/full/full",
        namespace=True,
    )
    yield Surroundings("no /proc", before="mount -t tmpfs none /proc", namespace=True)
    yield Surroundings("no /tmp", before="mount -t tmpfs -o ro none /tmp", namespace=True)
    yield Surroundings("runs closed", before="chmod 0 $RUNS", bound=True, same=False)
    yield Surroundings("run closed", before="chmod 0 $RUNS/run", bound=True, same=False)
    yield Surroundings("run's files closed", before="chmod 0 $RUNS/run/*", bound=True, same=False)
    yield Surroundings("run read-only", before="chmod -R a-w $RUNS/run", bound=True)
    yield Surroundings("new folder read-only", before="chmod 555 $ROOT/new", bound=True, same=False)
    gone = "mkdir $ROOT/x; cd $ROOT/x; rmdir $ROOT/x"
    yield Surroundings("current folder gone", before=gone, same=False)
    yield Surroundings(
        "current folder closed", before="mkdir $ROOT/x; cd $ROOT/x; chmod 0 $ROOT/x", bound=True
    )
    yield Surroundings(
        "current folder no UTF-8", before=r"D=$(printf $ROOT/'\351'); mkdir $D; cd $D"
    )


def _of_streams() -> Iterator[Surroundings]:
    yield Surroundings("stdout /dev/full", out="/dev/full", same=False)
    yield Surroundings("stderr /dev/full", errors="/dev/full")
    yield Surroundings("stdout broken", out="broken", same=False)
    yield Surroundings("stderr broken", errors="broken")
    yield Surroundings("stdout closed", out="closed")
    yield Surroundings("stderr closed", errors="closed")
    yield Surroundings("stdin closed", given="closed")
    yield Surroundings("all closed", out="closed", errors="closed", given="closed")


def _of_limits() -> Iterator[Surroundings]:
    yield Surroundings("32 descriptors", limits={resource.RLIMIT_NOFILE: 32}, same=False)
    yield Surroundings("12 descriptors", limits={resource.RLIMIT_NOFILE: 12}, same=False)
    for gib in (0.25, 1, 2, 4):
        size = int(gib * 2**30)
        yield Surroundings(
            f"{gib:g} GiB of addresses", limits={resource.RLIMIT_AS: size}, same=False
        )
    yield Surroundings("files of 4 KiB", limits={resource.RLIMIT_FSIZE: 4096}, same=False)
    yield Surroundings("no core", limits={resource.RLIMIT_CORE: 0})


# ---------------------------------------------------------------- trials


@dataclass(frozen=True)
class Answer:
    """What came of one trial."""

    status: int | None
    """The exit status; None where it did not end."""
    said: str

    def fault(self, usual: int, *, same: bool) -> str:
        """What is wrong with it, or "" for nothing; `usual` is the status elsewhere."""
        if self.status is None:
            return "hangs"
        for never in NEVER:
            if never in self.said:
                return next(iter(reversed(self.said.strip().splitlines())), never)
        if self.status not in PROMISED:
            return f"status {self.status}: {self.said.strip()[-200:]}"
        if same and self.status != usual:
            return f"status {self.status} in place of {usual}: {self.said.strip()[-200:]}"
        return ""


def tried(place: Place, arguments: list[str], around: Surroundings) -> Answer:
    """Runs a command in surroundings and returns what came of it."""
    environment = usual_environment(place) | {k: v for k, v in around.env.items() if v is not None}
    for name, value in around.env.items():
        if value is None:
            environment.pop(name, None)
    command = _command(around, arguments)
    with tempfile.TemporaryFile() as said, ExitStack() as opened:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=around.cwd(place),
            preexec_fn=lambda: _enter(around),
            stdin=subprocess.DEVNULL,
            stdout=_stream(around.out, said, opened),
            stderr=_stream(around.errors, said, opened),
        )
        try:
            status: int | None = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        said.seek(0)
        return Answer(status, said.read().decode(errors="replace"))


def _stream(kind: str, said: IO[bytes], opened: ExitStack) -> IO[bytes]:
    """Returns a stream of a kind for a process to write to, which ends with what is opened."""
    if kind == "/dev/full":
        return opened.enter_context(open(kind, "wb", buffering=0))
    if kind == "broken":
        reading, writing = os.pipe()
        os.close(reading)
        return opened.enter_context(os.fdopen(writing, "wb"))
    return said


def _enter(around: Surroundings) -> None:
    """Goes into the surroundings, in the new process."""
    for number, closed in ((0, around.given), (1, around.out), (2, around.errors)):
        if closed == "closed":
            os.close(number)
    for limit, value in around.limits.items():
        resource.setrlimit(limit, (value, value))


def _command(around: Surroundings, arguments: list[str]) -> list[str]:
    """Returns the command line of a trial."""
    command = [*COMMAND, *arguments]
    if around.bound and os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    if around.before:
        command = ["sh", "-c", f'{around.before}; exec "$@"', "sh", *command]
    return ["unshare", "-m", *command] if around.namespace else command


def usual_environment(place: Place) -> dict[str, str]:
    """Returns the environment of a user whose folders are those of the trials."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DSS_TUI_DATA")
    cache = os.environ.get("DSS_TUI_CACHE", str(Path("~/.cache/dss-tui").expanduser()))
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(place.root / "home"),
        "ROOT": str(place.root),
        "RUNS": str(place.runs),
        "DSS_TUI_RUNS": str(place.runs),
        "DSS_TUI_CACHE": cache,
        "PYTHONPATH": str(HOME),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
    }


def restored(place: Place) -> None:
    """Makes everything as it was before the first trial."""
    subprocess.run(["chmod", "-R", "u+rwX", str(place.root)], check=True)
    for name in ("home", "new", "x"):
        shutil.rmtree(place.root / name, ignore_errors=True)
    (place.root / "home").mkdir()
    (place.root / "new").mkdir()
    shutil.rmtree(place.runs, ignore_errors=True)
    shutil.copytree(place.root / "kept", place.runs)


def made(root: Path) -> Place:
    """Returns the place of the trials, with a run that has connected."""
    place = Place(root)
    (root / "home").mkdir()
    (root / "kept").mkdir()
    out = str(root / "kept" / "run")
    subprocess.run(
        [*COMMAND, "run", "quadratic", *SMALL, "--headless", "--out", out],
        env=usual_environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return place


def main() -> int:
    """Tries everything, prints what is wrong and a table of counts, and returns the status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORDS")
    parser.add_argument("--commands", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    commands = {**LIGHT, **({} if asked.quick else HEAVY)}
    if asked.commands:
        commands = {name: each for name, each in commands.items() if name in asked.commands}
    chosen = [
        each
        for each in everything()
        if not asked.only or any(word in each.name for word in asked.only)
    ]
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="surroundings-") as root:
        place = made(Path(root))
        usual = {}
        for name, arguments in commands.items():
            restored(place)
            usual[name] = tried(place, arguments(place), Surroundings("usual")).status or 0
        can_mount = subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
        for around in chosen:
            if around.namespace and not can_mount:
                print(f"{around.name:28} left out: no namespaces here")
                continue
            counts: Counter[str] = Counter()
            for name, arguments in commands.items():
                restored(place)
                answer = tried(place, arguments(place), around)
                fault = answer.fault(usual[name], same=around.same)
                counts["tried"] += 1
                counts["lost" if fault else "survived"] += 1
                if fault:
                    print(f"  {around.name}: {name}: {fault}", flush=True)
            total += counts
            print(f"{around.name:28} {counts['survived']:3} of {counts['tried']}", flush=True)
        restored(place)
    print(f"in all {total['tried']} tried, {total['survived']} survived, {total['lost']} lost")
    return int(total["lost"] > 0)


if __name__ == "__main__":
    sys.exit(main())
