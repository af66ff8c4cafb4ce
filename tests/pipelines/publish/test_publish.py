from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.storage import Store
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def written_at(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a tar is written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.tar")}


class Interrupted(RuntimeError):
    """As if the run was killed."""


class DyingEngine(InlineEngine):
    """Dies after so many partitions."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def map_reduce(self, *arguments: Any) -> Iterator[pa.Table]:
        for done, table in enumerate(super().map_reduce(*arguments), 1):
            if done > self._after:
                raise Interrupted
            yield table


@pytest.fixture
def world(tmp_path: Path) -> World:
    """22 pairs of `laion` and 9 of `more`: 6 and 3 tars of 4."""
    world = World(str(tmp_path / "work"))
    world.captions("laion", 22)
    world.captions("more", 9)
    return world


BOTH: dict[str, dict[str, Any]] = {"laion": {"negatives": 1}, "more": {"weight": 2.0}}


def test_a_corpus_is_published_and_verifies(world: World, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    settings = mixture(tmp_path / "corpus", BOTH)
    published = publish(world.workspace, world.given(), settings, InlineEngine(), lambda *at: told.append(at))
    assert not published.reused
    assert told == [(done, 9) for done in range(10)]
    found = verify(str(tmp_path / "corpus"))
    assert found.faults == []
    assert (found.tars, found.samples, found.images) == (9, 31, 22 * 2 + 9)
    assert published.manifest == json.loads((tmp_path / "corpus/manifest.json").read_bytes())
    assert sorted(files(tmp_path / "corpus")) == [
        *("README.md", "blend.yaml", "laion/index.json"),
        *(f"laion/laion-{n:06d}.tar" for n in range(6)),
        *("manifest.json", "more/index.json"),
        *(f"more/more-{n:06d}.tar" for n in range(3)),
    ]


def test_the_same_bytes_whatever_the_engine_the_tables_and_the_order_of_settings(tmp_path: Path) -> None:
    seen = []
    for tables, engine, settings in ((1, 0, BOTH), (5, 7, dict(reversed(BOTH.items())))):
        world = World(str(tmp_path / f"work{tables}"))
        world.captions("laion", 22, tables)
        world.captions("more", 9, tables)
        corpus = tmp_path / f"corpus{tables}"
        publish(world.workspace, world.given(), mixture(corpus, settings), InlineEngine(engine))
        seen.append({name: data for name, data in files(corpus).items() if name.endswith((".tar", "index.json"))})
    assert seen[0] == seen[1]


def test_again_from_the_same_does_nothing(world: World, tmp_path: Path) -> None:
    settings = mixture(tmp_path / "corpus", BOTH)
    first = publish(world.workspace, world.given(), settings, InlineEngine())
    before = files(tmp_path / "corpus")
    again = publish(world.workspace, world.given(), settings, DyingEngine(after=0))
    assert again.reused
    assert again.manifest == first.manifest
    assert files(tmp_path / "corpus") == before


def test_what_is_gone_of_a_corpus_is_written_again_and_nothing_else(world: World, tmp_path: Path) -> None:
    settings, corpus = mixture(tmp_path / "corpus", BOTH), tmp_path / "corpus"
    publish(world.workspace, world.given(), settings, InlineEngine())
    whole, before = files(corpus), written_at(corpus)
    for gone in ("laion/laion-000002.tar", "more/index.json", "README.md"):
        (corpus / gone).unlink()
    again = publish(world.workspace, world.given(), settings, InlineEngine())
    assert not again.reused
    assert files(corpus) == whole
    assert {name for name, at in written_at(corpus).items() if at != before[name]} == {"laion-000002.tar"}
    assert publish(world.workspace, world.given(), settings, InlineEngine()).reused


@pytest.mark.parametrize("path", ["laion/laion-000000.tar", "README.md", "more/index.json"])
def test_files_that_are_of_no_corpus_are_not_overwritten(world: World, tmp_path: Path, path: str) -> None:
    corpus = tmp_path / "corpus"
    (corpus / path).parent.mkdir(parents=True)
    (corpus / path).write_bytes(b"mine")
    with pytest.raises(PublishError, match=f"{path}: exists, and is of no corpus"):
        publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    assert files(corpus) == {path: b"mine"}


def test_what_a_run_that_was_killed_at_once_leaves_is_in_nobodys_way(world: World, tmp_path: Path) -> None:
    """Killed when the first tar had its name and no receipt yet."""
    corpus = tmp_path / "corpus"
    with pytest.raises(Interrupted):
        publish(world.workspace, world.given(), mixture(corpus, BOTH), DyingEngine(after=0))
    shutil.rmtree(corpus / ".progress")
    assert len(written_at(corpus)) == 1
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    assert verify(str(corpus)).faults == []
    (corpus / "manifest.json").unlink()
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    assert verify(str(corpus)).faults == []


@pytest.mark.parametrize("after", [0, 1, 5, 8])
def test_an_interrupted_export_goes_on_and_gives_the_same_bytes(world: World, tmp_path: Path, after: int) -> None:
    publish(world.workspace, world.given(), mixture(tmp_path / "undisturbed", BOTH), InlineEngine())
    corpus = tmp_path / "corpus"
    with pytest.raises(Interrupted):
        publish(world.workspace, world.given(), mixture(corpus, BOTH), DyingEngine(after))
    assert not (corpus / "manifest.json").exists()
    assert verify(str(corpus)).faults != []
    done = written_at(corpus)
    assert len(done) == after + 1
    (corpus / "laion").mkdir(exist_ok=True)
    (corpus / "laion/.laion-000003.tar.0a1b2c3d.tmp").write_bytes(b"half a tar")
    told: list[tuple[int, int]] = []
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine(1), lambda *at: told.append(at))
    assert told[0] == (after + 1, 9)
    assert files(corpus) == files(tmp_path / "undisturbed")
    assert done.items() <= written_at(corpus).items()


def test_a_tar_without_a_receipt_is_written_again(world: World, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    publish(world.workspace, world.given(), mixture(tmp_path / "undisturbed", BOTH), InlineEngine())
    with pytest.raises(Interrupted):
        publish(world.workspace, world.given(), mixture(corpus, BOTH), DyingEngine(after=8))
    for receipt in (corpus / ".progress").rglob("*.*"):
        receipt.unlink()
    for tar in corpus.rglob("*.tar"):
        tar.write_bytes(b"whatever")
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    assert files(corpus) == files(tmp_path / "undisturbed")


def test_a_finished_tar_that_was_removed_is_written_again(world: World, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    with pytest.raises(Interrupted):
        publish(world.workspace, world.given(), mixture(corpus, BOTH), DyingEngine(after=8))
    for tar in sorted(corpus.rglob("*.tar"))[::2]:
        tar.unlink()
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    assert verify(str(corpus)).faults == []


def test_another_weight_rewrites_no_tar(world: World, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    before = written_at(corpus)
    changed = BOTH | {"more": {"weight": 5.0}}
    published = publish(world.workspace, world.given(), mixture(corpus, changed), DyingEngine(after=0))
    assert not published.reused
    assert published.manifest["datasets"]["more"]["weight"] == 5.0
    assert written_at(corpus) == before
    assert verify(str(corpus)).faults == []


def test_what_a_new_corpus_does_not_have_is_removed_and_nothing_else(world: World, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    before = written_at(corpus)
    for foreign in ("notes.txt", "more/notes.txt", "laion/notes.txt", "laion/other-000000.tar"):
        (corpus / foreign).write_bytes(b"mine")
    publish(world.workspace, world.given(), mixture(corpus, {"laion": {"negatives": 1, "pairs": 9}}), InlineEngine())
    assert sorted(files(corpus)) == [
        *("README.md", "blend.yaml", "laion/index.json"),
        *(f"laion/laion-{n:06d}.tar" for n in range(3)),
        *("laion/notes.txt", "laion/other-000000.tar", "manifest.json", "more/notes.txt", "notes.txt"),
    ]
    assert written_at(corpus)["laion-000000.tar"] != before["laion-000000.tar"]


def test_an_interrupted_change_leaves_no_corpus_and_can_be_finished_or_taken_back(world: World, tmp_path: Path) -> None:
    corpus, few = tmp_path / "corpus", {"laion": {"pairs": 9}}
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    whole = files(corpus)
    with pytest.raises(Interrupted):
        publish(world.workspace, world.given(), mixture(corpus, few), DyingEngine(after=0))
    assert not (corpus / "manifest.json").exists()
    publish(world.workspace, world.given(), mixture(corpus, BOTH), InlineEngine())
    assert files(corpus) == whole


def test_a_folder_with_another_programs_manifest_is_left_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/manifest.json").write_text('{"name": "an app"}')
    with pytest.raises(PublishError, match="not a manifest of schema version 1"):
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", BOTH), InlineEngine())
    assert list(files(tmp_path / "corpus")) == ["manifest.json"]


def test_a_corpus_in_an_object_store(store_url: str) -> None:
    world = World(f"{store_url}/work")
    world.captions("laion", 10)
    settings = mixture(f"{store_url}/corpus", {"laion": {}})
    publish(world.workspace, world.given(), settings, InlineEngine())
    assert verify(f"{store_url}/corpus").faults == []
    assert publish(world.workspace, world.given(), settings, InlineEngine()).reused
    changed = mixture(f"{store_url}/corpus", {"laion": {"pairs": 7}})
    publish(world.workspace, world.given(), changed, InlineEngine())
    assert verify(f"{store_url}/corpus").faults == []
    assert Store(f"{store_url}/corpus").names("laion") == ["index.json", "laion-000000.tar", "laion-000001.tar"]


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        ({"laoin": {}}, "no dataset laoin; the datasets are laion, more, none_kept"),
        ({"none_kept": {}}, "dataset none_kept: it has no kept pairs"),
        ({"laion": {"negatives": 22}}, "dataset laion: .* no random negative"),
    ],
)
def test_what_cannot_be_published_is_said_before_anything_is_touched(
    world: World, tmp_path: Path, datasets: dict[str, Any], said: str
) -> None:
    world.captions("none_kept", 2, status="filtered", reason="no_text")
    settings = mixture(tmp_path / "corpus", {"laion": {}})
    publish(world.workspace, world.given(), settings, InlineEngine())
    before = files(tmp_path / "corpus")
    with pytest.raises(PublishError, match=said):
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", datasets), InlineEngine())
    assert files(tmp_path / "corpus") == before


def test_an_item_that_lies_nowhere_is_named(world: World, tmp_path: Path) -> None:
    world.dataset("lost", [image_pair("lost", "a cat", bytes(range(16)))])
    with pytest.raises(PublishError, match=r"dataset lost: no item table .*000102030405060708090a0b0c0d0e0f"):
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"lost": {}}), InlineEngine())


def test_a_pair_in_two_datasets_is_refused(world: World, tmp_path: Path) -> None:
    row = image_pair("one", "a cat", world.pictures(1, seed=50)[0])
    world.dataset("one", [row])
    world.dataset("two", [row])
    with pytest.raises(PublishError, match=f"1 pairs are in two datasets, {row['pair_id'].hex()}"):
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"one": {}, "two": {}}), InlineEngine())
