"""Findings: what a check raises becomes one."""

from __future__ import annotations

from collections.abc import Iterator

from engine.doctor.findings import REPORT, Check, Finding, State, looked, plainly

FINE = Finding("something", State.OK, "it works")


def test_what_a_check_raises_is_a_finding_with_its_sentence() -> None:
    def look() -> Iterator[Finding]:
        yield FINE
        raise OSError("the disk\n   is gone")

    assert list(looked(Check("disk", "folders", look))) == [
        FINE,
        Finding("disk", State.WRONG, "OSError: the disk is gone", REPORT),
    ]


def test_errors_are_told_in_one_short_line() -> None:
    assert plainly(KeyError()) == "KeyError"
    assert len(plainly(ValueError("x" * 5000))) < 400
