"""The address of a Ray cluster: what is nobody's is found before anything is read."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.config import Config
from pipelines.engines import EngineSettings
from pipelines.engines.address import check_address
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_where_something_answers_or_ray_itself_looks_for_the_cluster_nothing_is_wrong() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "auto", "local", None):
            check_address(EngineSettings(kind="ray", address=address))
        check_address(EngineSettings(address=f"127.0.0.1:{port}"))  # of another engine
        server.settimeout(0)
        for _ in range(2):
            server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()  # the two with a port have connected, nothing else has


def test_what_is_no_cluster_is_refused_by_name() -> None:
    port = free_port()
    cases = {
        f"127.0.0.1:{port}": "no Ray cluster answers there",
        f"ray://127.0.0.1:{port}": "no Ray cluster answers there",
        "[::1]:1": "no Ray cluster answers there",
        "127.0.0.1": "expected host:port",
        "127.0.0.1:port": "expected host:port",
        ":6379": "expected host:port",
    }
    messages = {}
    for address in cases:
        with pytest.raises(SettingsError) as found:
            check_address(EngineSettings(kind="ray", address=address))
        messages[address] = str(found.value)
    wrong = {
        each: messages[each] for each, why in cases.items() if f"engine.address {each}: {why}" not in messages[each]
    }
    assert wrong == {}


def test_it_is_checked_before_sources_are_read(tmp_path: Path) -> None:
    source = {"kind": "laion", "files": [str(tmp_path / "*.parquet")]}
    engine = {"kind": "ray", "address": f"127.0.0.1:{free_port()}"}
    settings = {"workspace": str(tmp_path / "work"), "engine": engine, "sources": {"notes": source}}
    with pytest.raises(SettingsError, match="no Ray cluster answers"):
        run(parse_settings(settings, Config), Selection(), Terminal(quiet=True))
    assert list(tmp_path.iterdir()) == []
