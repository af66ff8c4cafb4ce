"""The kinds of rows that the world plants: the URL, the file, and the outcome of each.

The outcome of a row is a status and the reasons that are right for it; where several filters may apply (a picture that
is nearly black is also flat), several reasons are accepted. Duplicates come in families, see `demo.images.world`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corpus.schema import Status
from demo.images import defects as defects
from demo.images.drawing import Picture
from demo.server import SIGNED_PATH, SIGNED_QUERY, with_signature

KEPT, FILTERED, FAILED = str(Status.KEPT), str(Status.FILTERED), str(Status.FAILED)
DROPPED = "dropped"  # by the source, before a row is an item


@dataclass(frozen=True)
class DefectKind:
    """A kind of row.

    `url` may contain {base} (the server), {login} (the same with credentials) and {file} (a file name).
    """

    name: str
    status: str
    reasons: tuple[str, ...] = ("",)
    url: str = "{base}/images/{file}"
    make: Callable[[Picture], bytes] | None = defects.plain  # None: no file is needed
    ext: str = ".jpg"  # of the file's name
    min_rows: int = 2  # rows, in however small a world
    share: float = 0.0  # of the world's rows
    signed: bool = False  # a signature over the URL is put to its end

    def url_of(self, base: str, file: str) -> str:
        """Returns the URL of a row."""
        url = self.url.format(base=base, login=base.replace("://", "://user:word@"), file=file)
        return base + with_signature(url.removeprefix(base)) if self.signed else url

    def rows(self, total: int) -> int:
        """Returns the number of rows of this kind in a world of `total` rows."""
        return max(self.min_rows, round(self.share * total))


def _served(name: str, path: str, status: str, *reasons: str, share: float = 0.0, min_rows: int = 2) -> DefectKind:
    """Returns a kind whose file is good, and is served in an unusual way."""
    return DefectKind(name, status, reasons or ("",), "{base}/" + path + "/{file}", min_rows=min_rows, share=share)


def _absent(name: str, url: str, *reasons: str, share: float = 0.0, min_rows: int = 2) -> DefectKind:
    """Returns a kind whose URL leads to no file. "{file}" only makes the URLs of several rows unique."""
    return DefectKind(name, FAILED, reasons, url, make=None, share=share, min_rows=min_rows)


def _file(
    name: str,
    make: Callable[[Picture], bytes],
    status: str,
    *reasons: str,
    ext: str = ".jpg",
    share: float = 0.0,
    min_rows: int = 2,
) -> DefectKind:
    """Returns a kind whose file is unusual."""
    return DefectKind(name, status, reasons or ("",), make=make, ext=ext, share=share, min_rows=min_rows)


NOT_AN_IMAGE = ("not_an_image", "undecodable")
INCOMPLETE = ("truncated", "undecodable")

KINDS = (
    # Unusual and good: these must be kept.
    _file("png", defects.png, KEPT, ext=".png"),
    _file("webp", defects.webp, KEPT, ext=".webp"),
    _file("progressive", defects.progressive, KEPT),
    _file("grey", defects.grey, KEPT),
    _file("cmyk", defects.cmyk, KEPT, min_rows=1),
    _file("rotated", defects.rotated, KEPT, min_rows=1),
    _file("palette", defects.palette, KEPT, ext=".png", min_rows=1),
    _file("sixteen_bit", defects.sixteen_bit, KEPT, ext=".png", min_rows=1),
    _file("transparent", defects.transparent, KEPT, ext=".png", min_rows=1),
    _file("ink", defects.ink, KEPT, ext=".png", min_rows=1),
    _served("redirected", "redirect", KEPT, share=0.005),
    _served("rate_limited_once", "recovers/429/1", KEPT),
    _served("rate_limited_twice", "recovers/429/2", KEPT, min_rows=1),
    _served("unavailable_once", "recovers/503/1", KEPT),
    _served("unlabelled", "unlabelled", KEPT),
    _served("other_robot_refused", "robots/otherbot%3A%20noindex", KEPT),
    _served("unsized", "unsized", KEPT, min_rows=1),
    _served("chunked", "chunked", KEPT, min_rows=1),
    _file("unicode_url", defects.plain, KEPT, ext=" zdjęcie z podróży.jpg"),
    # Files that must be filtered.
    _file("blurred", defects.blurred, FILTERED, "blurred", share=0.02),
    _file("too_dark", defects.too_dark, FILTERED, "too_dark", "flat", share=0.01),
    _file("too_bright", defects.too_bright, FILTERED, "too_bright", "flat", share=0.01),
    _file("flat", defects.flat, FILTERED, "flat", "low_entropy", share=0.01),
    _file("too_small", defects.too_small, FILTERED, "too_small", share=0.015),
    _file("single_pixel", defects.single_pixel, FILTERED, "too_small", "flat", ext=".png", min_rows=1),
    _file("extreme_aspect_ratio", defects.extreme_aspect_ratio, FILTERED, "extreme_aspect_ratio", share=0.01),
    _file("animated", defects.animated, FILTERED, "animated", ext=".gif"),
    # Files that are none, or are broken.
    _file("truncated", defects.truncated, FAILED, *INCOMPLETE, share=0.01),
    _file("truncated_png", defects.truncated_png, FAILED, *INCOMPLETE, ext=".png"),
    _file("garbage", defects.garbage, FAILED, *INCOMPLETE),
    _file("short_png", defects.short_png, FAILED, "truncated", ext=".png", min_rows=1),
    _file("svg", defects.svg, FAILED, "unsupported_format", ext=".svg"),
    _file("jpeg_xl", defects.jpeg_xl, FAILED, "unsupported_format", ext=".jxl", min_rows=1),
    _file("long_strip", defects.long_strip, FAILED, "side_too_long", ext=".webp", min_rows=1),
    _file("pixel_bomb", defects.pixel_bomb, FAILED, "too_many_pixels", ext=".png", min_rows=1),
    _absent("html", "{base}/html/{file}", *NOT_AN_IMAGE, min_rows=3),
    _absent("empty", "{base}/empty/{file}", *NOT_AN_IMAGE, "empty", "truncated"),
    # Servers that say no.
    _absent("not_found", "{base}/status/404/{file}", "http_404", share=0.05),
    _absent("gone", "{base}/status/410/{file}", "http_410", share=0.01),
    _absent("forbidden", "{base}/status/403/{file}", "http_403", share=0.015),
    _absent("server_error", "{base}/status/500/{file}", "http_500"),
    _absent("rate_limited", "{base}/status/429/{file}", "http_429"),
    _served("noai", "robots/noai", FILTERED, "opted_out"),
    _served("noimageai", "robots/noimageai", FILTERED, "opted_out", min_rows=1),
    _served("noindex", "robots/noindex", FILTERED, "opted_out"),
    _served("noimageindex", "robots/all%2C%20noimageindex", FILTERED, "opted_out", min_rows=1),
    # Servers that are hostile or broken. The slow ones are few: each costs a deadline for every attempt.
    _served("drip", "drip", FAILED, "timeout", min_rows=1),
    _absent("stall", "{base}/stall/{file}", "timeout", min_rows=1),
    _served("endless", "endless", FAILED, "too_large"),
    _served("declared_huge", "declared_huge", FAILED, "too_large"),
    _absent("gzip_bomb", "{base}/gzip_bomb/{file}", "too_large", "bad_encoding"),
    _served("short", "short", FAILED, "truncated", min_rows=3),
    _absent("reset", "{base}/reset/first/{file}", "connection_reset"),
    _served("reset_midway", "reset/midway", FAILED, "connection_reset", "truncated", min_rows=1),
    _absent("redirect_loop", "{base}/loop/a/{file}", "redirect_loop", "too_many_redirects"),
    # Where no fetcher may go.
    _absent("redirect_to_private", "{base}/elsewhere/private/{file}", "private_address"),
    _absent("redirect_to_metadata", "{base}/elsewhere/metadata/{file}", "private_address", min_rows=1),
    _absent("redirect_to_inside", "{base}/elsewhere/inside/{file}", "private_address"),
    _absent("redirect_to_file", "{base}/elsewhere/file/{file}", "unsupported_scheme"),
    _absent("private_address", "http://10.0.0.1/{file}", "private_address"),
    _absent("metadata_address", "http://169.254.169.254/latest/meta-data/{file}", "private_address", min_rows=1),
    _absent("local_name", "http://localhost:1/{file}", "private_address", min_rows=1),
    _absent("local_address", "http://[::1]:1/{file}", "private_address", min_rows=1),
    _absent("ftp", "ftp://ftp.example.invalid/{file}", "unsupported_scheme"),
    _absent("local_file", "file:///etc/{file}", "unsupported_scheme", min_rows=1),
    _absent("unresolvable", "http://images-{file}.invalid/photo.jpg", "dns_failed", "dns_timeout"),
    _absent("no_host", "http:///{file}", "bad_url"),
    _absent("broken_host", "http://[2001:db8::1/{file}", "bad_url", min_rows=1),
    _absent("not_a_url", "see {file}", "bad_url", "unsupported_scheme", min_rows=1),
    _absent("no_host_name", "http://a!b/{file}", "bad_url", min_rows=1),
    _absent("only_credentials", "http://[::1]@/{file}", "bad_url", min_rows=1),
    # URLs that must be asked for as they are written, and with no more than that.
    DefectKind("signed", KEPT, url="{base}" + SIGNED_PATH + "{file}" + SIGNED_QUERY, signed=True),
    _served("redirected_to_signed", "redirect_signed", KEPT, min_rows=1),
    DefectKind("credentials", KEPT, url="{login}/images/{file}", min_rows=1),
    DefectKind("space_around", KEPT, url=" {base}/images/{file}\n", min_rows=1),
)
