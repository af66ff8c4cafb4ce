import ipaddress

import pytest

from pipelines.fetch.address import AddressPolicy, is_public, literal_ip, parse_rule
from tests.helpers.cases import cases

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "172.15.255.255",
    "172.32.0.0",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
LOCAL = [
    "127.0.0.1",
    "127.255.0.3",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",  # carrier-grade NAT
    "169.254.169.254",  # metadata of most clouds
    "192.0.0.192",  # of Oracle's
    "168.63.129.16",  # Azure's host agent
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # mapped
    "::ffff:10.0.0.1",
    "2002:7f00:1::",  # 6to4 around 127.0.0.1
    "2002:a00:1::1",
    "2001:0:7f00:1::",  # Teredo
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",  # metadata of AWS
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


@cases("address", PUBLIC)
def test_public(address):
    assert is_public(ipaddress.ip_address(address))


@cases("address", LOCAL)
def test_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1"]
)
def test_every_spelling_of_loopback_is_seen_as_loopback(host):
    assert literal_ip(host) == ipaddress.ip_address("127.0.0.1")


@pytest.mark.parametrize("host", ["example.com", "", "1.example.com", "3com", "127.0.0.1.nip.io", "dead.beef"])
def test_names_are_no_literals(host):
    assert literal_ip(host) is None


@cases(
    ("rule", "address", "port", "host", "allowed"),
    [
        ("10.0.0.0/8", "10.200.3.4", 80, "", True),
        ("10.0.0.0/8", "11.0.0.1", 80, "", True),  # public anyway
        ("10.0.0.0/8", "192.168.0.1", 80, "", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 80, "", True),
        ("10.0.0.7", "10.0.0.7", 80, "", True),
        ("10.0.0.7", "10.0.0.8", 80, "", False),
        ("127.0.0.1:8000", "127.0.0.1", 8000, "", True),
        ("127.0.0.1:8000", "127.0.0.1", 8001, "", False),
        ("127.0.0.1:8000", "127.0.0.2", 8000, "", False),
        ("10.0.0.0/8:80", "10.9.9.9", 80, "", True),
        ("[::1]:8000", "::1", 8000, "", True),
        ("[::1]:8000", "::1", 80, "", False),
        ("fd00::/8", "fd12::1", 80, "", True),
        ("images.internal:80", "10.0.0.1", 80, "images.internal", True),
        ("images.internal:80", "10.0.0.1", 80, "Images.Internal.", True),
        ("images.internal:80", "10.0.0.1", 81, "images.internal", False),
        ("images.internal:80", "10.0.0.1", 80, "evil.example", False),
    ],
)
def test_rules(rule, address, port, host, allowed):
    assert AddressPolicy([rule]).check(ipaddress.ip_address(address), port, host) is allowed


@pytest.mark.parametrize(
    "rule", ["", "localhost", "10.0.0.0/99", "10.0.0.1/8", "host:", "host:0", "host:99999", "a b:80", "10.0.0.1/8:80"]
)
def test_a_rule_that_means_nothing_is_refused(rule):
    with pytest.raises(ValueError, match="neither"):
        parse_rule(rule)
