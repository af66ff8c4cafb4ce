"""Servers that take their time: what the deadlines of the fetcher are held against. The tests themselves never wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

_DRIP_S = 0.02


async def server_takes(seconds: float) -> None:
    """What a server does before it answers."""
    await asyncio.sleep(seconds)


def dripping(start: bytes) -> Callable[..., Awaitable[Any]]:
    """A route that sends `start`, and then a byte at a time, for ever."""

    async def drip(writer: asyncio.StreamWriter, nth: int, head: str) -> None:
        writer.write(start)
        while True:
            writer.write(b"x")
            await writer.drain()
            await server_takes(_DRIP_S)

    return drip
