"""The fetcher downloads untrusted URLs, each within limits of time, size and address, and gives a reason for each."""

from pipelines.fetch.dns import DnsCache
from pipelines.fetch.fetcher import Fetched, fetch
from pipelines.fetch.reasons import REASONS, ROW_REASONS, FetchReason, reason
from pipelines.fetch.response import Spool, Spooled
from pipelines.fetch.settings import FetchSettings

__all__ = [
    "REASONS",
    "ROW_REASONS",
    "DnsCache",
    "FetchReason",
    "FetchSettings",
    "Fetched",
    "Spool",
    "Spooled",
    "fetch",
    "reason",
]
