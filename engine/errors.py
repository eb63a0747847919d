"""The ways in which something can go wrong that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: What Python says where there is no memory for one more thread.
NO_THREAD = "can't start new thread"


class InputError(Exception):
    """Raised for bad input, with one sentence that names the place and the remedy.

    The command line ends with status 2.
    """

    def __init__(self, what: str, *, file: object = None, key: str | None = None) -> None:
        """Makes the sentence of the file and the dotted key, where they are given, and `what`.

        The three parts stay at hand as attributes, so that a form can show `what` at its field.
        """
        self.file, self.key, self.what = file, key, what
        place = [str(part) for part in (file, key) if part is not None]
        super().__init__(": ".join([*place, what]))


class SaveError(Exception):
    """Raised where a file of a run cannot be written. Files that were saved before are still good.

    The command line ends with status 1.
    """


class CompilerMemoryError(MemoryError):
    """Raised where there is too little memory to compile code or to load it.

    Computing in smaller pieces does not help.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns a clause that asks whether the most similar known word was meant.

    Where no word is similar enough, the clause lists the known words instead.
    """
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose from {', '.join(words)}"


def listed(words: Iterable[str], most: int = 4) -> str:
    """Returns words as a list in a sentence; of more than `most` only the number is told."""
    every = list(words)
    shown = every[:most]
    if len(every) > most:
        return f"{', '.join(shown)} and {len(every) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
