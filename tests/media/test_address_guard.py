"""One address of each row of IANA's registries, and those beside its edges."""

from __future__ import annotations

import asyncio
import socket

import pytest

from curate.media.address_guard import BlockedAddressError, GuardedResolver, is_public

BLOCKED = """
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255
169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.8
192.0.0.11 192.0.0.170 192.0.0.255 192.0.2.1 192.88.99.0 192.88.99.2 192.88.99.255 192.168.0.0
192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::169.254.169.254 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1
::ffff:0:8.8.8.8 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b:1:ffff::808:808 100::1
100:0:0:1::1 2001::1 2001:2::1 2001:10::1 2001:1ff:ffff::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1::
2002:a9fe:a9fe:: 2002:c0a8:101::1 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254
fe80::1 febf::1 fec0::1 feff::1 ff02::1 ff0e::1
""".split()
PUBLIC = """
1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.0.9 192.0.0.10 192.0.1.0 192.31.196.1
192.52.193.1 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.48.1 198.17.255.255
198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
::ffff:93.184.216.34 64:ff9b::808:808 2001:1::1 2001:1::2 2001:1::3 2001:3::1 2001:4:112::1
2001:20::1 2001:30::1 2001:200::1 2001:4860:4860::8888 2002:808:808:: 2606:2800:220:1::1
2620:4f:8000::1 3ffe::1 3fff:1000::1
""".split()


@pytest.mark.parametrize("address", BLOCKED)
def test_what_must_not_be_connected_to(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_may(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "017700000001", "0x7f000001", "localhost", "::1", "0"]
)
def test_every_spelling_of_this_machine(host: str) -> None:
    with pytest.raises(BlockedAddressError):
        asyncio.run(GuardedResolver(()).resolve(host, 80))


@pytest.mark.parametrize(
    ("allowed", "host"),
    [("::1", "::1"), ("[::1]", "::1"), ("[::1]:80", "::1"), ("127.0.0.1:80", "127.0.0.1")],
)
def test_hosts_that_are_exempt(allowed: str, host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    assert asyncio.run(GuardedResolver((allowed,)).resolve(host, 80)) == [host]
