"""How a level came about, in words and through JSON."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

from engine.record.bracket import Bracket
from engine.record.decoding import decode, parse_json
from engine.record.events import dump_json

TRYING = Bracket("lowest", ends=0.01, line=2.0, found=0.05, failed=0.03, tries=4)


def test_what_is_not_known_survives_a_file() -> None:
    again = decode(Bracket, parse_json(dump_json(Bracket("lowest", ends=0.01))))
    assert again.ends == 0.01 and isnan(again.found) and isnan(again.failed)
    assert decode(Bracket, parse_json(dump_json(TRYING))) == TRYING


def test_words_for_screens() -> None:
    assert Bracket("lowest").words == "lowest, known once both ends are there"
    assert TRYING.words == "lowest: ends 0.01, failed at 0.03, best string 0.05, try 4"
    times = Bracket("1.5 × the worse end", ends=0.01, found=0.2, tries=1, settled=True)
    assert times.words == "1.5 × the worse end: ends 0.01"


def test_sentences_say_that_it_is_an_upper_bound() -> None:
    ended = Bracket("lowest", 0.01, 2.0, 0.0505, 0.05, 9, settled=True, resolution=0.02)
    assert ended.told(0.051) == (
        "The lowest level found between these ends is 0.051, in 9 tries. It is an upper bound of "
        "the lowest peak of all paths between them: the search failed at 0.05, and the worse end "
        "has 0.01."
    )
    flat = Bracket("lowest", 0.01, 2.0, 0.0101, tries=1, settled=True, resolution=0.02)
    assert flat.told(0.0102) == (
        "The lowest level found between these ends is 0.0102, in 1 try. It is an upper bound of "
        "the lowest peak of all paths between them, none of which is lower than the worse end, "
        "which has 0.01."
    )
    assert TRYING.told(0.04) == "The level is still sought; the best string so far rises to 0.05."


def test_the_tries_that_are_left_halve_what_lies_between() -> None:
    """From 0.03, where it failed, to 0.05 is 51 times 1 %, which 6 halvings bring below 1."""
    narrow = replace(TRYING, resolution=0.02)
    assert narrow.tries_left == 6
    assert (
        narrow.words == "lowest: ends 0.01, failed at 0.03, best string 0.05, try 4, about 6 more"
    )
    assert replace(narrow, failed=nan).tries_left == 8  # from the ends' 0.01
    assert replace(narrow, found=0.0301).tries_left == 0
    for unknown in (TRYING, replace(narrow, settled=True), replace(narrow, found=nan)):
        assert unknown.tries_left is None
