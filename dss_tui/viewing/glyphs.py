"""What is shown in place of characters that the encoding of the terminal or of a file lacks.

Two tables, as error handlers of Python's encoders: `TEXT` for lines that people read, where an
ellipsis may become three dots, and `SCREEN` for screens, where each character keeps its width.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable

#: The names by which streams are told to use these tables.
TEXT, SCREEN = "dss_tui.text", "dss_tui.screen"

#: The stand-ins of the same width, written in the order of what they stand for.
_PAIRS = (
    ("─━╌╍┄┅┈┉╴╶╸╺╼╾–—−‐‑‒", "-" * 20),
    ("═", "="),
    ("│┃╎╏┆┇┊┋║╵╷╹╻▏▎▍▕▐▌", "|" * 19),
    ("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬", "+" * 31),
    ("▁▂▃▄▅▆▇█▔▀▖▗▘▙▚▛▜▝▞▟■▪◼▮□", "..::=+*#-^..'#%##'%#####o"),
    ("░▒▓", ".:%"),
    ("●◉◆▲▼•∙·", "@@*^v***"),
    ("○◌◇△▽◦", "oo<^vo"),
    ("←↑→↓↔↕⇐⇒", "<^>v-|<>"),
    ("✓✔✗✘×⋯…", "vvxxx.."),
    ("≤≥≈≠±∞", "<>~!~8"),
    ("“”„‘’‚«»", "\"\"\"''''\""),
    ("²³¹°µ", "231ou"),
    ("αβγδεζηθλμπρστφψωΔΣΦΩ", "abgdezhtlmprstfywDSFO"),
    ("╱╲╳✕‖√′″⟨⟩∘∫", "/\\xx|v'\"<>oS"),
    ("§½÷κ‹›∇∈⁻₋", "Sh/k<>Ve--"),
    ("▸▹►▶▷◂◃◄◀◁", ">>>>><<<<<"),
)
_SAME_WIDTH = {
    glyph: plain for glyphs, plains in _PAIRS for glyph, plain in zip(glyphs, plains, strict=True)
}

#: The stand-ins of lines that people read, where these are wider.
_WIDER = {
    "…": "...",
    "⋯": "...",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "±": "+/-",
    "∞": "inf",
    "→": "->",
    "←": "<-",
    "↔": "<->",
    "⇒": "=>",
    "«": '"',
    "°": " deg",
    "½": "1/2",
    "§": "section ",
    "\N{NO-BREAK SPACE}": " ",
}

#: A braille character holds a dot for each of its low eight bits.
_BRAILLE = range(0x2800, 0x2900)


def for_screen(letter: str) -> str:
    """Returns ASCII in place of a character, of the same width in cells."""
    if ord(letter) in _BRAILLE:
        return " .:*#"[min(4, (ord(letter) - _BRAILLE.start).bit_count())]
    return _SAME_WIDTH.get(letter) or _decomposed(letter)


def for_text(letter: str) -> str:
    """Returns ASCII in place of a character, of whatever width."""
    return _WIDER.get(letter) or for_screen(letter)


def _decomposed(letter: str) -> str:
    """Returns a letter without its accents where that is ASCII, else question marks."""
    from rich.cells import cell_len  # only now, since few streams lack anything

    width = cell_len(letter)
    bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return bare if bare and len(bare) == width else "?" * width


def _handler(replaced: Callable[[str], str]) -> Callable[[UnicodeError], tuple[str, int]]:
    """Returns the handler that replaces each character which cannot be encoded."""

    def handle(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        lost = error.object[error.start : error.end]
        return "".join(map(replaced, lost)), error.end

    return handle


codecs.register_error(TEXT, _handler(for_text))
codecs.register_error(SCREEN, _handler(for_screen))
