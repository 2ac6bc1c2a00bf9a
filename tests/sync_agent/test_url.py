"""The hub's address."""

from __future__ import annotations

import pytest

from sync_agent.errors import InsecureUrl, InvalidConfig
from sync_agent.url import check_plain, parse_url


@pytest.mark.parametrize(
    ("text", "written", "loopback"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("http://localhost", "http://localhost", True),
        ("http://[::1]:80/", "http://[::1]", True),
        ("http://127.9.9.9:1", "http://127.9.9.9:1", True),
        ("https://Hub.Example.COM./memory/", "https://hub.example.com/memory", False),
        ("  https://hub.example.com:8443 ", "https://hub.example.com:8443", False),
        ("http://localhost.example.com", "http://localhost.example.com", False),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080", False),
    ],
)
def test_reads_an_address(text: str, written: str, loopback: bool) -> None:
    url = parse_url(text)
    assert str(url) == written
    assert url.loopback is loopback
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "hub", "ftp://hub", "http://", "http://a b", "http://hub:99999", "http://hub:x",
        "http://user:pw@hub", "http://hub?x=1", "http://hub#x", "http://[::1", "//hub",
        "http://" + "a" * 70 + ".com", "file:///etc/passwd", "http://hub\r\nX: y",
    ],
)  # fmt: skip
def test_refuses_what_is_none(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_url(text)
    assert "pw" not in str(caught.value)


def test_plain_http_to_another_machine_must_be_allowed() -> None:
    far = parse_url("http://hub.example.com")
    with pytest.raises(InsecureUrl, match="MEMCTX_ALLOW_HTTP"):
        check_plain(far, allowed=False)
    check_plain(far, allowed=True)
    check_plain(parse_url("https://hub.example.com"), allowed=False)
    check_plain(parse_url("http://localhost:1"), allowed=False)
