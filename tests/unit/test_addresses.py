"""Which addresses a webhook or a connector may have, and that it is the checked address that is called."""

import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from enrollment.outbound.addresses import ForbiddenAddress, is_public, require_allowed, resolve

type Resolving = Callable[..., None]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Resolving:
    """Let a name lead to addresses: to the first ones at the first look, and so on."""

    def resolve_to(*answers: list[str]) -> None:
        left = list(answers)

        def getaddrinfo(_: str, port: int, **__: Any) -> list[tuple[Any, ...]]:
            found = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        monkeypatch.setattr("enrollment.outbound.addresses.socket.getaddrinfo", getaddrinfo)

    return resolve_to


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com/", "Must be an https URL"),
        ("ftp://example.com/", "Must be an https URL"),
        ("https://", "Must be an https URL"),
        ("example.com", "Must be an https URL"),
        ("https://exämple.com/", "Must be an https URL"),
        ("https://example.com/a b", "Must be an https URL"),
        ("https://example.com:0/", "Must be an https URL"),
        ("https://example.com:99999/", "Invalid url"),
        ("https://[::1/", "Invalid url"),
        ("https://user@example.com/", "Must not have a user or a password"),
        ("https://user:made-up-word@example.com/", "Must not have a user or a password"),
        ("https://example.com/#part", "Must not have a fragment"),
    ],
)
def test_a_url_that_is_not_as_it_should_be_is_refused(resolving: Resolving, url: str, message: str) -> None:
    resolving(["1.1.1.1"])

    with pytest.raises(ForbiddenAddress, match=message):
        require_allowed(url, on_loopback=False)


@pytest.mark.parametrize("host", ["a..example.com", f"{'a' * 64}.example.com"])
def test_a_host_that_can_be_no_name_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddress, match="Invalid url"):
        require_allowed(f"https://{host}/", on_loopback=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]"])
def test_loopback_is_refused_in_whatever_form_it_is_written(host: str) -> None:
    with pytest.raises(ForbiddenAddress, match="private, loopback or link-local"):
        require_allowed(f"https://{host}/", on_loopback=False)


def test_one_private_address_among_public_ones_is_refused(resolving: Resolving) -> None:
    resolving(["1.1.1.1", "10.0.0.1"])

    with pytest.raises(ForbiddenAddress):
        require_allowed("https://example.com/", on_loopback=False)


def test_a_name_that_leads_nowhere_yet_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr("enrollment.outbound.addresses.socket.getaddrinfo", fail)

    require_allowed("https://example.com/", on_loopback=False)
    with pytest.raises(ForbiddenAddress, match="Must be an https URL"):
        require_allowed("http://example.com/", on_loopback=False)


def test_a_silent_name_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def wait(*_: Any, **__: Any) -> list[Any]:
        is_over.wait(20)
        return []

    monkeypatch.setattr("enrollment.outbound.addresses.socket.getaddrinfo", wait)
    monkeypatch.setattr("enrollment.outbound.addresses._LONGEST_SECONDS", 0.2)
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        resolve("https://example.com/", on_loopback=False)

    assert time.monotonic() - began < 2
    is_over.set()


def test_a_name_is_checked_again_when_it_is_called(resolving: Resolving) -> None:
    resolving(["1.1.1.1"], ["127.0.0.1"])
    require_allowed("https://example.com/", on_loopback=False)

    with pytest.raises(ForbiddenAddress):
        resolve("https://example.com/", on_loopback=False)


def test_what_is_called_is_the_address_that_was_checked(resolving: Resolving) -> None:
    resolving(["2606:4700:4700::1111", "1.1.1.1"], ["127.0.0.1"])

    target = resolve("https://example.com:8443/hook?a=b", on_loopback=False)

    assert target.addresses == ("1.1.1.1", "2606:4700:4700::1111")
    assert (target.host, target.port, target.authority, target.path) == (
        "example.com",
        8443,
        "example.com:8443",
        "/hook?a=b",
    )


def test_loopback_is_allowed_where_it_is_set_but_no_other_address_without_tls(resolving: Resolving) -> None:
    require_allowed("http://127.0.0.1:8000/", on_loopback=True)
    resolving(["10.0.0.1"])

    with pytest.raises(ForbiddenAddress):
        require_allowed("http://internal/", on_loopback=True)
    with pytest.raises(ForbiddenAddress):
        require_allowed("https://internal/", on_loopback=True)
