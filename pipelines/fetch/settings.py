"""The settings of the fetcher."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from pydantic import Field, field_validator, model_validator

from corpus.settings import Settings, tuning
from pipelines.fetch.address import parse_rule


class FetchSettings(Settings):
    """Settings of the fetcher: deadlines, limits, politeness, and the addresses that may be reached.

    Memory in flight is at most `concurrency` bodies of `max_bytes` each (and as much again while a body is joined
    or decoded); with web images, whose mean lies near 100 KB, it is some tens of megabytes. Where bodies are spooled,
    the temporary folder needs that room instead.

    Deadlines, attempts, limits on what is in flight, `private_allowlist` and `trust_env` are tuning: changing them
    downloads nothing anew; `--retry` tries the rows again that failed for their sake.
    """

    user_agent_token: str = Field(
        "rzen-corpus",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
        description="The product name in the user agent, which an X-Robots-Tag may address.",
    )
    contact: str = tuning(
        "",
        pattern=r"^[!-~]*$",
        description="A URL or mail address where a site's owner reaches the crawler's operator; part of the user "
        "agent.",
    )
    respect_opt_out: bool = Field(
        True, description="Whether X-Robots-Tag opt-outs are respected: noai, noimageai, noindex, noimageindex, none."
    )

    total_timeout_s: float = tuning(
        30.0,
        gt=0,
        description="The longest attempt, redirects included, from the first connection to the last byte; waits for "
        "a turn and between attempts do not count.",
    )
    connect_timeout_s: float = tuning(
        5.0,
        gt=0,
        description="The longest TCP connection and TLS handshake together, whichever of a host's addresses answers.",
    )
    read_timeout_s: float = tuning(10.0, gt=0, description="The longest silence of a server.")
    dns_timeout_s: float = tuning(5.0, gt=0, description="The longest DNS lookup.")
    dns_ttl_s: float = tuning(300.0, ge=0, description="How long the addresses of a name are cached.")
    dns_negative_ttl_s: float = tuning(60.0, ge=0, description="How long it is cached that a name does not exist.")

    max_bytes: int = Field(10 * 2**20, ge=1, description="The largest body, as sent and as decoded.")
    max_redirects: int = Field(8, ge=0, description="The most redirects of a URL.")

    max_attempts: int = tuning(3, ge=1, description="How often a URL is tried while its failures are transient.")
    backoff_s: float = tuning(
        1.0,
        ge=0,
        description="The wait before attempt n + 1 is drawn from 0 to `backoff_s` × 2^(n-1), at most `max_backoff_s`.",
    )
    max_backoff_s: float = tuning(30.0, ge=0, description="The longest wait between two attempts.")
    max_retry_after_s: float = tuning(
        60.0,
        ge=0,
        description="The longest Retry-After that is waited for; a URL with a longer one is not tried again in this "
        "run.",
    )

    concurrency: int = tuning(
        256, ge=1, description="Downloads in flight at once in one shard; a worker has two shards in flight."
    )
    concurrency_per_host: int = tuning(16, ge=1, description="Downloads in flight at once from one host in one shard.")

    private_allowlist: tuple[str, ...] = tuning(
        (),
        description='Private addresses that may be reached: networks ("10.0.0.0/8"), or one port of an address or '
        'of a name ("127.0.0.1:8000", "[::1]:8000", "images.internal:80").',
    )

    trust_env: bool = tuning(
        False,
        description="Whether the proxies of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are used. A proxy may "
        "have any address. The requested URL's address is checked where this machine can look up the host; else "
        "the proxy decides.",
    )

    @field_validator("private_allowlist")
    @classmethod
    def _rules_parse(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        for rule in rules:
            parse_rule(rule)
        return rules

    @model_validator(mode="after")
    def _waits_are_ordered(self) -> FetchSettings:
        if self.max_backoff_s < self.backoff_s:
            raise ValueError(f"max_backoff_s {self.max_backoff_s} is less than backoff_s {self.backoff_s}")
        return self

    @property
    def user_agent(self) -> str:
        """What servers see: name, version, what it is for, and whom to ask."""
        about = ["builds a research corpus", "honours X-Robots-Tag" if self.respect_opt_out else ""]
        about.append(f"+{self.contact}" if self.contact else "")
        return f"{self.user_agent_token}/{_version()} ({'; '.join(filter(None, about))})"


def _version() -> str:
    try:
        return version("rzen-corpus")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
