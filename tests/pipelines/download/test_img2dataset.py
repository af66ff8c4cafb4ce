"""The stage `download` with img2dataset, which runs in processes of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from corpus.media import read_contents
from corpus.schema import table_schema
from corpus.workspace import Workspace
from pipelines.download import img2dataset as backend
from pipelines.download.images import ITEMS_SCHEMA, Download, DownloadSettings, open_download
from tests.helpers.downloading import Site, run_stage, settings, site
from tests.helpers.extras import installed_or_skip
from tests.helpers.small_worlds import picture


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch, site(tmp_path_factory.mktemp("site")) as running:
        patch.setenv("no_proxy", "127.0.0.1")  # urllib would ask a developer's proxy
        yield running


def chosen(web: Site, **changes: Any) -> DownloadSettings:
    return settings(web, backend="img2dataset", **changes)


def test_it_ends_like_the_own_fetcher(web: Site, tmp_path: Path) -> None:
    """One call of img2dataset, because each takes seconds to start: all kinds of URLs, and a re-encode."""
    installed_or_skip("img2dataset")
    ends = {
        "images/a.jpg": ("kept", ""),
        "redirect/b.png": ("kept", ""),
        "images/rotated.jpg": ("kept", ""),
        "images/zdjęcie 1.jpg": ("kept", ""),
        "status/404/a.jpg": ("failed", "http_404"),
        "loop/a/a.jpg": ("failed", "redirect_loop"),
        "elsewhere/file/a.jpg": ("failed", "unsupported_scheme"),
        "stall/a.jpg": ("failed", "timeout"),
        "short/a.jpg": ("failed", "truncated"),
        "reset/first/a.jpg": ("failed", "connection_reset"),
        "robots/noai/a.jpg": ("filtered", "opted_out"),
        "html/a.jpg": ("failed", "not_an_image"),
        "gzip_bomb/a.jpg": ("failed", "too_large"),
        "images/cut.jpg": ("failed", "truncated"),
        "images/bomb.png": ("failed", "too_many_pixels"),
        "images/hollow.png": ("failed", "undecodable"),
        "http://127.0.0.1:1/a.jpg": ("failed", "connection_failed"),
        "file:///etc/passwd": ("failed", "unsupported_scheme"),
        "http://[::1/a.jpg": ("failed", "bad_url"),
    }
    web.serving.reset()
    workspace = Workspace(tmp_path)
    urls = web.urls([*ends, "images/a.jpg"])  # the last one is the first again
    reencoded = chosen(web, reencode={"longest_side_px": 12}, fetch={"max_bytes": 100_000})
    outcome, path = run_stage(workspace, urls, reencoded)
    assert outcome.error == ""
    table = workspace.read_table(path)
    assert table.schema == table_schema(ITEMS_SCHEMA)
    *found, again = table.to_pylist()
    assert {name: (row["status"], row["reason"]) for name, row in zip(ends, found, strict=True)} == ends
    assert again == found[0]
    assert web.serving.requests()["/images/a.jpg"] == 1
    assert found[4]["http_status"] == 404

    contents = dict(read_contents(workspace.store, table.slice(0, 3)))
    for place, name in enumerate(["a.jpg", "b.png", "rotated.jpg"]):
        assert found[place]["downloaded_sha256"] == hashlib.sha256(web.images[name]).digest()
        assert found[place]["stored_sha256"] == hashlib.sha256(contents[place]).digest()
    assert Image.open(io.BytesIO(contents[0])).size == (12, 8)
    assert Image.open(io.BytesIO(contents[2])).size == (8, 12), "the orientation was applied"
    assert list(tmp_path.rglob("*urls.parquet")) == []


def cut_off_tar(path: Path, images: dict[int, bytes]) -> None:
    """What img2dataset has written when it is killed: the last image is not whole."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for row, data in images.items():
            for ending, content in (("jpg", data), ("json", json.dumps({"row": row}).encode())):
                member = tarfile.TarInfo(f"{row:05d}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    path.parent.mkdir()
    path.write_bytes(whole.getvalue()[: whole.getvalue().index(data) + 100])


def test_what_was_done_before_the_deadline_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_or_skip("img2dataset")
    images = {0: picture(0), 2: picture(2), 1: picture(1)}

    def hang(program: list[str], log: Path, timeout_s: float, environment: dict[str, str]) -> None:
        cut_off_tar(log.parent / "out" / "00000.tar", images)
        (log.parent / "out" / "00000.parquet").write_bytes(b"PAR1, and no end")

    monkeypatch.setattr(backend, "run_bounded", hang)
    workspace = Workspace(tmp_path)
    urls = ["ftp://a/b", *(f"http://example.org/{n}" for n in range(4))]
    outcome, path = run_stage(workspace, urls, DownloadSettings(backend="img2dataset"))
    assert outcome.error == ""
    table = workspace.read_table(path)
    judged = list(zip(table.column("status").to_pylist(), table.column("reason").to_pylist(), strict=True))
    late, kept = ("failed", "timeout"), ("kept", "")
    assert judged == [("failed", "unsupported_scheme"), kept, late, kept, late]
    contents = dict(read_contents(workspace.store, table.take([1, 3])))
    assert [contents[0], contents[1]] == [images[0], images[2]]


def test_a_call_that_never_began_fails_the_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_or_skip("img2dataset")
    monkeypatch.setattr(backend, "deadline_s", lambda urls, settings: 0.0)
    outcome, _ = run_stage(Workspace(tmp_path), ["http://127.0.0.1:1/"], DownloadSettings(backend="img2dataset"))
    assert outcome.error.startswith("ShardError: img2dataset was killed at its deadline before it began")


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("def download(**given): raise ValueError('nothing works')", "failed (exit code 1): "),
        ("def download(**given): print('nothing works')", "failed (exit code 0): "),
    ],
)
def test_a_call_that_fails_fails_the_shard_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, said: str
) -> None:
    installed_or_skip("img2dataset")
    (tmp_path / "img2dataset.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # where the process looks for the library first
    outcome, _ = run_stage(Workspace(tmp_path), ["http://127.0.0.1:1/"], DownloadSettings(backend="img2dataset"))
    assert outcome.error.startswith(f"ShardError: img2dataset {said}")
    assert outcome.error.endswith("nothing works")


def test_the_deadline_gives_every_url_its_time() -> None:
    fetch = {"concurrency": 10, "max_attempts": 2, "total_timeout_s": 30}
    bounded = DownloadSettings.model_validate({"fetch": fetch})
    start = backend.deadline_s(0, bounded)
    assert backend.deadline_s(1, bounded) == start + 60
    assert backend.deadline_s(25, bounded) == start + 180


def test_opt_outs_are_passed_on_as_the_settings_say(tmp_path: Path) -> None:
    def directives(respect: bool) -> list[str]:
        fetch = {"respect_opt_out": respect, "user_agent_token": "ours"}
        told = backend.arguments(3, tmp_path, DownloadSettings.model_validate({"fetch": fetch}))
        assert told["user_agent_token"] == "ours"
        return told["disallowed_header_directives"]

    assert "noai" in directives(True)
    assert directives(False) == []


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = open_download(DownloadSettings(backend="img2dataset"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'rzen-corpus\[img2dataset\]'"):
        stage.setup()


def test_it_declares_what_the_own_fetcher_declares() -> None:
    stage = open_download(DownloadSettings(backend="img2dataset"))
    for name in ("name", "version", "reads", "schema", "nondeterministic", "fan_out"):
        assert getattr(stage, name) == getattr(Download, name)


def test_it_is_given_urls_as_the_fetcher_requests_them_and_no_credentials() -> None:
    cases = {
        "https://b.example/a%2Fb.jpg?X-Amz-Credential=k%2Fs&x=%7E": (
            "https://b.example/a%2Fb.jpg?X-Amz-Credential=k%2Fs&x=%7E",
            "",
        ),
        " http://me:secret@b.example/a b.jpg#part\n": ("http://b.example/a%20b.jpg", ""),
        "http://bücher.example/ż": ("http://xn--bcher-kva.example/%C5%BC", ""),
        "file:///etc/passwd": ("", "unsupported_scheme"),
        "http://[::1]@": ("", "bad_url"),
        "http://a!b/": ("", "bad_url"),
        "": ("", "bad_url"),
    }
    assert {url: backend.sendable(url) for url in cases} == cases
