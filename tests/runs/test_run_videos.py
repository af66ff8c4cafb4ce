"""Whole runs over videos: clips that are what they say, groups that come together, and bytes that don't depend on who
made them."""

from __future__ import annotations

import itertools
import re
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console

from corpus.media import read_media_parts
from corpus.settings import SettingsError
from corpus.storage import Store
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import run
from pipelines.status import workspace_status
from tests.helpers.extras import engine_or_skip
from tests.helpers.film_runs import MOMENTS, Films, make_films, numbers, planned, samples, table, to_do
from tests.helpers.whole_runs import digests

QUIET = Console(quiet=True)


def is_(rows: pa.Table, column: str, value: str) -> pa.ChunkedArray:
    return pc.equal(rows.column(column), value)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return make_films(tmp_path_factory.mktemp("films") / "films")


@pytest.fixture(scope="module")
def done(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end. Not to be written to."""
    home = tmp_path_factory.mktemp("done")
    assert films.run(home).failed == []
    return home


def test_every_row_has_its_end(films: Films, done: Path) -> None:
    funnel = workspace_status(films.config(done)).funnels["films"]
    assert funnel["removed"] == {
        "duplicate": {"near_duplicate_sibling": 2},
        "failed": {"broken": 1, "truncated": 1},
    }
    removed = sum(n for reasons in funnel["removed"].values() for n in reasons.values())
    assert (funnel["kept"], funnel["rows_in"]) == (5 + 3 + 1, 9 + removed)
    assert funnel["source_rows"] == 4 + 2 + 3, "two of the videos are longer than a span"


def test_clips_are_the_scenes_and_hold_their_own_frames(films: Films, done: Path) -> None:
    groups = table(films.config(done), "groups")
    of_long = groups.filter(is_(groups, "video", "long.mkv")).to_pylist()
    cuts = [0.0, *(cut - films.long.times_s[0] for cut in films.long.cuts_s), None]
    assert [clip["start_s"] for clip in of_long] == pytest.approx(cuts[:-1], abs=0.01)
    assert [clip["end_s"] for clip in of_long][:-1] == pytest.approx(cuts[1:-1], abs=0.01)
    assert {clip["home_shard"] for clip in of_long} == {0}
    assert len({clip["group"] for clip in of_long if clip["status"] == "kept"}) == 1
    alike = [clip for clip in of_long if clip["status"] == "duplicate"]
    assert len(alike) == 2, "the fifth shot is the first again, the sixth the second"


def test_samples_hold_the_frames_of_what_their_text_says(films: Films, done: Path) -> None:
    corpus = done / "corpus"
    assert verify(str(corpus)).faults == []
    told = {text: films.told.frames_in(start, end) for start, end, text in MOMENTS}
    moments = samples(corpus, "moments")
    assert {sample["json"]["query"]["text"] for sample in moments} == set(told)
    for sample in moments:
        inside = told[sample["json"]["query"]["text"]]
        seen = numbers(sample, "positive")
        assert len(seen) == 8 and seen == sorted(seen) and set(seen) <= set(inside)
        (negative,) = sample["json"]["negatives"]
        other = numbers({**sample, "json": {"negative": negative}}, "negative")
        assert not set(other) & set(inside), "a moment that overlaps is no negative"
        assert sample["json"]["task"] == "video_retrieval" and negative["origin"] in ("clip_sibling", "random")
    (question,) = samples(corpus, "questions")
    assert question["json"]["query"]["text"] == "Which part is it?"
    expected = {"instruction": "", "text": "The first one.", "media": [], "phash": [], "rewritten": []}
    positive = question["json"]["positive"]
    assert re.fullmatch("[0-9a-f]{32}", positive["id"])
    assert {name: value for name, value in positive.items() if name != "id"} == expected
    assert question["json"]["task"] == "video_qa"


def test_groups_lie_together_and_in_one_tar(done: Path) -> None:
    found = samples(done / "corpus", "clips")
    named = [(sample["json"]["group"], sample["tar"]) for sample in found if sample["json"]["group"]]
    groups = list(dict.fromkeys(named))
    assert len(groups) == len({group for group, _ in groups}), "a group lies in two tars"
    runs = [sample["json"]["group"] or str(place) for place, sample in enumerate(found)]
    assert sum(one != other for one, other in itertools.pairwise(runs)) == len(set(runs)) - 1
    sizes = list(Counter(sample["tar"] for sample in found).values())
    assert len(set(sizes[:-1])) <= 1
    for sample in found:
        assert len(sample["json"]["positive"]["media"]) == 9 and "positive.mp4" in sample
        siblings = [each for each in sample["json"]["negatives"] if each["origin"] == "clip_sibling"]
        members = [each for each in found if each["json"]["group"] == sample["json"]["group"]]
        assert len(siblings) == (min(2, len(members) - 1) if sample["json"]["group"] else 0)


def test_windows_are_made_of_frames_that_lie_there_already(films: Films, done: Path) -> None:
    config = films.config(done)
    windows, clips = table(config, "windows"), table(config, "groups")
    known = {part["item_id"] for parts in clips.column("parts").to_pylist() for part in parts or ()}
    kept = windows.filter(is_(windows, "status", "kept"))
    assert kept.num_rows >= 3
    for row in kept.to_pylist():
        assert 8 <= row["end_s"] - row["start_s"] <= 20
        assert {part["item_id"] for part in row["parts"]} <= known
    store = Store(config.workspace)
    assert all(len(frames) == 4 for _, frames in read_media_parts(store, kept.column("parts"), ("jpg",)))
    captions = table(config, "window_caption")
    assert captions.num_rows == windows.num_rows
    assert len(list((done / "workspace/media/films").glob("*.tar"))) == 5, (
        "one for each shard of clips, none of windows"
    )


def test_nothing_is_done_twice(films: Films, done: Path, tmp_path: Path) -> None:
    home = shutil.copytree(done, tmp_path / "home")
    before = digests(home / "workspace", "[tpm]*/**/*")
    assert to_do(planned(films.config(done))) == {}
    darker = {"stages": {"groups": {"min_brightness": 12.0}}}
    # Another threshold opens no video; captions are looked up.
    assert set(to_do(planned(films.config(home, darker)))) == {
        "groups",
        "caption",
        "windows",
        "window_caption",
        "pairs",
        "clusters",
    }
    assert films.run(home, darker).failed == []
    assert {name: digest for name, digest in digests(home / "workspace", "m*/**/*").items() if name not in before} == {}


def test_a_shard_of_clips_made_again_takes_only_its_own_films_along(films: Films, done: Path, tmp_path: Path) -> None:
    home = shutil.copytree(done, tmp_path / "home")
    config = films.config(home)
    again = Selection(stage="download", shards=frozenset({3}), force=True)
    shards = to_do(planned(config, again))
    # Shard 3 begins in the middle of a film that began in another: that one's groups change, no others do.
    continues_in = planned(config).indexes["films"].continues_in
    homes = {f"{home:06d}" for home in range(4) if home + continues_in.get(f"{home:06d}", 0) >= 3}
    assert shards["clips"] == ["000003"]
    assert set(shards["groups"]) == homes
    assert set(shards["caption"]) == homes


@pytest.mark.parametrize(("engine", "workers"), [("local", 2), ("ray", 2), ("beam", 1)])
def test_the_same_bytes_on_every_engine(films: Films, done: Path, tmp_path: Path, engine: str, workers: int) -> None:
    engine_or_skip(engine)
    assert films.run(tmp_path, kind=engine, workers=workers).failed == []
    assert digests(tmp_path / "corpus") == digests(done / "corpus")


def test_settings_that_do_not_go_together(films: Films, tmp_path: Path) -> None:
    for changes, said in (
        ({"datasets": {"clips": {"kind": "images", "sibling_negatives": None, "media": None}}}, "kind"),
        ({"stages": {"clips": {"mp4": False}}}, "keeps no mp4"),
        ({"stages": {"clips": {"single_clip_max_s": 11}}}, "must be one segment"),
        ({"stages": {"windows": {"sources": {"film": {}}}}}, "no source of videos 'film'; there is films"),
        ({"stages": {"caption": {"sources": {"films": {"prompts": {"detailed": 1}}}}}}, "clip_frames"),
        ({"stages": {"clips": {"keep_frames": False}}}, "films is captioned, and that takes its clips' frames"),
    ):
        with pytest.raises(SettingsError, match=said):
            run(films.config(tmp_path, changes), Selection(), QUIET)
