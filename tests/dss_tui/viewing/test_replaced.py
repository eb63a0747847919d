"""dss-tui that was installed anew while it runs: what means so, and what is said."""

from __future__ import annotations

import sys

import pytest

from dss_tui.cli import main
from dss_tui.viewing.replaced import SENTENCE, replaced


def failure(statement: str) -> ImportError:
    with pytest.raises(ImportError) as caught:
        exec(statement)
    return caught.value


def test_modules_and_names_of_ours_that_are_gone_mean_it() -> None:
    for statement in ("import engine.no_such_module", "from dss_tui.cli import no_such_name"):
        assert replaced(failure(statement))


def test_other_failures_do_not() -> None:
    assert not replaced(failure("import no_such_package"))
    assert not replaced(ImportError("a library of the system is missing"))
    assert not replaced(ValueError("engine"))


def test_a_command_that_is_gone_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "dss_tui.commands.data", None)
    monkeypatch.delattr("dss_tui.commands.data", raising=False)  # where it was imported before
    assert main(["data"]) == 1
    assert capsys.readouterr().err == f"dss-tui: {SENTENCE}\n"
