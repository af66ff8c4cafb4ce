"""Names that others chose, in every command: nothing of them acts on the terminal, and none ends in a traceback."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines import cli
from pipelines.publish.publish import publish
from tests.helpers.small_worlds import InlineEngine, World, mixture

EVIL = "\x1b]0;evil\x07[red]\u202e[/]\n\x9b2J"
SHOWN = "\\x1b]0;evil\\x07[red]\\u202e[/]\\n\\x9b2J"

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in this process; gives its exit code and all that it prints."""

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["rzen-corpus", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        shown = captured.out + captured.err
        assert all(character.isprintable() or character == "\n" for character in shown), ascii(shown)
        assert "Traceback" not in shown
        return int(ended.value.code or 0), shown

    return command


def config(folder: Path, part: Path | str, changes: dict[str, Any] | None = None) -> Path:
    source = {"kind": "laion", "files": [str(part)], **(changes or {})}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"workspace": str(folder / "work"), "sources": {"web": source}}))
    return path


def test_files_and_columns_of_a_source(call: Call, tmp_path: Path) -> None:
    part = tmp_path / f"{EVIL.replace('/', '|')}.parquet"
    pq.write_table(pa.table({"url": ["http://x/"], "text": ["x"], EVIL: [1]}), part)
    code, _ = call("run", config(tmp_path, tmp_path / "*.parquet", {"filter": "nothing > 1"}))
    assert code == 2
    part.write_bytes(b"no table")
    for command in ("plan", "run"):
        _, shown = call(command, config(tmp_path, tmp_path / "*.parquet"))
        assert SHOWN.replace("/", "|") in shown, "a damaged file is named"
    code, shown = call("status", config(tmp_path, tmp_path / f"{EVIL}*.parquet"))
    assert code == 2
    assert SHOWN in shown


def test_urls_that_a_settings_file_names(call: Call, tmp_path: Path) -> None:
    for part in (f"s3x://{EVIL}", f"{tmp_path}/{EVIL}/x.parquet", EVIL):
        code, shown = call("plan", config(tmp_path, part))
        assert code in (1, 2)
        assert "\\x1b]0;evil\\x07[red]" in shown


def test_arguments(call: Call, tmp_path: Path) -> None:
    for arguments in (("plan", EVIL), ("plan", "a", EVIL), (EVIL,), ("run", "x", "--engine", EVIL), ("verify", EVIL)):
        code, shown = call(*arguments)
        assert code in (1, 2)
        assert "\\x1b]0;evil" in shown
    path = config(tmp_path, "x")
    for options in (("--mixture", EVIL), ("--stage", EVIL), ("--shards", EVIL, "--stage", "x"), (f"--{EVIL}",)):
        code, shown = call("run", path, *options)
        assert code == 2
        assert "\\x1b]0;evil" in shown


def test_names_of_sources_and_settings(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"workspace": "w", EVIL: 1, "sources": {EVIL: {"kind": "laion", "files": ["x"]}}}))
    code, shown = call("run", path)
    assert code == 2
    assert f"{SHOWN}: unknown key" in shown


def test_labels(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.summaries.label_summary", lambda _: iter([EVIL, f"{EVIL} and {EVIL} are related"]))
    code, shown = call("labels", config(tmp_path, "x"))
    assert code == 0
    assert shown == f"{SHOWN}\n{SHOWN} and {SHOWN} are related\n"


def test_files_and_members_of_a_corpus(call: Call, tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    world.captions("laion", 4)
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}}), InlineEngine())
    tar = next((tmp_path / "corpus/laion").glob("*.tar"))
    with tarfile.open(tar, "a") as archive:
        for name in (f"{EVIL}.json", f"{'0' * 32}.{EVIL}"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    (tmp_path / "corpus" / EVIL.replace("/", "|")).write_bytes(b"")
    code, shown = call("verify", tmp_path / "corpus")
    assert code == 1
    assert "\\x1b]0;evil\\x07[red]" in shown
    assert "not listed in the manifest" in shown
    (tmp_path / "corpus/manifest.json").write_text(
        f'{{"schema_version": 1, "{EVIL.encode("unicode_escape").decode()}": 1}}'
    )
    code, shown = call("verify", tmp_path / "corpus")
    assert code == 1
