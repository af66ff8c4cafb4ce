"""The address policy permits public addresses, and those that the settings name.

A URL list from the web is untrusted input. Without this check, a listed URL, a redirect or a DNS answer makes the
machine that downloads read from its own network (server-side request forgery).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 4291, 2.4: all other IPv6 space is unassigned, local, or a way of writing IPv4 addresses.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# RFC 6052: the last 32 bits are an IPv4 address, which a gateway may translate to.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Public by the standard library's tables, local in fact: IETF protocol assignments (a cloud's metadata service
# lies at 192.0.0.192), and the host agent of Azure's machines.
_LOCAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("168.63.129.16/32"))

_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")


@dataclass(frozen=True, slots=True)
class Rule:
    """An exception to "public only": a network or a name, on one port or (None) on every port."""

    network: Network | None
    name: str
    port: int | None


def parse_rule(text: str) -> Rule:
    """Reads "10.0.0.0/8", "10.1.2.3", "10.1.2.3:80", "[::1]:80" or "name:80"; ValueError for anything else."""
    try:
        return Rule(ipaddress.ip_network(text), "", None)
    except ValueError:
        host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is neither a network (10.0.0.0/8) nor host:port (127.0.0.1:8000)")
    try:
        return Rule(ipaddress.ip_network(host.removeprefix("[").removesuffix("]")), "", int(port))
    except ValueError:
        if "/" in host or not _NAME.fullmatch(host):
            raise ValueError(f"{text!r}: {host!r} is neither an address nor a host name") from None
    return Rule(None, host.lower(), int(port))


def is_public(ip: IP) -> bool:
    """Returns whether an address is of the public internet; of an IPv6 address with an IPv4 one inside, the latter."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _ipv4_inside(ip)
        return is_public(inner) if inner is not None else ip in _GLOBAL_UNICAST and ip.is_global
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _LOCAL)


def literal_ip(host: str) -> IP | None:
    """Returns the address that a URL's host is written as, or None for a name.

    Also reads the forms of the C library: 2130706433, 0x7f000001, 0177.1 and 127.1 are all loopback.
    """
    if not host[:1].isdigit() and ":" not in host:
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


class AddressPolicy:
    """The rules by which an address, a port and the host name that led there are permitted."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        rules = [parse_rule(text) for text in allow]
        self._networks = [(rule.network, rule.port) for rule in rules if rule.network is not None]
        self._names = {(rule.name, rule.port) for rule in rules if rule.network is None}

    def check(self, ip: IP, port: int, host: str) -> bool:
        """Returns whether `host`, resolved to `ip`, may be reached on `port`."""
        if is_public(ip) or (host.lower().rstrip("."), port) in self._names:
            return True
        plain = _ipv4_inside(ip) or ip if isinstance(ip, ipaddress.IPv6Address) else ip
        return any(rule_port in (None, port) and plain in network for network, rule_port in self._networks)


def _ipv4_inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Returns the IPv4 address that a mapped, 6to4 or NAT64 address stands for."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
