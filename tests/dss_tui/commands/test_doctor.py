"""`dss-tui doctor`: its table, its line for bug reports, its JSON, and its exit status."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from dss_tui.cli import main
from dss_tui.commands import doctor
from dss_tui.commands.doctor import last_line
from engine import __version__
from engine.doctor.findings import Begun, Finding, State
from engine.doctor.process import Message, Stopped
from engine.record.signals import Signals

NUMBA = Finding(
    "compiled code",
    State.WRONG,
    "numba cannot be imported: small fully connected networks train many times slower",
    "pip install numba",
    brief="no numba",
)
CPU = Finding("cpu", State.OK, "2 cores", brief="cpu 2 cores", measured={"cores": 2})
DATA = Finding("data sets", State.NOTE, "DSS_TUI_DATA is not set", "export DSS_TUI_DATA=FOLDER")
LONG = Finding("cuda:0,cuda:1 resnet", State.OK, "vmap, graph and loop: losses to 1e-07, " * 3)


def found(monkeypatch: pytest.MonkeyPatch, *messages: Message) -> None:
    """Lets these messages come."""
    monkeypatch.setattr(doctor, "everything", lambda signals: iter(messages))


def test_a_machine_on_which_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(
        monkeypatch,
        Begun("cpu", "devices", 1, 2),
        CPU,
        Begun("data sets", "folders", 2, 2),
        DATA,
        LONG,
    )
    assert main(["doctor"]) == 0
    said = capsys.readouterr()
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert lines[:7] == [
        "",
        "devices",
        "ok    cpu            2 cores",
        "",
        "folders",
        "note  data sets      DSS_TUI_DATA is not set",
        "                     remedy: export DSS_TUI_DATA=FOLDER",
    ]
    assert max(map(len, lines)) <= 80
    assert "Nothing is wrong. 3 things were looked at." in lines
    assert lines[-1] == f"dss-tui {__version__}; cpu 2 cores; 2 ok, 1 note, 0 wrong"
    assert said.err.splitlines() == ["looking at cpu (1 of 2) …", "looking at data sets (2 of 2) …"]


def test_something_wrong_is_told_without_colours_and_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, Begun("cpu", "devices", 1, 2), CPU, Begun("x", "computing", 2, 2), NUMBA)
    assert main(["doctor"]) == 3
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "WRONG compiled code  numba cannot be imported: small fully connected" in out
    assert "                     remedy: pip install numba" in out
    assert "Wrong: compiled code. Each row says what to do." in out
    assert out.splitlines()[-1].endswith(
        "; cpu 2 cores; no numba; 1 ok, 0 note, 1 wrong; wrong: compiled code"
    )


def test_all_of_it_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, Begun("cpu", "devices", 1, 2), CPU, NUMBA)
    assert main(["doctor", "--json"]) == 3
    said = capsys.readouterr()
    tree = json.loads(said.out)
    assert (tree["version"], tree["well"]) == (__version__, False)
    assert tree["line"] == last_line([CPU, NUMBA])
    assert tree["findings"][0] == {
        "what": "cpu",
        "state": "ok",
        "found": "2 cores",
        "remedy": "",
        "brief": "cpu 2 cores",
        "measured": {"cores": 2},
    }
    assert said.err == "looking at cpu (1 of 2) …\n"
    found(monkeypatch, CPU)
    assert main(["doctor", "--json"]) == 0


def test_it_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def everything(signals: Signals) -> Iterator[Message]:
        yield CPU
        signals.ask(signal.SIGTERM)
        raise Stopped

    monkeypatch.setattr(doctor, "everything", everything)
    assert main(["doctor"]) == 128 + signal.SIGTERM
    said = capsys.readouterr()
    assert "ok    cpu" in said.out and "stopped before all was looked at" in said.err


def test_bad_usage_has_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--fast"])
    assert end.value.code == 2
    assert "--fast" in capsys.readouterr().err


def test_the_terminal_is_looked_at_first_and_then_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    def examined(environment: object, stopped: object) -> Iterator[Message]:
        assert callable(stopped)
        asked.append(stopped())
        yield CPU

    monkeypatch.setattr(doctor, "examined", examined)
    with Signals() as signals:
        every = list(doctor.everything(signals))
    assert every[0] == Begun("terminal", "terminal", 1, 3)
    assert [each.name for each in every if isinstance(each, Begun)] == [
        *("terminal", "colours", "characters"),
        *("versions", "data sets", "runs folder", "cache folder"),
    ]
    assert every[-1] == CPU and asked == [False]
