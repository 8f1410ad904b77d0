"""Which network addresses the fetcher may connect to, checked where the connection is made."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import httpcore

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOOKUP_ERRORS = (socket.gaierror, UnicodeError)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BlockedAddressError(httpcore.ConnectError):
    """Every address of the host is one that must not be connected to."""


class UnresolvableHostError(httpcore.ConnectError):
    """The host's name has no address."""


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


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host once, refuses what is not public, connects to the address it checked."""

    def __init__(self, allow_hosts: Iterable[str]) -> None:
        self._allowed = frozenset(h.lower() for h in allow_hosts)
        self._backend = httpcore.AnyIOBackend()
        self._resolved: dict[tuple[str, int], list[str] | UnresolvableHostError] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        exempt = host.lower() in self._allowed or f"{host.lower()}:{port}" in self._allowed
        usable = [a for a in addresses if exempt or is_public(a)]
        if not usable:
            raise BlockedAddressError(f"{host} is {', '.join(addresses)}")
        failure: Exception | None = None
        for address in usable[:2]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.AsyncNetworkStream:
        raise BlockedAddressError(f"unix socket {path}")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> list[str]:
        cached = self._resolved.get((host, port))
        if cached is None:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, port, type=socket.SOCK_STREAM
                )
                cached = list(dict.fromkeys(str(item[4][0]).split("%")[0] for item in found))
            except _LOOKUP_ERRORS as error:
                cached = UnresolvableHostError(f"{host}: {error}")
            self._resolved[host, port] = cached
        if isinstance(cached, UnresolvableHostError):
            raise cached
        return cached
