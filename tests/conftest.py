"""Fixtures for all tests: where a workspace can lie, a real S3 protocol included, and a world that whole runs share."""

from __future__ import annotations

import logging
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest
from hypothesis import settings

from tests.helpers import extras

if TYPE_CHECKING:
    from tests.helpers.whole_runs import Web

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program that they start with them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--complete", action="store_true", help="fail what would be skipped because a package is absent")
    parser.addoption("--least", type=int, default=0, metavar="N", help="fail unless so many tests passed")


def pytest_configure(config: pytest.Config) -> None:
    extras.complete = config.getoption("complete")


# Folders whose tests take longest: they come first, so that no long file is left to one process at the end.
_LONG = ("tests/runs/", "tests/demo/", "tests/fuzz/", "tests/pipelines/engines/", "tests/pipelines/report/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, folder in enumerate(_LONG) if item.nodeid.startswith(folder)), 99))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A collection that lost most of its tests is no success."""
    if hasattr(session.config, "workerinput"):  # of pytest-xdist: one of several, which each ran some
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = len(reporter.stats.get("passed", [])) if reporter else 0
    if passed < session.config.getoption("least"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"\n{passed} tests passed, at least {session.config.getoption('least')} must", red=True)


settings.register_profile("tests", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server on the loopback, and an environment in which every process finds it."""
    extras.installed_or_skip("s3fs", "moto")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")  # what the developer's own accounts say must not matter
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_store(s3_server: str) -> str:
    """The URL of an empty folder in a bucket of its own."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/work"


@pytest.fixture(autouse=True)
def _memory_is_empty_again() -> Iterator[None]:
    """Files in fsspec's memory last as long as the process: no test finds another's."""
    yield
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]


@pytest.fixture
def memory_store() -> str:
    """The URL of an empty folder in fsspec's memory file system."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture(params=["local", "memory", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty root on each kind of storage in turn."""
    if request.param == "local":
        return str(tmp_path / "work")
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A world of 320 rows behind a web server, which all tests of whole runs share."""
    from demo.images.world import build_world
    from demo.server import serve
    from tests.helpers.whole_runs import SLOW, Web

    folder = tmp_path_factory.mktemp("web")
    with serve(folder) as serving:
        world = build_world(folder, rows=320, base_url=serving.base_url, without=SLOW)
        yield Web(folder, serving, world.parts, world.truth)


@pytest.fixture(scope="session")
def undisturbed(web: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything was run once, by one worker: what all other runs are held against."""
    home = tmp_path_factory.mktemp("undisturbed")
    result = web.run(home)
    assert result.failed == []
    return home
