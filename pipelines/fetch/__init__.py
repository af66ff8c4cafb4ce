"""The fetcher: downloads URLs that strangers wrote, each within its limits, and says how each one ended."""

from pipelines.fetch.dns import DnsCache
from pipelines.fetch.fetcher import Fetched, fetch
from pipelines.fetch.reasons import REASONS, Reason, reason
from pipelines.fetch.response import Spool, Spooled
from pipelines.fetch.settings import FetchSettings

__all__ = ["REASONS", "DnsCache", "FetchSettings", "Fetched", "Reason", "Spool", "Spooled", "fetch", "reason"]
