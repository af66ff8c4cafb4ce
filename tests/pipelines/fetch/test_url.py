"""URLs as they are requested. The server logs its request lines; what counts is what stands there."""

from __future__ import annotations

import random
import re
import socket
import string
from asyncio.selector_events import BaseSelectorEventLoop

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipelines.fetch import fetch
from pipelines.fetch.response import FetchError
from pipelines.fetch.url import HttpUrl, parse_url, resolve

S3 = (
    "/bucket/photos%2F2024/a%20b%2Bc.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAEXAMPLE%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z"
    "&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=0f1e2d"
)
CLOUDFRONT = (
    "/image.jpg?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cCJ9XX0_&Signature=nitfHRCrtziwO2HwPfWw~yYDhUF5E-"
    "Zp-4lUCVtZA__&Key-Pair-Id=K2JCJMDEHXQW5F"
)
AS_WRITTEN = [
    S3,
    CLOUDFRONT,
    "/unsafe%2Fsmart/8v4nJ7UQaTtZbAZ-2xS0y_s1t0Y=/300x200/smart/filters:quality(80)/https%3A%2F%2Fa.org%2Fb%3Fc%3D1",
    "/path/photo.jpg?w=400&fm=pjpg&txt=J%C3%BCrgen&mark64=aHR0cA%3D%3D&s=0123456789abcdef",
    "/any/a%3Ab%2Cc%40d%28e%29%21%27.jpg",
    "/any/q.jpg?sig=a%2Fb%3D%3D&x=%7E&u=http%3A%2F%2Fx%3Fa",
    "/any/%7Euser/x%2Ejpg",
    "/any/~user/x.jpg",
    "/any/a%2fb%2FB%c3%A9.jpg",  # the case of the digits, too
    "/any/%41%5A%2D%5F.jpg",
    "/any/%2e%2E/x.jpg",
    "/any/a+b.jpg?q=a+b%2B+c%20d",
    "/any//double///slash/",
    "/any/a;v=1,2/b.jpg?a;b&c&&=d=e",
    "/any/$&'()*!=.jpg?$&'()*!=",
    "/any/a:b@c.jpg?at=@&colon=:&slash=/&mark=?",
    "/any/x.jpg?",
    "/any/%00%0D%0A%25.jpg",
    "/",
    "/?q",
]
ENCODED = {
    "/a b.jpg": "/a%20b.jpg",
    "/a b.jpg?c d": "/a%20b.jpg?c%20d",
    "/zdjęcie.jpg?z=ż": "/zdj%C4%99cie.jpg?z=%C5%BC",
    "/zdj%C4%99cie z.jpg": "/zdj%C4%99cie%20z.jpg",
    "/🙂.jpg": "/%F0%9F%99%82.jpg",
    '/a"b<c>d.jpg?"<>': "/a%22b%3Cc%3Ed.jpg?%22%3C%3E",
    "/a\\b^c`d{e|f}[g].jpg": "/a%5Cb%5Ec%60d%7Be%7Cf%7D%5Bg%5D.jpg",
    "/a?b=[c]|d": "/a?b=%5Bc%5D%7Cd",
    "/100%.jpg?50%": "/100%25.jpg?50%25",
    "/a%zzb%4": "/a%25zzb%254",
    "/a\x00b\x7fc\x1b.jpg": "/a%00b%7Fc%1B.jpg",
    "/a\tb\r\nc.jpg": "/abc.jpg",  # as in every browser
    "/a.jpg#part?no": "/a.jpg",
    "/a.jpg?b#part": "/a.jpg?b",
    "": "/",
    "?q=1": "/?q=1",
    "#part": "/",
    "/a/../b/./c.jpg": "/b/c.jpg",
    "/a/b/..": "/a/",
    "/../../a.jpg": "/a.jpg",
    "/a//../b": "/a/b",
    "/a/.b/..c/d.": "/a/.b/..c/d.",
}


def request_targets(server):
    return [head.split(" ")[1] for head in server.heads]


def test_what_may_stand_in_a_url_is_requested_as_it_is_written(server, get):
    for path in AS_WRITTEN:
        get(server.url(path))
    assert request_targets(server) == AS_WRITTEN


def test_only_what_may_not_stand_there_is_encoded(server, get):
    for path in ENCODED:
        get(server.url(path))
    assert dict(zip(ENCODED, request_targets(server), strict=True)) == ENCODED


def test_white_space_around_is_no_part_of_a_url(server, get):
    for before, after in [("", " \n"), ("\t ", ""), ("\r\n", "\x00\x1f "), ("\xa0\u2003", "\u3000")]:
        get(f"{before}{server.url('/trail.jpg')}{after}")
    assert request_targets(server) == ["/trail.jpg"] * 4


def test_a_redirect_is_followed_as_it_is_written(server, get):
    for number, path in enumerate(AS_WRITTEN):
        for kind, location in (
            ("whole", server.url(path)),
            ("absolute", path),
            ("network", f"//{server.address}{path}"),
        ):
            if kind == "absolute" and path.startswith("//"):
                continue
            server.answer(f"/{kind}/{number}", status="302 Found", Location=location)
            server.heads.clear()
            assert get(server.url(f"/{kind}/{number}")).final_url == server.url(path)
            assert request_targets(server) == [f"/{kind}/{number}", path], location


@pytest.mark.parametrize(
    ("location", "requested"),
    [
        (b"/any/caf\xe9.jpg", "/any/caf%E9.jpg"),
        ("/any/café.jpg".encode(), "/any/caf%C3%A9.jpg"),
        (b"/any/\xff\xc3.jpg?\x80", "/any/%FF%C3.jpg?%80"),
        (b"/any/a b.jpg", "/any/a%20b.jpg"),
        (b"  /any/a.jpg \t", "/any/a.jpg"),
        (b"/any/a%2Fb%3Ac.jpg?s=x%2Fy%3D", "/any/a%2Fb%3Ac.jpg?s=x%2Fy%3D"),
        (b"b%2Fc.jpg", "/from%3A/b%2Fc.jpg"),
        (b"./b/../c.jpg", "/from%3A/c.jpg"),
        (b"../c.jpg?x=../y", "/c.jpg?x=../y"),
        (b"?x=%2F", "/from%3A/here?x=%2F"),
        (b"?", "/from%3A/here?"),
    ],
)
def test_a_location_is_resolved_without_quoting_anything_again(server, get, location, requested):
    server.raw("/from%3A/here?old", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
    get(server.url("/from%3A/here?old"))
    assert request_targets(server) == ["/from%3A/here?old", requested]


def test_references_are_resolved_by_the_examples_of_the_standard():
    """RFC 3986, 5.4, but for those with a fragment (it is dropped) and of other schemes."""
    base = parse_url("http://a/b/c/d;p?q")
    cases = {"g": "/b/c/g", "./g": "/b/c/g", "g/": "/b/c/g/", "/g": "/g", "?y": "/b/c/d;p?y", "g?y": "/b/c/g?y"}
    cases |= {"#s": "/b/c/d;p?q", "g#s": "/b/c/g", ";x": "/b/c/;x", "g;x": "/b/c/g;x", "g;x?y#s": "/b/c/g;x?y"}
    cases |= {"": "/b/c/d;p?q", ".": "/b/c/", "./": "/b/c/", "..": "/b/", "../": "/b/", "../g": "/b/g", "../..": "/"}
    cases |= {"../../": "/", "../../g": "/g", "../../../g": "/g", "../../../../g": "/g", "/./g": "/g", "/../g": "/g"}
    cases |= {
        "g.": "/b/c/g.",
        ".g": "/b/c/.g",
        "g..": "/b/c/g..",
        "..g": "/b/c/..g",
        "./../g": "/b/g",
        "./g/.": "/b/c/g/",
    }
    cases |= {"g/./h": "/b/c/g/h", "g/../h": "/b/c/h", "g;x=1/./y": "/b/c/g;x=1/y", "g;x=1/../y": "/b/c/y"}
    cases |= {"g?y/./x": "/b/c/g?y/./x", "g?y/../x": "/b/c/g?y/../x"}
    assert {reference: resolve(base, reference).target for reference in cases} == cases
    assert str(resolve(base, "//g")) == "http://g/"


LETTERS = st.sampled_from(string.ascii_letters + string.digits + "-_~!$&'()*+,;=:@")  # and ".": see below
ESCAPES = st.tuples(*[st.sampled_from("0123456789abcdefABCDEF")] * 2).map(lambda digits: "%" + "".join(digits))
SEGMENTS = st.lists(LETTERS | ESCAPES | st.just(".x"), max_size=6).map("".join)  # none that is "." or ".."
PATHS = st.lists(SEGMENTS, max_size=5).map(lambda segments: "/" + "/".join(segments))
QUERIES = st.one_of(
    st.just(""), st.lists(LETTERS | ESCAPES | st.sampled_from("/?."), max_size=15).map(lambda q: "?" + "".join(q))
)


@examples(max_examples=500, deadline=None)
@given(PATHS, QUERIES)
def test_any_url_of_legal_characters_is_requested_byte_for_byte(path, query):
    for scheme, port in (("http", ""), ("https", ":8443")):
        url = parse_url(f"{scheme}://host.example{port}{path}{query}")
        assert url.target == path + query
        assert str(url) == f"{scheme}://host.example{port}{path}{query}"
        assert resolve(parse_url("http://elsewhere.example/x?y"), str(url)) == url
        if not path.startswith("//"):
            assert resolve(parse_url(f"{scheme}://host.example{port}/x?y"), path + query) == url


@examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(PATHS, QUERIES), min_size=1, max_size=30))
def test_and_so_it_stands_in_the_request(server, settings, targets):
    def loopback(host, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    server.heads.clear()
    urls = [f"http://host.example:{server.port}{path}{query}" for path, query in targets]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", loopback)
        fetch(urls, settings(concurrency=1), lambda fetched: None)
    requested = [head.split("\r\n")[:2] for head in server.heads]
    host = f"Host: host.example:{server.port}"
    assert requested == [[f"GET {path}{query} HTTP/1.1", host] for path, query in targets]


HOSTS = {
    "example.com": "example.com",
    "EXAMPLE.Com": "example.com",
    "example.com.": "example.com.",
    "a_b.example.com": "a_b.example.com",  # in use, whatever the standard says
    "-a-.example.com": "-a-.example.com",
    "xn--mnchen-3ya.de": "xn--mnchen-3ya.de",
    "münchen.de": "xn--mnchen-3ya.de",
    "m%C3%BCnchen.de": "xn--mnchen-3ya.de",
    "MÜNCHEN。de": "xn--mnchen-3ya.de",
    "bücher_1.example": "xn--bcher_1-n2a.example",
    "☃.example": "xn--n3h.example",
    "straße.de": "xn--strae-oqa.de",
    "例え.テスト": "xn--r8jz45g.xn--zckzah",
    "ex%61mple.com": "example.com",
    "3com.com": "3com.com",
    "8.8.8.8": "8.8.8.8",
    "8.8.8.8.": "8.8.8.8",
    "0x08080808": "8.8.8.8",
    "8.8.2056": "8.8.8.8",
    "８.８.８.８": "8.8.8.8",
    "%38.8.8.8": "8.8.8.8",
    "[2606:4700::1111]": "2606:4700::1111",
    "[2606:4700:0:0:0:0:0:1111]": "2606:4700::1111",
    "[::FFFF:8.8.8.8]": "::ffff:8.8.8.8",
    "[::ffff:808:808]": "::ffff:8.8.8.8",
}


def test_hosts_in_the_form_that_dns_knows():
    assert {text: parse_url(f"http://{text}/").host for text in HOSTS} == HOSTS


NO_HOSTS = [
    "",
    ":80",
    "user@",
    "a..b",
    ".a",
    ".",
    "a b",
    "a!b.com",
    "a,b",
    "a;b",
    "a*b",
    "a=b",
    "a&b",
    "a'b",
    "a(b)",
    "a+b",
    "a$b",
    "a~b",
    'a"b',
    "a<b>",
    "a\\b",
    "a^b",
    "a`b",
    "a{b}",
    "a|b",
    "a%",
    "a%zz",
    "a%00b",
    "a%2Fb",
    "a%3A80",
    "%2531.com",
    "a%ffb",
    "a\x00b",
    "a\x1bb",
    "a\udcffb",
    "a\ud800b",
    "℀.com",  # a/c by compatibility
    "a\u202eb",
    "x" * 64 + ".com",
    "a." * 127 + "com",
    "ü" * 300,
    "\u0130" * 100,
    "1.2.3.4.5",
    "256.256.256.256",
    "1.2.3.256",
    "a.1",
    "a.0x1",
    "08.1.1.1",
    "4294967296",
    "[",
    "[]",
    "[::1",
    "::1",
    "[::1]a",
    "[::1]]",
    "[[::1]]",
    "[::g]",
    "[fe80::1%eth0]",
    "[fe80::1%25eth0]",
    "[127.0.0.1]",
    "[v1.a]",
    "[::1]@",
    "host:99999",
    "host:0",
    "host:-1",
    "host:+1",
    "host:1 1",
    "host:٣",
    "host:80:80",
    "host:" + "9" * 5000,
    "[::1]:x",
]


def test_a_host_that_can_be_none_is_a_bad_url_listed_or_in_a_redirect_and_is_not_tried_again(server, get):
    server.answer("/good", b"good")
    for number, host in enumerate(NO_HOSTS):
        result = get(f"http://{host}/a", max_attempts=3)
        assert (result.reason, result.attempts, result.retryable) == ("bad_url", 1, False), host
        location = f"//{host}/a".encode("utf-8", "surrogatepass")
        server.raw(f"/{number}", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
        result = get(server.url(f"/{number}"), max_attempts=3)
        # A zero byte in a header ends the conversation before its value is looked at.
        assert result.reason == ("bad_response" if "\x00" in host else "bad_url"), host


LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1.",
    "0x7f.1",
    "0x7F000001",
    "2130706433",
    "0177.0.0.1",
    "017700000001",
    "127.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "%31%32%37.0.0.1",
    "127%2E0%2E0%2E1",
    "%EF%BC%91%32%37.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[::127.0.0.1]",
    "good.example@127.0.0.1",
    "good.example:80@127.0.0.1",
    "good.example%40x@127.0.0.1",
    "a@b@127.0.0.1",
    "good.example\\@127.0.0.1",
    "0",
    "0.0.0.0",
    "[::]",
    "169.254.169.254",
    "[fd00:ec2::254]",
]


def test_no_spelling_of_an_inner_address_is_connected_to(get, server, monkeypatch):
    def no_connection(*args, **kwargs):
        raise AssertionError("an inner address was connected to")

    for host in LOOPBACK:
        server.answer(f"/to/{len(server.routes)}", status="302 Found", Location="http://" + _escaped(host) + "/")
    ways = [server.url(path) for path in server.routes]
    assert [get(way, max_attempts=3).reason for way in ways] == ["private_address"] * len(LOOPBACK)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", no_connection)
    for host in LOOPBACK:
        result = get(f"http://{host}:8080/", max_attempts=3)
        assert (result.reason, result.attempts) == ("private_address", 1), host


def _escaped(host):
    """As a header can hold it."""
    return host.encode().decode("latin-1")


SEEDS = [
    *(f"http://host.example{path}" for path in AS_WRITTEN),
    *(f"https://{host}:443/a?b#c" for host in HOSTS),
    *(f"http://{host}/a" for host in (*NO_HOSTS, *LOOPBACK)),
    *(
        "http:",
        "http:/",
        "http://",
        "http:///a",
        "//a/b",
        "a/b",
        "?",
        "#",
        "ftp://a",
        "http:a",
        "mailto:a@b",
        "data:,x",
    ),
]
PIECES = [
    *"[]@:/?#%\\ .&=\x00\x1b\t\n\u0130\u202e\udc80\ud800８☃",
    "://",
    "[::1]@",
    "%zz",
    "..",
    "xn--",
    "xn--a",
    "0x",
    "\u2100",
]


def mutated(chance: random.Random) -> str:
    """A URL, cut, spliced, with odd pieces put in."""
    text = chance.choice(SEEDS)
    for _ in range(chance.randrange(4)):
        at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        deed = chance.randrange(4)
        if deed == 0:
            text = text[:at] + text[to:]
        elif deed == 1:
            text = text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 1, 2, 300)) + text[at:]
        elif deed == 2:
            text = text[:to] + chance.choice(SEEDS)[-chance.randrange(1, 20) :]
        else:
            text = text[:at] + chr(chance.choice((chance.randrange(256), chance.randrange(0x11_0000)))) + text[at:]
    return text


REQUESTED = re.compile(r"/[!-~]*")
HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:]+[0-9.]*")


def test_no_text_makes_anything_but_a_url_that_can_be_requested_or_a_reason():
    chance = random.Random(9)
    base = parse_url("http://host.example/a/b?c")
    reasons = dict.fromkeys(("bad_url", "unsupported_scheme", ""), 0)
    for _ in range(20_000):
        text = mutated(chance)
        for make in (parse_url, lambda location: resolve(base, location)):
            try:
                url = make(text)
            except FetchError as error:
                reasons[error.reason] += 1
                continue
            reasons[""] += 1
            assert isinstance(url, HttpUrl)
            assert REQUESTED.fullmatch(url.target) and HOST.fullmatch(url.host) and 0 < url.port < 65536, repr(text)
            assert "#" not in url.target and "@" not in url.authority, repr(text)
            assert parse_url(str(url)) == (url if ":" in url.host else _undotted(url)), repr(text)
    assert min(reasons.values()) > 200


def _undotted(url):
    """What is written of a URL names no root."""
    return HttpUrl(url.scheme, url.host.removesuffix("."), url.port, url.path, url.query)
