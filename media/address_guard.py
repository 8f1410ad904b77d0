"""Which network addresses the fetcher may connect to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

# IANA's registries of special-purpose addresses, as of 2025-10-09, and of address space: written
# out, for Python's own tables differ from version to version.
_SPECIAL_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local: cloud metadata
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay anycast, deprecated
        "192.168.0.0/16",  # private use
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and limited broadcast
    )
)
_GLOBAL_IN_SPECIAL_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "192.0.0.9/32",  # port control protocol anycast
        "192.0.0.10/32",  # TURN anycast
    )
)
_GLOBAL_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
"""All that is allocated: what lies outside is reserved, local, multicast or a form of IPv4."""
_SPECIAL_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_GLOBAL_IN_SPECIAL_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001:1::1/128",  # port control protocol anycast
        "2001:1::2/128",  # TURN anycast
        "2001:1::3/128",  # DNS-SD service registration anycast
        "2001:3::/32",  # AMT
        "2001:4:112::/48",  # AS112
        "2001:20::/28",  # ORCHIDv2
        "2001:30::/28",  # drone remote identification
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOOKUP_ERRORS = (socket.gaierror, ValueError)


class BlockedAddressError(Exception):
    """Every address of the host is one that must not be connected to."""


class UnresolvableHostError(Exception):
    """The host's name has no address; `is_temporary` when the look-up itself failed."""

    def __init__(self, message: str, is_temporary: bool = False) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


def is_public(address: str) -> bool:
    """Whether an IP address is globally reachable.

    A form of IPv4 within IPv6 (mapped, NAT64, 6to4, Teredo) is judged by the addresses inside.
    IPv4-compatible, IPv4-translated and site-local addresses and local NAT64 are none of these.

    Raises:
        ValueError: it is no address.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_public_4(ip)
    inner = _inside(ip)
    if inner:
        return all(map(_is_public_4, inner))
    if any(ip in network for network in _GLOBAL_IN_SPECIAL_6):
        return True
    return ip in _GLOBAL_UNICAST_6 and not any(ip in network for network in _SPECIAL_6)


def _is_public_4(ip: ipaddress.IPv4Address) -> bool:
    if any(ip in network for network in _GLOBAL_IN_SPECIAL_4):
        return True
    return not any(ip in network for network in _SPECIAL_4)


def _inside(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses that an IPv6 address stands for."""
    if ip in _NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    embedded = (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ()))
    return [address for address in embedded if address is not None]


class GuardedResolver:
    """Looks a host up once, failures too, and gives only addresses that may be connected to."""

    def __init__(self, allow_hosts: Iterable[str]) -> None:
        self._allowed = frozenset(h.lower() for h in allow_hosts)
        self._found: dict[tuple[str, int], asyncio.Task[list[str] | UnresolvableHostError]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, at least one.

        Args:
            host: a name, or an address; IPv6 without brackets.

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
        named = f"[{host}]" if ":" in host else host
        if not self._allowed.isdisjoint((host, named, f"{named}:{port}")):
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
