"""The process that makes the checks: what it says, how it dies, and that another one goes on."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cache import warn_of_compiling
from engine.doctor import checks as module
from engine.doctor import process
from engine.doctor.__main__ import Warned, findings, main
from engine.doctor.findings import REPORT, Begun, Check, Finding, State
from engine.doctor.process import Message, Stopped, examined, message_of

#: A process that makes three checks: one works, one does what it is told to, one works.
CHILD = """
import json, os, signal, sys, time

def say(**message):
    print(json.dumps(message), flush=True)

for number in range(int(sys.argv[1]) + 1, 4):
    say(begun=dict(name=f"check {{number}}", part="tests", number=number, of=3))
    if number == 2:
        print("a driver complains", file=sys.stderr, flush=True)
        {fault}
    say(finding=dict(what=f"check {{number}}", state="ok", found="it works"))
"""


def made(tmp_path: Path, fault: str, silent_s: float = 180.0) -> Iterator[Message]:
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(fault=fault))
    return examined(os.environ, command=[sys.executable, str(script)], silent_s=silent_s)


def begun(number: int) -> Begun:
    return Begun(f"check {number}", "tests", number, 3)


def works(number: int) -> Finding:
    return Finding(f"check {number}", State.OK, "it works")


def test_all_messages_come(tmp_path: Path) -> None:
    expected = [each for number in (1, 2, 3) for each in (begun(number), works(number))]
    assert list(made(tmp_path, "pass")) == expected


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "its process ended by SIGSEGV: a driver complains",
        ),
        ("os._exit(7)", "its process ended with status 7: a driver complains"),
        ("raise MemoryError('no room')", "its process ended with status 1: MemoryError: no room"),
    ],
)
def test_a_check_of_which_the_process_dies_is_wrong_and_the_others_go_on(
    tmp_path: Path, fault: str, words: str
) -> None:
    assert list(made(tmp_path, fault)) == [
        begun(1),
        works(1),
        begun(2),
        Finding("check 2", State.WRONG, words, REPORT),
        begun(3),
        works(3),
    ]


def test_a_check_that_hangs_is_given_up(tmp_path: Path) -> None:
    found = list(made(tmp_path, "time.sleep(1000)", silent_s=2.0))
    assert Finding("check 2", State.WRONG, "it did not answer within 2 s", REPORT) in found
    assert found[-1] == works(3)


def test_a_process_that_cannot_begin(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text("raise ImportError('no torch')")
    (found,) = examined(os.environ, command=[sys.executable, str(script)])
    assert isinstance(found, Finding) and found.what == "torch"
    assert found.found == "its process ended with status 1: ImportError: no torch"


def test_it_stops_when_asked(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(fault="time.sleep(1000)"))
    seen: list[Message] = []
    with pytest.raises(Stopped):
        for message in examined(
            os.environ, lambda: len(seen) >= 3, command=[sys.executable, str(script)]
        ):
            seen.append(message)
    assert seen == [begun(1), works(1), begun(2)]


def test_the_command_checks_this_machine() -> None:
    """Of the real command only its first message is awaited."""
    with process.Process([*process.COMMAND, "0"], os.environ, process.SILENT_S) as running:
        first = next(running.messages(lambda: False))
    assert first == Begun("cpu", "devices", 1, first.of)  # type: ignore[union-attr]


# ---------------------------------------------------------------- within the process


def test_messages_are_read_as_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Finding("one", State.NOTE, "found", "remedy", "brief", {"x": 1.5})
    every = [Check("one", "a", lambda: [one]), Check("two", "b", lambda: [works(2)])]
    monkeypatch.setattr(module, "checks", lambda: every)
    stream = io.StringIO()
    main(0, stream)
    assert list(map(message_of, stream.getvalue().splitlines())) == [
        Begun("one", "a", 1, 2),
        one,
        Begun("two", "b", 2, 2),
        works(2),
    ]
    stream = io.StringIO()
    main(1, stream)
    assert len(stream.getvalue().splitlines()) == 2


def test_warnings_of_the_engine_are_notes_and_each_comes_once() -> None:
    log, warned = logging.getLogger("engine"), Warned()
    log.addHandler(warned)
    try:

        def look() -> Iterator[Finding]:
            log.warning("no CUDA graphs here (%s)", "a reason")
            log.info("of no interest")
            warn_of_compiling()
            yield works(1)

        check = Check("cuda:0 cnn", "computing", look)
        note = Finding("cuda:0 cnn", State.NOTE, "no CUDA graphs here (a reason)")
        assert list(findings(check, warned)) == [works(1), note]
        assert list(findings(check, warned)) == [works(1)]
    finally:
        log.removeHandler(warned)
