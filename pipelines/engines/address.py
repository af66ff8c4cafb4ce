"""Checks that a Ray cluster answers, before anything is read: Ray itself tries for a minute or longer."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from corpus.settings import SettingsError
from pipelines.engines import EngineSettings

_DEADLINE_S = 10.0
_FOUND_BY_RAY = ("auto", "local")


def check_address(settings: EngineSettings) -> None:
    """Raises SettingsError for the address of a Ray cluster where nothing answers within _DEADLINE_S."""
    address = settings.address
    if settings.kind != "ray" or not address or address in _FOUND_BY_RAY:
        return
    host, port = _host_and_port(address)
    try:
        socket.create_connection((host, port), _DEADLINE_S).close()
    except OSError as error:
        raise SettingsError(
            f"engine.address {address}: no Ray cluster answers there ({error}). Is its head up, and is this its port?"
        ) from error


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise SettingsError(f"engine.address {address}: expected host:port, ray://host:port or auto")
    return host, port
