"""Attention without fused kernels, on several threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import torch

from engine.backends.attention import plain_attention


def test_attention_stays_plain_until_the_last_thread_has_left() -> None:
    """torch's own context lets the first thread that leaves switch kernels on for all others."""
    switched: Callable[[], bool] = torch.backends.cuda.flash_sdp_enabled
    inside, left = Event(), Event()
    seen: list[bool] = []

    def second() -> None:
        with plain_attention():
            inside.set()
            assert left.wait(60)
            seen.append(switched())
        seen.append(switched())

    thread = Thread(target=second)
    with plain_attention():
        thread.start()
        assert inside.wait(60)
        assert not switched()
    left.set()
    thread.join()
    assert seen == [False, True]
    assert switched()
