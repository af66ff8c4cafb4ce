"""What one HTTP exchange gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.fetch.spool import Spooled


@dataclass(slots=True)
class Answer:
    """`reason` is a key of REASONS, http_NNN, or "" where `location` says to ask elsewhere."""

    reason: str
    detail: str = ""
    body: bytes = b""
    spooled: Spooled | None = None  # the body, where it is not kept in memory
    http_status: int = 0
    content_type: str = ""
    encoding: str = ""  # of the body: Content-Encoding
    location: str | None = None
    retry_after_s: float | None = None


class FetchError(Exception):
    """An exchange that did not come about: `reason` is a key of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
