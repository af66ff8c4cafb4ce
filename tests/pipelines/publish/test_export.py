from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus.storage import StorageError, Store
from pipelines.publish import export
from pipelines.publish.publish import publish
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture, picture


def members(tar: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(tar) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            yield member, content.read()


def samples(corpus: Path, dataset: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members by field, in order) of all samples of a dataset."""
    for tar in sorted(corpus.glob(f"{dataset}/*.tar")):
        found: dict[str, dict[str, bytes]] = {}
        for member, content in members(tar):
            key, _, field = member.name.partition(".")
            found.setdefault(key, {})[field] = content
        yield from found.items()


def given_negatives(items: list[bytes]) -> list[dict[str, Any]]:
    return [{"text": "", "items": [item], "score": 0.5, "origin": "given"} for item in items]


def test_every_sample_holds_what_its_pair_names(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    images = world.pictures(30)
    rows = [
        image_pair("mega", str(n), images[n], negatives=given_negatives(images[n + 1 : n + 1 + n % 3]))
        for n in range(27)
    ]
    world.dataset("mega", rows, tables=4)
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"mega": {"negatives": 2}}), InlineEngine())
    pairs = {row["pair_id"].hex(): row for row in rows}
    for key, found in samples(tmp_path / "corpus", "mega"):
        pair, sample = pairs.pop(key), json.loads(found["json"])
        assert list(found) == ["json", "positive.jpg", "negative_0.jpg", "negative_1.jpg"]
        assert found["positive.jpg"] == world.contents[pair["positive"]["items"][0]]
        own = [world.contents[negative["items"][0]] for negative in pair["negatives"]]
        assert [found[f"negative_{n}.jpg"] for n in range(len(own))] == own
        assert [negative["media"] for negative in sample["negatives"]] == [["negative_0.jpg"], ["negative_1.jpg"]]
        origins = [negative["origin"] for negative in sample["negatives"]]
        assert origins == ["given"] * len(own) + ["random"] * (2 - len(own))
        assert len({found[field] for field in ("positive.jpg", "negative_0.jpg", "negative_1.jpg")}) == 3
    assert not pairs


def test_headers_are_fixed_and_members_of_a_sample_lie_together(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    world.captions("laion", 6)
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}}), InlineEngine())
    for tar in (tmp_path / "corpus").glob("laion/*.tar"):
        found = [member for member, _ in members(tar)]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in found} == {(0, 0, 0, "", "", 0o644)}
        names = [member.name.partition(".") for member in found]
        assert [field for _, _, field in names] == ["json", "positive.jpg"] * (len(names) // 2)
        assert [key for key, _, _ in names[::2]] == [key for key, _, _ in names[1::2]]


def test_clips_are_frames_and_texts_have_no_media(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    frames = [world.pictures(8, seed) for seed in range(1, 4)]
    clips = [
        image_pair("clips", str(n), b"", positive={"instruction": "", "text": "", "items": frames[n]}) for n in range(3)
    ]
    texts = [
        image_pair("texts", str(n), b"", positive={"instruction": "i", "text": f"passage {n}", "items": []})
        for n in range(5)
    ]
    world.dataset("clips", clips)
    world.dataset("texts", texts)
    settings = mixture(tmp_path / "corpus", {"clips": {"negatives": 1}, "texts": {"negatives": 2}})
    publish(world.workspace, world.given(), settings, InlineEngine())
    by_key = {row["pair_id"].hex(): row for row in clips + texts}
    for key, found in samples(tmp_path / "corpus", "clips"):
        named = [f"{side}.frame_{k:02d}.jpg" for side in ("positive", "negative_0") for k in range(8)]
        assert list(found) == ["json", *named]
        own = [world.contents[item] for item in by_key[key]["positive"]["items"]]
        assert [found[name] for name in named[:8]] == own
        assert json.loads(found["json"])["negatives"][0]["media"] == named[8:]
    seen = []
    for key, found in samples(tmp_path / "corpus", "texts"):
        sample = json.loads(found["json"])
        assert list(found) == ["json"]
        seen.append(sample["query"]["text"])
        passages = [sample["positive"]["text"], *(negative["text"] for negative in sample["negatives"])]
        assert passages[0] == by_key[key]["positive"]["text"]
        assert len(set(passages)) == 3
    assert sorted(seen) == ["0", "1", "2", "3", "4"]


def test_digests_and_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    world.captions("laion", 9)
    settings = mixture(tmp_path / "corpus", {"laion": {}})
    manifest = publish(world.workspace, world.given(), settings, InlineEngine()).manifest
    for shard in manifest["datasets"]["laion"]["shards"]:
        data = (tmp_path / "corpus/laion" / shard["name"]).read_bytes()
        assert shard["bytes"] == len(data)
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
        assert shard["md5"] == hashlib.md5(data).hexdigest()


def test_a_media_tar_that_is_cut_off_fails_the_export_and_leaves_no_tar(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    world.captions("laion", 3)
    [media] = (tmp_path / "work/media/web").glob("*.tar")
    media.write_bytes(media.read_bytes()[:-2048])
    with pytest.raises(StorageError, match="wanted"):
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}}), InlineEngine())
    assert not [path for path in (tmp_path / "corpus").rglob("*") if path.is_file()]


def test_items_in_tars_that_were_taken_in_where_they_lie(tmp_path: Path) -> None:
    elsewhere = World(str(tmp_path / "elsewhere"))
    images = elsewhere.pictures(5)
    world = World(str(tmp_path / "work"))
    table = elsewhere.workspace.read_table(elsewhere.items[0])
    media = [
        None if path is None else elsewhere.workspace.store.full(path) for path in table.column("media").to_pylist()
    ]
    world.workspace.write_table("tables/web/index/0.parquet", table.set_column(1, table.schema.field(1), [media]), {})
    world.items.append("tables/web/index/0.parquet")
    world.dataset("laion", [image_pair("laion", str(n), image) for n, image in enumerate(images)])
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}}), InlineEngine())
    found = {content["positive.jpg"] for _, content in samples(tmp_path / "corpus", "laion")}
    assert found == set(elsewhere.contents.values())


def test_a_large_export_is_cut_into_more_partitions_than_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(str(tmp_path / "work"))
    world.captions("laion", 40)
    monkeypatch.setattr(export, "_MIN_PARTITIONS", 2)
    for samples_of_partition, partitions in ((8, 5), (16_000, 2)):
        monkeypatch.setattr(export, "_SAMPLES_PER_PARTITION", samples_of_partition)
        engine = InlineEngine()
        settings = mixture(tmp_path / str(partitions), {"laion": {}})
        publish(world.workspace, world.given(), settings, engine)
        assert engine.partitions == partitions
    one, other = (Store(tmp_path / str(partitions)) for partitions in (5, 2))
    assert one.read("manifest.json") == other.read("manifest.json")


def test_images_keep_their_bytes_whatever_their_format(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    png, webp = picture(1, "PNG"), picture(2, "WEBP")
    images = [*world.store([png], "png"), *world.store([webp], "webp")]
    world.dataset("laion", [image_pair("laion", str(n), image) for n, image in enumerate(images)])
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}}), InlineEngine())
    found = dict(samples(tmp_path / "corpus", "laion"))
    assert {content["positive.jpg"] for content in found.values()} == {png, webp}


def test_no_signature_and_no_credentials_of_a_url_are_published(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    signed = "https://b.example/a%2Fb.jpg?w=1&X-Amz-Credential=KEY&X-Amz-Signature=SIGNATURE"
    urls = [signed, "https://me:PASSWORD@b.example/", "https://b.example/?id=OURS&w=%7E", "/a@b.jpg", "", None]
    images = world.pictures(len(urls))
    rows = [image_pair("web", str(n), images[n], source_url=url) for n, url in enumerate(urls)]
    world.dataset("web", rows)

    def published(**settings: Any) -> list[str]:
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"web": {}}, **settings), InlineEngine())
        for path in (tmp_path / "corpus").rglob("*"):
            assert path.is_dir() or b"PASSWORD" not in path.read_bytes()
        found = [json.loads(sample["json"]) for _, sample in samples(tmp_path / "corpus", "web")]
        return [sample["source"]["url"] for sample in sorted(found, key=lambda sample: sample["query"]["text"])]

    rest = ["https://b.example/", "https://b.example/?id=OURS&w=%7E", "/a@b.jpg", "", ""]
    assert published() == ["https://b.example/a%2Fb.jpg?w=1", *rest]
    # Another setting gives other tars.
    assert published(url_signature_params=["id W"]) == [signed, rest[0], "https://b.example/", *rest[2:]]
    assert published(url_signature_params=[]) == [signed, *rest]
    with pytest.raises(ValidationError, match="one or more names"):
        mixture(tmp_path, {"web": {}}, url_signature_params=["a", " "])
