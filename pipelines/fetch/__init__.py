"""The fetcher: downloads URLs that strangers wrote, each within its limits, and says how each one ended."""

from pipelines.fetch.dns import DnsCache
from pipelines.fetch.reasons import REASONS, Reason, reason
from pipelines.fetch.run import Fetched, fetch
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.spool import Spool, Spooled

__all__ = ["REASONS", "DnsCache", "FetchSettings", "Fetched", "Reason", "Spool", "Spooled", "fetch", "reason"]
