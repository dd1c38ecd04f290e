"""The addresses that webhooks and connectors may have.

Others choose them: a client chooses a webhook's URL, a manager's owner a connector's.  Without a check, requests could
reach what only this service can reach.  So an address must be public (contract, "Webhooks").  It is checked when it is
given, and again whenever it is called, because what a name leads to can change.
"""

import ipaddress
import socket
import threading
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

type IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"https": 443, "http": 80}
# Half of the time that a request to a connector may take.
_LONGEST_SECONDS = 5.0

# IPv6 addresses that stand for an IPv4 address, which a gateway on the way would call.
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))


class ForbiddenAddress(Exception):
    """This address is not allowed.  The message says why, in words for a client."""


class Target(NamedTuple):
    """Where a request is sent.

    Attributes:
        is_encrypted: Whether it is sent with TLS.
        host: The host that the URL names.
        port: The port.
        authority: The host and the port, as the URL names them.
        path: The path with its query string.
        addresses: The IP addresses that the host has, all of them allowed; those of IPv4 first, since a function has no
            IPv6 of its own.
    """

    is_encrypted: bool
    host: str
    port: int
    authority: str
    path: str
    addresses: tuple[str, ...]


def require_allowed(url: str, *, on_loopback: bool) -> None:
    """Check a URL when it is given.  A name that leads nowhere yet is allowed: each call checks it again.

    Args:
        url: The URL.
        on_loopback: Whether addresses on this machine's loopback are allowed, as in tests.

    Raises:
        ForbiddenAddress: It is not allowed.
    """
    try:
        resolve(url, on_loopback=on_loopback)
    except OSError:
        return


def resolve(url: str, *, on_loopback: bool) -> Target:
    """Return where requests for a URL are sent.

    Args:
        url: The URL.
        on_loopback: Whether addresses on this machine's loopback are allowed, as in tests.

    Raises:
        ForbiddenAddress: It is not allowed.
        OSError: The host has no address.
    """
    parts = _split(url)
    if parts.scheme != "https" and not on_loopback:
        raise ForbiddenAddress("Must be an https URL")
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = _look_up(host, port)
    except UnicodeError as error:  # a part of the name is empty, or longer than 63 characters
        raise ForbiddenAddress("Invalid url") from error
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in sorted(found)]
    all_on_loopback = on_loopback and all(address.is_loopback for address in addresses)
    if parts.scheme != "https" and not all_on_loopback:
        raise ForbiddenAddress("Must be an https URL")
    if not all_on_loopback and not all(map(is_public, addresses)):
        raise ForbiddenAddress("Must not lead to a private, loopback or link-local address")
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        is_encrypted=parts.scheme == "https",
        host=host,
        port=port,
        authority=parts.netloc,
        path=f"{parts.path or '/'}{query}",
        addresses=tuple(str(address) for address in sorted(addresses, key=lambda address: address.version)),
    )


def _look_up(host: str, port: int) -> set[str]:
    """Return the IP addresses of a host.

    The system waits for a silent name server as long as it likes.  So this asks in a thread, and goes on without it.

    Raises:
        OSError: It has none, or the name server is silent.
        UnicodeError: It can be no name.
    """
    found: list[set[str]] = []
    failures: list[Exception] = []

    def look_up() -> None:
        try:
            found.append({str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
        except (OSError, UnicodeError) as error:
            failures.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_LONGEST_SECONDS)
    if failures:
        raise failures[0]
    if not found:
        raise TimeoutError
    return found[0]


def is_public(address: IpAddress) -> bool:
    """Return whether an address is one of the public internet.

    Args:
        address: The address.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.is_site_local or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _split(url: str) -> SplitResult:
    is_printable = all("\x21" <= character <= "\x7e" for character in url)
    try:
        parts = urlsplit(url)
        port = parts.port  # reading it checks it
        host = parts.hostname
    except ValueError as error:
        raise ForbiddenAddress("Invalid url") from error
    if not is_printable or parts.scheme not in _PORTS or not host or port == 0:
        raise ForbiddenAddress("Must be an https URL")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddress("Must not have a user or a password")
    if parts.fragment:
        raise ForbiddenAddress("Must not have a fragment")
    return parts
