"""How a level came about, in words and through JSON."""

from __future__ import annotations

from math import isnan

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
