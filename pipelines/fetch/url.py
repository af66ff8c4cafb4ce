"""Parses URLs, and keeps their characters as they are: a signed URL has a signature over exactly these.

Nothing is percent-decoded, and no legal character is encoded (RFC 3986). Illegal characters are percent-encoded, and
what every client does is done: white space around a URL, tabs and line ends in it, its fragment and its credentials are
removed, dot segments are resolved.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

import idna

from corpus.printable import printable
from corpus.urls import IGNORED
from pipelines.fetch.address import literal_ip
from pipelines.fetch.response import FetchError

_PORTS = {"http": 80, "https": 443}
_MAX_CHARACTERS = 65_536  # longer URLs are data; servers refuse far shorter ones
_MAX_HOST_CHARACTERS = 253  # RFC 1035, 2.3.4, without the length bytes at both ends

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_PADDING = "".join(c for c in map(chr, range(0x3001)) if c <= " " or c.isspace())  # white space and controls
_PATH = re.compile(r"[/?]")  # the beginning of a path, or of a query without one
# Labels; "_" is not allowed in host names by the RFCs, but is common.
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*([a-z0-9_-]{1,63})\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"0*([0-9]{1,5})")
# A target's characters by RFC 3986: unreserved, sub-delims, ":", "@" and "/", in a query "?" too; and whole escapes.
_LEGAL = r"A-Za-z0-9._~!$&'()*+,;=:@/%-"
_INVALID_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_ILLEGAL_IN_PATH = re.compile(f"{_INVALID_ESCAPE}|[^{_LEGAL}]")
_ILLEGAL_IN_QUERY = re.compile(f"{_INVALID_ESCAPE}|[^?{_LEGAL}]")


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """A URL that can be requested: ASCII only, without credentials and fragment."""

    scheme: str  # http or https
    host: str  # a name in its ASCII form, or an address without brackets; lower case
    port: int
    path: str  # begins with "/"
    query: str  # with its "?", or ""

    @property
    def target(self) -> str:
        """The request target: path and query."""
        return self.path + self.query

    @property
    def authority(self) -> str:
        """The value of the Host header: no default port, no final dot."""
        host = f"[{self.host}]" if ":" in self.host else self.host.removesuffix(".")
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> HttpUrl:
    """Parses a text as a URL. Raises FetchError, and nothing else, with bad_url or unsupported_scheme."""
    return _parse_absolute(_trim(text))


def resolve(base: HttpUrl, location: str) -> HttpUrl:
    """Resolves the Location of a redirect against `base` (RFC 3986, 5.2).

    Raises FetchError as `parse_url` does.

    Bytes that are no UTF-8 are surrogates in `location` (PEP 383), and are requested as these bytes.
    """
    reference = _trim(location)
    if _SCHEME.match(reference):
        return _parse_absolute(reference)
    if reference.startswith("//"):
        return _parse_absolute(f"{base.scheme}:{reference}")
    path, query = _parse_target(reference)
    if not path:
        return replace(base, query=query or base.query)
    if not path.startswith("/"):
        path = base.path[: base.path.rindex("/") + 1] + path
    return replace(base, path=_without_dot_segments(path), query=query)


def _trim(text: str) -> str:
    """Removes white space around a URL, tabs and line ends anywhere, and the fragment."""
    if len(text) > _MAX_CHARACTERS:
        raise FetchError("bad_url", f"longer than {_MAX_CHARACTERS} characters")
    text = text.strip(_PADDING)
    if "\t" in text or "\r" in text or "\n" in text:
        text = text.translate(IGNORED)
    return text.partition("#")[0]


def _parse_absolute(text: str) -> HttpUrl:
    match = _SCHEME.match(text)
    if match is None:
        raise FetchError("bad_url", "no scheme")
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme not in _PORTS:
        raise FetchError("unsupported_scheme", printable(scheme))
    if not rest.startswith("//"):
        raise FetchError("bad_url", "no host")
    match = _PATH.search(rest, 2)
    end = match.start() if match else len(rest)
    host, port = _parse_host_and_port(rest[2:end].rpartition("@")[2])  # before the last "@" are credentials
    path, query = _parse_target(rest[end:])
    return HttpUrl(scheme, host, port or _PORTS[scheme], _without_dot_segments(path) or "/", query)


def _parse_host_and_port(text: str) -> tuple[str, int | None]:
    """Parses and checks a host and its port. Errors do not quote them: a part of a password may be among them."""
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        try:
            host = _ipv6(ipaddress.IPv6Address(literal if "%" not in literal and bracket else ""))
        except ValueError:
            raise FetchError("bad_url", "no IPv6 address in brackets") from None
        if rest and not rest.startswith(":"):
            raise FetchError("bad_url", "something between host and port")
        port = rest[1:]
    else:
        name, _, port = text.partition(":")
        host = _parse_host_name(name)
    if not port:
        return host, None
    number = _PORT.fullmatch(port)
    if number is None or not 0 < int(number[1]) < 65536:
        raise FetchError("bad_url", "the port is not a number from 1 to 65535")
    return host, int(number[1])


def _ipv6(address: ipaddress.IPv6Address) -> str:
    """Formats an address by RFC 5952, 5: before Python 3.13 a mapped one is all hexadecimal."""
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else str(address)


def _parse_host_name(text: str) -> str:
    """Returns a host name's ASCII form, or the IPv4 address that it is written as. Raises FetchError for neither."""
    if not text:
        raise FetchError("bad_url", "no host")
    if "%" in text:  # RFC 3986, 3.2.2: a registered name may be percent-encoded UTF-8
        text = unquote_to_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    if len(text) > _MAX_HOST_CHARACTERS + 1:  # before anything is computed of it
        raise FetchError("bad_url", f"a host of more than {_MAX_HOST_CHARACTERS} characters")
    return _check_host_name(text)


@functools.lru_cache(1024)  # many URLs of one host come together
def _check_host_name(text: str) -> str:
    host = (text if text.isascii() else _to_ascii(text)).lower()
    name = _NAME.fullmatch(host)
    if name is None or len(host.removesuffix(".")) > _MAX_HOST_CHARACTERS:
        raise FetchError("bad_url", "the host is no host name")
    if not _NUMBER.fullmatch(name[1]):
        return host
    address = literal_ip(host.removesuffix("."))  # no name ends in a number
    if address is None:
        raise FetchError("bad_url", "the host ends in a number and is no IPv4 address")
    return str(address)


def _to_ascii(name: str) -> str:
    """Encodes a name of other letters for DNS: by IDNA 2008, or where that does not allow it (emoji, "_") by 2003."""
    for encode in (_idna_2008, _idna_2003):
        with contextlib.suppress(Exception):  # they raise various errors for untrusted text; the text is at fault
            return encode(name).decode("ascii")
    raise FetchError("bad_url", "the host is no host name")


def _idna_2008(name: str) -> bytes:
    return idna.encode(name, uts46=True)


def _idna_2003(name: str) -> bytes:
    return name.encode("idna")


def _parse_target(text: str) -> tuple[str, str]:
    """Splits a target into path and query (with its "?"), illegal characters percent-encoded."""
    path, mark, query = text.partition("?")
    return _ILLEGAL_IN_PATH.sub(_escape, path), mark + _ILLEGAL_IN_QUERY.sub(_escape, query)


def _escape(match: re.Match[str]) -> str:
    try:
        return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise FetchError("bad_url", "not Unicode") from None


def _without_dot_segments(path: str) -> str:
    """Removes dot segments (RFC 3986, 5.2.4) of a path that begins with "/" or is empty. "%2E" is no dot."""
    if "/." not in path:
        return path
    segments = path.split("/")[1:]
    result: list[str] = []
    for segment in segments:
        if segment == "..":
            del result[-1:]
        elif segment != ".":
            result.append(segment)
    if segments[-1] in (".", ".."):
        result.append("")
    return "/" + "/".join(result)
