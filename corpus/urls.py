"""Removes credentials from URLs that are written, and signatures that grant access from those that are published."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    import pyarrow as pa

# Each entry names a scheme of signing: the parameter that it is known by, then those that go with it. `*` stands for
# any letters; case does not count.
SIGNATURES = (
    "X-Amz-*",  # Amazon S3, version 4
    "X-Goog-*",  # Google Cloud Storage
    "X-Oss-*",  # Alibaba Cloud
    # Amazon S3, version 2, CloudFront, and older forms of other stores.
    "Signature Expires Policy Key-Pair-Id AWSAccessKeyId GoogleAccessId OSSAccessKeyId AccessKeyId security-token",
    "sig sv ss srt sr sp st se spr sip sdd si ske skoid sks skt sktid skv",  # Azure: shared access signatures
    "q-signature q-*",  # Tencent Cloud
    "hdnts",  # Akamai
    "hdnea",
    "hdntl",
    "__token__",
    "x-signature x-expires",  # ByteDance
    "token expires token_path",
    "access_token",
    "auth_token",
    "auth_key",
    "api_key",
    "apikey",
    "hmac",
    "jwt",
)

_USERINFO = re.compile(r"""://([^\s/?#"<>]*)@""")  # within quotes or brackets, if it stands in any
# What comes later in a URL of the web is a path, which is asked for as it is.
_WEB_USERINFO = re.compile(r"([\s\x00-\x20]*https?://)([^/?#]*@)?", re.IGNORECASE)
IGNORED = str.maketrans("", "", "\t\r\n")  # anywhere in a URL, by the URL standard of browsers
_WEB = ("http", "https")


def without_credentials(text: str) -> str:
    """Returns the text without the `user:password@` of the URLs in it, and without the `user@` of those with http or
    https.

    With other schemes the part before "@" may be a place: `abfs://container@account/`.
    """
    if "://" not in text or "@" not in text:
        return text
    return _USERINFO.sub(lambda found: "://" if _is_secret(_scheme(text, found.start()), found[1]) else found[0], text)


def has_credentials(text: str) -> bool:
    """Returns whether `without_credentials` would take something off."""
    return without_credentials(text) != text


def urls_without_credentials(urls: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, int]:
    """Returns a column of URLs (string) without their credentials, and of how many some were taken off.

    A value is one URL as a whole, so white space in it does not end the part before "@".
    """
    import numpy as np  # here: what is printed is cleaned by this module, and `--help` needs no arrays
    import pyarrow as pa
    import pyarrow.compute as pc

    from corpus.arrays import one_array

    values = one_array(urls)
    marked = pc.fill_null(pc.match_substring(values, "@"), False).to_numpy(zero_copy_only=False)
    at = np.flatnonzero(marked)
    originals = values.take(pa.array(at)).to_pylist()
    cleaned = [_one_without_credentials(url) for url in originals]
    changed = sum(ours != original for ours, original in zip(cleaned, originals, strict=True))
    if not changed:
        return values, 0
    return pc.replace_with_mask(values, pa.array(marked), pa.array(cleaned, values.type)), changed


def published_url(url: str, signatures: Iterable[str] = SIGNATURES) -> str:
    """Returns a URL as it may be published: without credentials, without what `signatures` (as SIGNATURES) name,
    trimmed.

    What is left is as it was written. A URL without its signature still says where something came from.
    """
    url = (_one_without_credentials(url) if "@" in url else url).strip()
    start, mark, rest = url.partition("?")
    if not mark:
        return url
    query, hash_mark, fragment = rest.partition("#")
    parameters = query.split("&")
    names = [unquote_plus(parameter.partition("=")[0]).lower() for parameter in parameters]
    removed: set[str] = set()
    for known_by, pattern in map(_patterns, signatures):
        if any(map(known_by.fullmatch, names)):
            removed.update(filter(pattern.fullmatch, names))
    if not removed:
        return url
    kept = [parameter for parameter, name in zip(parameters, names, strict=True) if name not in removed]
    return start + ("?" + "&".join(kept) if kept else "") + hash_mark + fragment


@cache
def _patterns(signature: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Returns what the first name of an entry matches, and what any of them does."""
    forms = [translate(name.replace("[", "[[]").replace("?", "[?]")) for name in signature.lower().split()]
    return re.compile(forms[0]), re.compile("|".join(forms))


def _one_without_credentials(url: str) -> str:
    visible = url.translate(IGNORED)
    found = _WEB_USERINFO.match(visible)
    if found is None:
        return without_credentials(url)  # of a file system, perhaps of a chain of them
    return found[1] + visible[found.end() :] if found[2] else url


def _scheme(text: str, end: int) -> str:
    start = end
    while start and end - start < 5 and text[start - 1].isalpha():
        start -= 1
    return text[start:end]


def _is_secret(scheme: str, userinfo: str) -> bool:
    return scheme.lower() in _WEB or ":" in userinfo
