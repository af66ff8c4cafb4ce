"""Every kind of row that the demo's world plants: its URL, what makes its file, and what must become of it.

A row's true end is a status and the reasons that say it truthfully; where honest judges may differ (a picture that is
nearly black is also flat), several are accepted. Duplicates come in families and are planted in `families`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corpus.schema import Status
from demo.images import defects as faults
from demo.images.drawing import Picture
from demo.server import SIGNED_PATH, SIGNED_QUERY, with_signature

KEPT, FILTERED, FAILED = str(Status.KEPT), str(Status.FILTERED), str(Status.FAILED)
DROPPED = "dropped"  # by the source, before a row is an item


@dataclass(frozen=True)
class Kind:
    """One planted kind. `url` may name {base} (the server), {login} (the same with credentials) and {file} (a name in
    its folder)."""

    name: str
    status: str
    reasons: tuple[str, ...] = ("",)
    url: str = "{base}/images/{file}"
    make: Callable[[Picture], bytes] | None = faults.plain  # None: no file is needed
    ending: str = ".jpg"  # of the file's name
    least: int = 2  # rows, in however small a world
    share: float = 0.0  # of the world's rows
    signed: bool = False  # a signature over the URL is put to its end

    def url_of(self, base: str, file: str) -> str:
        """The URL of a row."""
        url = self.url.format(base=base, login=base.replace("://", "://user:word@"), file=file)
        return base + with_signature(url.removeprefix(base)) if self.signed else url

    def rows(self, total: int) -> int:
        """How many of a world of `total` rows are of this kind."""
        return max(self.least, round(self.share * total))


def _served(name: str, path: str, status: str, *reasons: str, share: float = 0.0, least: int = 2) -> Kind:
    """A good file that is served in an unusual way."""
    return Kind(name, status, reasons or ("",), "{base}/" + path + "/{file}", least=least, share=share)


def _absent(name: str, url: str, *reasons: str, share: float = 0.0, least: int = 2) -> Kind:
    """A URL that leads to no file. "{file}" only keeps the URLs of several rows apart."""
    return Kind(name, FAILED, reasons, url, make=None, share=share, least=least)


def _file(
    name: str,
    make: Callable[[Picture], bytes],
    status: str,
    *reasons: str,
    ending: str = ".jpg",
    share: float = 0.0,
    least: int = 2,
) -> Kind:
    """A file with something unusual about it."""
    return Kind(name, status, reasons or ("",), make=make, ending=ending, share=share, least=least)


NOT_AN_IMAGE = ("not_an_image", "undecodable")
NOT_WHOLE = ("truncated", "undecodable")

KINDS = (
    # Unusual and good: these must be kept.
    _file("png", faults.png, KEPT, ending=".png"),
    _file("webp", faults.webp, KEPT, ending=".webp"),
    _file("progressive", faults.progressive, KEPT),
    _file("grey", faults.grey, KEPT),
    _file("cmyk", faults.cmyk, KEPT, least=1),
    _file("rotated", faults.rotated, KEPT, least=1),
    _file("palette", faults.palette, KEPT, ending=".png", least=1),
    _file("sixteen_bit", faults.sixteen_bit, KEPT, ending=".png", least=1),
    _file("transparent", faults.transparent, KEPT, ending=".png", least=1),
    _file("ink", faults.ink, KEPT, ending=".png", least=1),
    _served("redirected", "redirect", KEPT, share=0.005),
    _served("rate_limited_once", "recovers/429/1", KEPT),
    _served("rate_limited_twice", "recovers/429/2", KEPT, least=1),
    _served("unavailable_once", "recovers/503/1", KEPT),
    _served("unlabelled", "unlabelled", KEPT),
    _served("other_robot_refused", "robots/otherbot%3A%20noindex", KEPT),
    _served("unsized", "unsized", KEPT, least=1),
    _served("chunked", "chunked", KEPT, least=1),
    _file("unicode_url", faults.plain, KEPT, ending=" zdjęcie z podróży.jpg"),
    # Files that must be filtered.
    _file("blurred", faults.blurred, FILTERED, "blurred", share=0.02),
    _file("too_dark", faults.too_dark, FILTERED, "too_dark", "flat", share=0.01),
    _file("too_bright", faults.too_bright, FILTERED, "too_bright", "flat", share=0.01),
    _file("flat", faults.flat, FILTERED, "flat", "low_entropy", share=0.01),
    _file("too_small", faults.too_small, FILTERED, "too_small", share=0.015),
    _file("single_pixel", faults.single_pixel, FILTERED, "too_small", "flat", ending=".png", least=1),
    _file("extreme_aspect_ratio", faults.extreme_aspect_ratio, FILTERED, "extreme_aspect_ratio", share=0.01),
    _file("animated", faults.animated, FILTERED, "animated", ending=".gif"),
    # Files that are none, or are broken.
    _file("truncated", faults.truncated, FAILED, *NOT_WHOLE, share=0.01),
    _file("truncated_png", faults.truncated_png, FAILED, *NOT_WHOLE, ending=".png"),
    _file("garbage", faults.garbage, FAILED, *NOT_WHOLE),
    _file("short_png", faults.short_png, FAILED, "truncated", ending=".png", least=1),
    _file("svg", faults.svg, FAILED, "unsupported_format", ending=".svg"),
    _file("jpeg_xl", faults.jpeg_xl, FAILED, "unsupported_format", ending=".jxl", least=1),
    _file("long_strip", faults.long_strip, FAILED, "side_too_long", ending=".webp", least=1),
    _file("pixel_bomb", faults.pixel_bomb, FAILED, "too_many_pixels", ending=".png", least=1),
    _absent("html", "{base}/html/{file}", *NOT_AN_IMAGE, least=3),
    _absent("empty", "{base}/empty/{file}", *NOT_AN_IMAGE, "empty", "truncated"),
    # Servers that say no.
    _absent("not_found", "{base}/status/404/{file}", "http_404", share=0.05),
    _absent("gone", "{base}/status/410/{file}", "http_410", share=0.01),
    _absent("forbidden", "{base}/status/403/{file}", "http_403", share=0.015),
    _absent("server_error", "{base}/status/500/{file}", "http_500"),
    _absent("rate_limited", "{base}/status/429/{file}", "http_429"),
    _served("noai", "robots/noai", FILTERED, "opted_out"),
    _served("noimageai", "robots/noimageai", FILTERED, "opted_out", least=1),
    _served("noindex", "robots/noindex", FILTERED, "opted_out"),
    _served("noimageindex", "robots/all%2C%20noimageindex", FILTERED, "opted_out", least=1),
    # Servers that are hostile or broken. The slow ones are few: each costs a deadline for every attempt.
    _served("drip", "drip", FAILED, "timeout", least=1),
    _absent("stall", "{base}/stall/{file}", "timeout", least=1),
    _served("endless", "endless", FAILED, "too_large"),
    _served("declared_huge", "declared_huge", FAILED, "too_large"),
    _absent("gzip_bomb", "{base}/gzip_bomb/{file}", "too_large", "bad_encoding"),
    _served("short", "short", FAILED, "truncated", least=3),
    _absent("reset", "{base}/reset/first/{file}", "connection_reset"),
    _served("reset_midway", "reset/midway", FAILED, "connection_reset", "truncated", least=1),
    _absent("redirect_loop", "{base}/loop/a/{file}", "redirect_loop", "too_many_redirects"),
    # Where no fetcher may go.
    _absent("redirect_to_private", "{base}/elsewhere/private/{file}", "private_address"),
    _absent("redirect_to_metadata", "{base}/elsewhere/metadata/{file}", "private_address", least=1),
    _absent("redirect_to_inside", "{base}/elsewhere/inside/{file}", "private_address"),
    _absent("redirect_to_file", "{base}/elsewhere/file/{file}", "unsupported_scheme"),
    _absent("private_address", "http://10.0.0.1/{file}", "private_address"),
    _absent("metadata_address", "http://169.254.169.254/latest/meta-data/{file}", "private_address", least=1),
    _absent("local_name", "http://localhost:1/{file}", "private_address", least=1),
    _absent("local_address", "http://[::1]:1/{file}", "private_address", least=1),
    _absent("ftp", "ftp://ftp.example.invalid/{file}", "unsupported_scheme"),
    _absent("local_file", "file:///etc/{file}", "unsupported_scheme", least=1),
    _absent("unresolvable", "http://images-{file}.invalid/photo.jpg", "dns_failed", "dns_timeout"),
    _absent("no_host", "http:///{file}", "bad_url"),
    _absent("broken_host", "http://[2001:db8::1/{file}", "bad_url", least=1),
    _absent("not_a_url", "see {file}", "bad_url", "unsupported_scheme", least=1),
    _absent("no_host_name", "http://a!b/{file}", "bad_url", least=1),
    _absent("only_credentials", "http://[::1]@/{file}", "bad_url", least=1),
    # URLs that must be asked for as they are written, and with no more than that.
    Kind("signed", KEPT, url="{base}" + SIGNED_PATH + "{file}" + SIGNED_QUERY, signed=True),
    _served("redirected_to_signed", "redirect_signed", KEPT, least=1),
    Kind("credentials", KEPT, url="{login}/images/{file}", least=1),
    Kind("space_around", KEPT, url=" {base}/images/{file}\n", least=1),
)
