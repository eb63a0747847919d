"""Whether the terminal shows pictures in pixels, by sixel or by kitty's protocol.

The library is textual-image (the extra `images`). It asks the terminal while it is imported, and
reads the answers from the keyboard's stream, so both have to happen before the application starts.
Most terminals show no pictures: one question of our own, which every terminal answers at once,
spares them the import. Over SSH, where a picture takes long, nothing is asked unless the user's
settings say so.
"""

from __future__ import annotations

import os
import re
import sys
import termios
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dss_tui.viewing import question

if TYPE_CHECKING:
    from textual_image.widget import SixelImage, TGPImage

    Picture = type[SixelImage] | type[TGPImage]

#: Asks for kitty's protocol by a picture of one pixel that is not shown, and then for the device's
#: attributes, which come last, so that no answer to the first is an answer too.
QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
ATTRIBUTES, SIXEL = re.compile(rb"\x1b\[\?([\d;]*)c"), b"4"
KITTY = b"\x1b_Gi=31;OK"

#: The widget for a picture, None where the terminal shows none or was not asked.
_found: Picture | None = None


def ask(wanted: bool | None) -> None:
    """Asks the terminal whether it shows pictures, and notes the widget for them.

    `wanted` says whether to ask; None means everywhere but over SSH. To be called before the
    application starts.
    """
    global _found  # a terminal is asked once for the whole process
    _found = None
    if wanted is False or (wanted is None and "SSH_CONNECTION" in os.environ):
        return
    if find_spec("textual_image") is None:
        return
    answer = b""
    with suppress(OSError, ValueError, AttributeError, termios.error):  # it is no terminal
        streams = (sys.__stdin__.fileno(), sys.__stdout__.fileno())  # type: ignore[union-attr]
        answer = question.answer(QUESTION, ATTRIBUTES, *streams)
    attributes = ATTRIBUTES.search(answer)
    if attributes is not None and SIXEL in attributes[1].split(b";"):
        from textual_image.widget import SixelImage

        _found = SixelImage
    elif KITTY in answer:
        from textual_image.widget import TGPImage

        _found = TGPImage


def picture() -> Picture | None:
    """Returns the widget for a picture, or None where the terminal shows none."""
    return _found
