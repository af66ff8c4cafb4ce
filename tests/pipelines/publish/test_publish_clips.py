"""Clips from their tables to tars: every part in its place, groups whole, and everything said of them."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from pipelines.publish.tar_check import can_open_videos, unplayable
from pipelines.publish.verify import verify
from tests.helpers.clip_worlds import ClipWorld, small_mp4
from tests.helpers.corpora import read_members, rewrite_tar
from tests.helpers.damaging import damage
from tests.helpers.small_worlds import InlineEngine, mixture, picture
from tests.helpers.videos import Shot, make_video

FILMS = [5, 3, 7, 2, 4, 6, 1, 5, 3, 1, 4, 2, 6, 5, 1, 7, 3, 4]  # 69 clips
PER_SHARD, BATCH = 12, 10


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ClipWorld:
    world = ClipWorld(str(tmp_path_factory.mktemp("work")), FILMS)
    world.dataset("films", media="both", sibling_negatives="both")
    world.dataset("captions", direction="clip_to_text", sibling_negatives="explicit", negatives={"num_negatives": 1})
    world.dataset("asked", unit="questions", media="mp4")
    return world


@pytest.fixture(scope="module")
def good(world: ClipWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = tmp_path_factory.mktemp("published") / "corpus"
    datasets = {"films": {"negatives": 2}, "captions": {"negatives": 1}, "asked": {}}
    settings = mixture(corpus, datasets, pairs_per_shard=PER_SHARD, batch_size=BATCH)
    publish(world.workspace, world.given(), settings, InlineEngine())
    return corpus


@pytest.fixture
def corpus(good: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(good, tmp_path / "corpus"))


def samples(corpus: Path, dataset: str) -> list[tuple[str, dict[str, bytes]]]:
    """(tar, members by field, in order) of all samples, in published order."""
    found: list[tuple[str, dict[str, bytes]]] = []
    for path in sorted(corpus.glob(f"{dataset}/*.tar")):
        of_tar: dict[str, dict[str, bytes]] = defaultdict(dict)
        for name, content in read_members(path):
            key, _, field = name.partition(".")
            of_tar[key][field] = content
        found += [(path.name, members) for members in of_tar.values()]
    return found


def manifest(corpus: Path) -> dict[str, Any]:
    return json.loads((corpus / "manifest.json").read_bytes())


def side(name: str, parts: list[str]) -> list[str]:
    return [f"{name}.{part}" for part in parts]


BOTH = ["frame_00.jpg", "frame_01.jpg", "mp4"]


def test_every_part_of_every_clip_lies_in_its_place(world: ClipWorld, good: Path) -> None:
    pairs = world.pairs("films")
    fields = [*side("positive", BOTH), *side("negative_0", BOTH), *side("negative_1", BOTH)]
    seen = 0
    for _, members in samples(good, "films"):
        sample = json.loads(members.pop("json"))
        pair = pairs[sample["pair_id"]]
        assert list(members) == fields
        assert sample["positive"]["media"] == side("positive", BOTH) and sample["query"]["media"] == []
        own = pair["negatives"][:2]
        items = [*pair["positive"]["items"], *(item for negative in own for item in negative["items"])]
        assert list(members.values())[: len(items)] == [world.contents[item] for item in items]
        origins = [negative["origin"] for negative in sample["negatives"]]
        assert origins == ["clip_sibling"] * len(own) + ["random"] * (2 - len(own))
        seen += len(own)
    assert seen > 100


def test_every_side_that_is_a_clip_has_its_times_and_its_video(world: ClipWorld, good: Path) -> None:
    """Seen from outside: the two frames of each clip lead to the row that they were stored for."""
    rows = {
        world.contents[row["parts"][0]["item_id"]]: row
        for table in world.items
        for row in world.workspace.read_table(table).to_pylist()
        if row["parts"]
    }
    by_mp4 = {world.contents[row["parts"][-1]["item_id"]]: row for row in rows.values()}
    videos: dict[str, str] = {}
    for dataset in ("films", "captions", "asked"):
        for _, members in samples(good, dataset):
            sample = json.loads(members["json"])
            sides = {"query": sample["query"], "positive": sample["positive"]}
            sides |= {f"negative_{number}": side for number, side in enumerate(sample["negatives"])}
            for name, each in sides.items():
                if not each["media"]:
                    assert not {"video", "start_s", "end_s"} & set(each)
                    continue
                first = members[each["media"][0]]
                row = rows[first] if dataset != "asked" else by_mp4[first]
                assert (each["start_s"], each["end_s"]) == (row["start_s"], row["end_s"])
                assert videos.setdefault(each["video"], row["url"]) == row["url"]
                if not name.startswith("negative"):
                    assert {part: sample["source"][part] for part in ("video", "start_s", "end_s")} == {
                        part: each[part] for part in ("video", "start_s", "end_s")
                    }
    assert len(videos) == len(FILMS) and len(set(videos.values())) == len(FILMS)


def test_times_that_are_no_part_of_a_video(corpus: Path) -> None:
    def spoilt(change: Any) -> list[str]:
        tar = "films/films-000001.tar"
        members = read_members(corpus / tar)
        key = members[0][0].partition(".")[0]
        sample = json.loads(members[0][1])
        change(sample)
        rewrite_tar(corpus, tar, [(f"{key}.json", json.dumps(sample).encode()), *members[1:]])
        faults = verify(str(corpus), fast=True).faults
        rewrite_tar(corpus, tar, members)
        return [fault.removeprefix(f"{tar}: {key}: ") for fault in faults]

    def both(**said: Any) -> Any:
        return lambda sample: (sample["positive"].update(said), sample["source"].update(said))

    assert spoilt(lambda sample: None) == []
    assert spoilt(both(start_s=5.0, end_s=5.0)) == ["positive: from 5.0 s to 5.0 s is no part of a video"]
    assert spoilt(both(start_s=-1.0, end_s=5.0)) == ["positive: from -1.0 s to 5.0 s is no part of a video"]
    assert spoilt(both(video="a/film.mp4")) == ["positive.video is 'a/film.mp4'"]
    assert spoilt(lambda sample: sample["source"].update(end_s=999.0)) == ["source has another clip than positive"]
    [fault] = spoilt(lambda sample: sample["negatives"][1].update(start_s=999.0))
    assert fault.startswith("negatives[1]: from 999.0 s to ")
    assert spoilt(both(video="", start_s=0.0, end_s=0.0)) == []  # as of a set that gives frames without times
    assert len(spoilt(both(start_s=0.0, end_s=0.0))) == len(spoilt(both(video=""))) == 1
    [missing] = spoilt(lambda sample: sample["positive"].pop("end_s"))
    assert missing.startswith("positive has keys") and "'end_s'" in missing


def test_random_negatives_are_of_other_videos(world: ClipWorld, good: Path) -> None:
    film_of = {item: pair["source_url"] for pair in world.pairs("films").values() for item in pair["positive"]["items"]}
    shown = {world.contents[item]: film for item, film in film_of.items()}
    drawn = 0
    for _, members in samples(good, "films"):
        sample = json.loads(members["json"])
        for number, negative in enumerate(sample["negatives"]):
            same = shown[members[f"negative_{number}.frame_00.jpg"]] == sample["source"]["url"]
            assert same == (negative["origin"] == "clip_sibling")
            drawn += not same
    texts = [json.loads(members["json"]) for _, members in samples(good, "captions")]
    for sample in texts:
        [negative] = sample["negatives"]
        same = negative["text"].partition(" of ")[2] == sample["positive"]["text"].partition(" of ")[2]
        assert same == (negative["origin"] == "clip_sibling")
        drawn += not same
    entries = manifest(good)["datasets"]
    assert drawn == sum(entries[name]["random_negatives"] for name in ("films", "captions")) > 5
    assert "For a clip none was drawn from its own video." in (good / "README.md").read_text()


def test_a_clip_as_the_query_and_its_text_as_the_positive(world: ClipWorld, good: Path) -> None:
    pairs, frames = world.pairs("captions"), side("query", BOTH[:2])
    for _, members in samples(good, "captions"):
        sample = json.loads(members.pop("json"))
        pair = pairs[sample["pair_id"]]
        assert list(members) == sample["query"]["media"] == frames
        assert list(members.values()) == [world.contents[item] for item in pair["query"]["items"]]
        film = pair["positive"]["text"].partition(" of ")[2]
        [negative] = sample["negatives"]
        if negative["origin"] == "clip_sibling":
            assert negative["text"].endswith(f" of {film}") and negative["text"] != pair["positive"]["text"]
        assert negative["media"] == []
    assert [list(members) for _, members in samples(good, "asked")] == [["json", "query.mp4"]] * sum(FILMS)


def test_groups_are_whole_and_shards_equal(good: Path) -> None:
    places = defaultdict(list)
    for place, (tar, members) in enumerate(samples(good, "films")):
        places[json.loads(members["json"])["group"]].append((place, tar))
    places.pop("")
    entry = manifest(good)["datasets"]["films"]
    assert entry["samples"] == sum(FILMS), "none is left out"
    assert entry["group_runs"] == {"runs": len(places), "cut": 0, "crowded": 0, "joined": 0}
    for group, found in places.items():
        assert len(found) == FILMS[int(group.removeprefix("film "))]
        assert len({tar for _, tar in found}) == len({place // BATCH for place, _ in found}) == 1
        assert all(after == before + 1 for (before, _), (after, _) in pairwise(found))
    assert [shard["samples"] for shard in entry["shards"]] == [PER_SHARD] * 5 + [sum(FILMS) % PER_SHARD]
    assert entry["batch_rule"] == "grouped"


def test_the_manifest_and_the_card_say_what_clips_are(good: Path) -> None:
    entries = manifest(good)["datasets"]
    said = {name: (entry["modality"], entry["frames"], entry["task"]) for name, entry in entries.items()}
    assert said == {
        "asked": ("clip", 0, "video_qa"),
        "captions": ("clip", 2, "video_retrieval"),
        "films": ("clip", 2, "video_retrieval"),
    }
    card = (good / "README.md").read_text()
    for name, what in (("asked", "clip: mp4"), ("captions", "clip: 2 frames"), ("films", "clip: 2 frames and mp4")):
        assert f"| {name} | {entries[name]['task']} | 1 | {what} |" in card
    assert "`frame_00.jpg` is the first" in card and "the same `group`" in card


def test_a_film_of_many_clips_lies_in_short_runs_of_different_batches(tmp_path: Path) -> None:
    world = ClipWorld(str(tmp_path / "work"), [7, 7, 5, 5], frames=1)
    world.dataset("films")
    corpus = tmp_path / "corpus"
    settings = mixture(corpus, {"films": {}}, pairs_per_shard=12, batch_size=6, members_per_batch=3)
    publish(world.workspace, world.given(), settings, InlineEngine())
    entry = manifest(corpus)["datasets"]["films"]
    assert (entry["samples"], manifest(corpus)["members_per_batch"]) == (24, 3)
    groups = [json.loads(members["json"])["group"] for _, members in samples(corpus, "films")]
    in_batch = [Counter(groups[start : start + 6]) for start in range(0, 24, 6)]
    assert max(max(batch.values()) for batch in in_batch) == 3
    assert entry["group_runs"]["crowded"] == entry["group_runs"]["joined"] == 0
    assert entry["group_runs"]["runs"] == 10 + entry["group_runs"]["cut"]
    assert entry["fields"] == ["json", "positive.frame_00.jpg"]  # one frame is a frame all the same
    assert "runs of at most\n3, in the order" in (corpus / "README.md").read_text()
    assert verify(str(corpus)).faults == []


def test_groups_that_fill_no_batch_are_cut_and_counted(tmp_path: Path) -> None:
    world = ClipWorld(str(tmp_path / "work"), [7, 7, 7], frames=1)
    world.dataset("films")
    publish(
        world.workspace,
        world.given(),
        mixture(tmp_path / "corpus", {"films": {}}, pairs_per_shard=10, batch_size=10),
        InlineEngine(),
    )
    entry = manifest(tmp_path / "corpus")["datasets"]["films"]
    cut = entry["group_runs"]["cut"]
    assert 1 <= cut <= 2 and entry["samples"] == 21
    warning = f"{cut} runs of groups are cut in two, to fill batches and shards exactly"
    assert warning in entry["warnings"] and warning in (tmp_path / "corpus/README.md").read_text()
    assert verify(str(tmp_path / "corpus")).faults == []


def test_the_same_bytes_however_the_clips_lie_in_shards(tmp_path: Path) -> None:
    tars = []
    for shards, engine in ((1, 0), (4, 5)):
        world = ClipWorld(str(tmp_path / f"work{shards}"), FILMS[:6], shards)
        world.dataset("films", sibling_negatives="both", media="both")
        corpus = tmp_path / f"corpus{shards}"
        publish(
            world.workspace,
            world.given(),
            mixture(corpus, {"films": {"negatives": 1}}, pairs_per_shard=8),
            InlineEngine(engine),
        )
        tars.append({path.name: path.read_bytes() for path in corpus.rglob("*.tar")})
    assert tars[0] == tars[1] and len(tars[0]) >= 3


def test_clips_that_differ_in_what_they_consist_of_are_refused_by_name(tmp_path: Path) -> None:
    world = ClipWorld(str(tmp_path / "work"), [2, 2], frames=2)
    other = ClipWorld(str(tmp_path / "work2"), [2, 2], frames=3)
    for name in (*other.items, *(f"media/films/{shard:06d}.0123456789abcdef.0.tar" for shard in range(3))):
        world.workspace.store.publish(name.replace("films/", "more/"), other.workspace.store.read(name))
    table = world.workspace.read_table("tables/more/groups/000000.0123456789abcdef.parquet")
    world.items.append("tables/films/groups/000003.0123456789abcdef.parquet")
    world.workspace.write_table(world.items[-1], table, {})
    world.dataset("films")
    with pytest.raises(PublishError, match="dataset films: its pairs have 2 or 3 items as positive"):
        publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"films": {}}), InlineEngine())


# Verification


def test_a_corpus_of_clips_is_sound_and_its_videos_are_counted(good: Path) -> None:
    found = verify(str(good))
    assert found.faults == []
    videos = sum(name.endswith(".mp4") for tar in good.rglob("*.tar") for name, _ in read_members(tar))
    assert found.videos == videos > 3 * 60 and found.opened
    assert f"{videos} videos (each decoded to its last frame)" in found.summary()
    fast = verify(str(good), fast=True)
    assert fast.faults == [] and f"{videos} videos (first frame of each decoded)" in fast.summary()


def faults_of(corpus: Path, field: str, content: bytes) -> list[str]:
    """What verify says when the first such member of a tar of `films` holds this instead."""
    tar = "films/films-000001.tar"
    members = read_members(corpus / tar)
    at = next(number for number, (name, _) in enumerate(members) if name.endswith(field))
    members[at] = (members[at][0], content)
    rewrite_tar(corpus, tar, members)
    return [fault.removeprefix(f"{tar}: {members[at][0][:32]}: ") for fault in verify(str(corpus)).faults]


def test_a_frame_that_does_not_decode(corpus: Path) -> None:
    [fault] = faults_of(corpus, "positive.frame_01.jpg", picture(1, size=(200, 200))[:4000])
    assert fault.startswith("positive.frame_01.jpg does not decode: ")


def test_a_video_that_does_not_play(corpus: Path) -> None:
    [fault] = faults_of(corpus, "negative_1.mp4", small_mp4(0)[:200])
    assert fault.startswith("negative_1.mp4 does not play: ")


def test_a_video_that_is_damaged_in_the_middle(corpus: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    make_video(film, [Shot(frames=60)], size=(160, 120), gop=20)
    whole = film.read_bytes()
    damage(film, lambda time_s: 1.0 < time_s < 1.2)
    [fault] = faults_of(corpus, "positive.mp4", film.read_bytes())
    assert fault.startswith("positive.mp4 does not play: its video at 1.") and "does not decode" in fault
    assert verify(str(corpus), fast=True).faults == []  # which promises no more than the first frame
    assert faults_of(corpus, "positive.mp4", whole) == []


def test_without_pyav_only_the_first_bytes_of_a_video_are_looked_at(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("verify", "tar_check"):
        monkeypatch.setattr(f"pipelines.publish.{module}.can_open_videos", lambda: False)
    assert faults_of(corpus, "positive.mp4", small_mp4(0)[:200]) == []
    assert "videos (not opened: PyAV is not installed)" in verify(str(corpus)).summary()
    assert faults_of(corpus, "positive.mp4", b"<html>" * 9) == [
        "positive.mp4 does not play: it does not begin with a box ftyp"
    ]


def test_a_video_without_a_picture_is_none(tmp_path: Path) -> None:
    from tests.helpers.videos import audio_only

    audio_only(tmp_path / "tone.mp4")
    assert unplayable((tmp_path / "tone.mp4").read_bytes(), opened=True) == "it has no video stream"
    assert unplayable(small_mp4(1), opened=True) == unplayable(small_mp4(1), opened=False) == ""
    assert can_open_videos()


@pytest.mark.parametrize(("modality", "fine"), [("clip", True), ("image", False), ("text", False), ("page", False)])
def test_media_must_be_those_of_the_modality(corpus: Path, modality: str, fine: bool) -> None:
    text = (corpus / "manifest.json").read_text().replace('"modality": "clip"', f'"modality": "{modality}"')
    (corpus / "manifest.json").write_text(text)
    faults = [fault for fault in verify(str(corpus)).faults if "of modality" in fault]
    assert bool(faults) is not fine
    if modality == "image":
        assert len(faults) == 2 and faults[0].startswith("manifest.json: asked: of modality image, but its media are")


def test_tars_are_plain(good: Path) -> None:
    with tarfile.open(good / "films/films-000000.tar") as archive:
        assert {(member.mtime, member.uid, member.mode) for member in archive} == {(0, 0, 0o644)}
