"""The addresses of clusters, and what is said of them."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.run.cluster.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local:2", Address("local:2", "local", 2)),
        ("tcp://box:8786", Address("tcp://box:8786", "tcp")),
        ("tls://10.0.0.3:8786", Address("tls://10.0.0.3:8786", "tls")),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "local", "local:", "local:0", "local:9999", "8786", "tcp://box", "http://box:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--cluster: is .*; give "):
        parse_address(text)


def test_only_an_open_address_is_warned_of() -> None:
    warning = parse_address("tcp://box:8786").warning
    assert warning is not None
    assert "can run code" in warning
    assert "tls://" in warning
    assert parse_address("tls://box:8786").warning is None
    assert parse_address("local:2").warning is None
