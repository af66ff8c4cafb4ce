"""The proxy that the environment names for a URL: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from corpus.settings import SettingsError
from pipelines.fetch.response import FetchError
from pipelines.fetch.url import HttpUrl, parse_url


@dataclass(frozen=True, slots=True)
class Proxy:
    """`url` is where it is, without credentials; `full_url` has them."""

    url: HttpUrl
    full_url: URL


def proxy_of(url: HttpUrl) -> Proxy | None:
    """The proxy for a URL, or None for a direct connection. SettingsError for one that can't be used."""
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.host):
        return None
    return _parse(found)


@functools.lru_cache(16)
def _parse(text: str) -> Proxy:
    text = text if "://" in text else f"http://{text}"
    try:
        return Proxy(parse_url(text), URL(text))
    except (FetchError, ValueError) as error:
        scheme, _, rest = text.partition("://")
        shown = f"{scheme}://{rest.rpartition('@')[2]}"  # without credentials
        raise SettingsError(f"the environment's proxy {shown}: {error}; http:// and https:// proxies work") from None
