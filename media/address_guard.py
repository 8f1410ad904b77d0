"""Which network addresses the fetcher may connect to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOOKUP_ERRORS = (socket.gaierror, UnicodeError)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BlockedAddressError(Exception):
    """Every address of the host is one that must not be connected to."""


class UnresolvableHostError(Exception):
    """The host's name has no address; `is_temporary` when the look-up itself failed."""

    def __init__(self, message: str, is_temporary: bool = False) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


def is_public(address: str) -> bool:
    """Whether an IP address is globally routable, also behind IPv4-in-IPv6 notations.

    Refuses loopback, private, link-local (cloud metadata), multicast, reserved, IPv4-mapped, 6to4,
    Teredo and NAT64 forms of those.
    """
    ip: Address = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        embedded: Iterable[ipaddress.IPv4Address | None] = (
            ip.ipv4_mapped,
            ip.sixtofour,
            *(ip.teredo or ()),
            ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None,
        )
        inner = [i for i in embedded if i is not None]
        if inner:
            return all(i.is_global and not i.is_multicast for i in inner)
    return ip.is_global and not ip.is_multicast


class GuardedResolver:
    """Looks a host up once, failures too, and gives only addresses that may be connected to."""

    def __init__(self, allow_hosts: Iterable[str]) -> None:
        self._allowed = frozenset(h.lower() for h in allow_hosts)
        self._found: dict[tuple[str, int], asyncio.Task[list[str] | UnresolvableHostError]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, at least one.

        Raises:
            BlockedAddressError: it has none of these.
            UnresolvableHostError: it has none at all.
        """
        host = host.lower()
        if (host, port) not in self._found:
            self._found[host, port] = asyncio.create_task(_look_up(host, port))
        addresses = await asyncio.shield(self._found[host, port])
        if isinstance(addresses, UnresolvableHostError):
            raise UnresolvableHostError(str(addresses), addresses.is_temporary)
        if host in self._allowed or f"{host}:{port}" in self._allowed:
            return addresses
        usable = [a for a in addresses if is_public(a)]
        if not usable:
            raise BlockedAddressError(f"{host} is {', '.join(addresses)}")
        return usable


async def _look_up(host: str, port: int) -> list[str] | UnresolvableHostError:
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except _LOOKUP_ERRORS as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        return UnresolvableHostError(f"{host}: {error}", again)
    return list(dict.fromkeys(str(item[4][0]).split("%")[0] for item in found))
