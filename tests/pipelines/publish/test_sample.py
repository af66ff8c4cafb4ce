from __future__ import annotations

import copy
import json
import re
from typing import Any

import pyarrow as pa
import pytest

from corpus.schema import PAIR_SCHEMA, TEXT_IMAGE_SCORE, item_id
from pipelines.publish.sample import (
    MediaFacts,
    field_ext,
    make_sample_fields,
    media_fields,
    random_negative,
    sample_jsons,
    to_bytes,
)
from pipelines.publish.sample_schema import inspected_images, json_faults, named_media
from tests.helpers.cases import cases
from tests.helpers.small_worlds import image_pair

IMAGE = item_id(b"an image")
SHOWN = {"phash": ["00c0ffee00c0ffee"], "rewritten": [True]}
UNSEEN = {"phash": [], "rewritten": []}
SCORES = {"origin": "mined", "rank": -1, "score": 0.71, "positive_similarity": 0.0, "judge": -1.0}
NEGATIVE = {"text": "", "items": [IMAGE], "score": 0.71, "origin": "mined"}


def made(
    used: int = 1, rank: int | None = None, agreement: tuple[float | None, ...] = (), **columns: Any
) -> dict[str, Any]:
    row = image_pair("laion", "a cat", IMAGE, **columns)
    table = pa.Table.from_pylist([{name: row[name] for name in PAIR_SCHEMA.names}], PAIR_SCHEMA)
    sample_fields = make_sample_fields({"query": [], "positive": ["jpg"], "negatives": ["jpg"]}, used)
    media_facts = {
        name: MediaFacts([list(one["phash"]) for _ in range(3)], [list(one["rewritten"]) for _ in range(3)])
        for name, one in (("query", UNSEEN), ("positive", SHOWN), ("negatives", SHOWN))
    }
    if rank is not None:
        table = table.append_column("positive_rank", pa.array([rank], pa.int32()))
    if agreement:
        table = table.append_column(TEXT_IMAGE_SCORE, pa.array(agreement, pa.float32()))
    [sample] = sample_jsons(table, "laion", "image_retrieval", 1, sample_fields, media_facts)
    return sample


def test_a_pair_becomes_the_promised_json() -> None:
    sample = json.loads(to_bytes(made(negatives=[NEGATIVE, NEGATIVE, NEGATIVE], group="g", label="l")))
    pair_id = image_pair("laion", "a cat", IMAGE)["pair_id"].hex()
    ids = [side.pop("id") for side in (sample["query"], sample["positive"], *sample["negatives"])]
    assert [len(bytes.fromhex(each)) for each in ids] == [16] * 3
    assert ids[1] == ids[2] != ids[0], "the positive and the negative are the same image"
    assert sample == {
        "pair_id": pair_id,
        "dataset": "laion",
        "task": "image_retrieval",
        "stage": 1,
        "query": {"instruction": "", "text": "a cat", "media": [], **UNSEEN},
        "positive": {"instruction": "", "text": "", "media": ["positive.jpg"], **SHOWN},
        "negatives": [{"text": "", "media": ["negative_0.jpg"], **SHOWN, **SCORES}],
        "positive_score": 0.83,
        "positive_rank": -1,
        "text_image_score": -1.0,
        "false_negatives": [],
        "query_cluster": "",
        "positive_cluster": "",
        "group": "g",
        "label": "l",
        "in_batch_negatives": True,
        "caption_origin": "original",
        "caption_model": "",
        "caption_prompt": "",
        "source": {
            "url": "http://example.com/a cat.jpg",
            "sha256": bytes(range(32)).hex(),
            "licence": "cc-by",
        },
    }
    scored = {**NEGATIVE, "rank": 12, "positive_similarity": 0.62, "judge": 0.25}
    ranked = made(negatives=[scored], rank=3)
    found = {name: ranked["negatives"][0][name] for name in SCORES}
    assert found == {**SCORES, "rank": 12, "positive_similarity": 0.62, "judge": 0.25}
    assert ranked["positive_rank"] == 3
    assert json_faults(ranked) == []
    assert json_faults(made(negatives=[NEGATIVE], in_batch_negatives=False)) == []


def test_ids_of_sides_do_not_depend_on_the_pair() -> None:
    one, other = made(label="x"), made(label="y", query={"instruction": "Find: ", "text": "A cat.", "items": []})
    assert one["query"]["id"] == other["query"]["id"]
    assert made(query={"instruction": "", "text": "a dog", "items": []})["query"]["id"] != one["query"]["id"]


def test_nothing_is_null() -> None:
    absent = dict.fromkeys(("positive_score", "source_url", "source_sha256", "licence", "group", "label"))
    sample = made(negatives=None, **absent)
    assert b"null" not in to_bytes(sample)
    assert (sample["positive_score"], sample["source"], sample["negatives"]) == (
        0.0,
        {"url": "", "sha256": "", "licence": ""},
        [],
    )
    assert json_faults(sample) == []


def test_a_score_that_is_no_number_is_none() -> None:
    assert made(positive_score=float("nan"))["positive_score"] == 0.0


def test_the_score_of_text_and_picture_is_minus_one_where_there_is_none() -> None:
    for score, published in ((0.3127, 0.3127), (-0.02, -0.02), (None, -1.0), (float("nan"), -1.0)):
        sample = made(agreement=(score,))
        assert sample["text_image_score"] == published
        assert json_faults(sample) == []
    assert json_faults({**made(), "text_image_score": 1}) == ["text_image_score is 1, expected float"]


def test_text_is_written_as_it_is() -> None:
    assert "日本 “x”\\n".encode() in to_bytes(made(caption_prompt="日本 “x”\n"))


@pytest.mark.parametrize(
    ("exts", "of_images", "of_clips"),
    [
        ([], (), ()),
        (["jpg"], ("query.jpg",), ("query.frame_00.jpg",)),
        (
            ["jpg"] * 3,
            tuple(f"query.frame_0{n}.jpg" for n in range(3)),
            tuple(f"query.frame_0{n}.jpg" for n in range(3)),
        ),
        (["mp4"], ("query.mp4",), ("query.mp4",)),
        (["jpg", "mp4"], ("query.jpg", "query.mp4"), ("query.frame_00.jpg", "query.mp4")),
        (["jpg", "jpg", "mp4"], *[("query.frame_00.jpg", "query.frame_01.jpg", "query.mp4")] * 2),
    ],
)
def test_fields_follow_the_extensions_and_in_clips_every_image_is_a_frame(
    exts: list[str], of_images: tuple[str, ...], of_clips: tuple[str, ...]
) -> None:
    assert media_fields("query", exts) == of_images
    assert media_fields("query", exts, clip=True) == of_clips


def test_a_frame_beyond_the_hundredth_has_a_name_of_its_own() -> None:
    fields = media_fields("query", ["jpg"] * 120)
    assert (fields[7], fields[119], len(set(fields))) == ("query.frame_07.jpg", "query.frame_119.jpg", 120)


def test_fields_are_in_the_order_in_which_members_lie() -> None:
    sample_fields = make_sample_fields({"query": ["jpg"], "positive": ["jpg", "jpg"], "negatives": ["jpg"]}, 2)
    assert sample_fields.fields == (
        *("query.jpg", "positive.frame_00.jpg", "positive.frame_01.jpg"),
        *("negative_0.jpg", "negative_1.jpg"),
    )
    clips = make_sample_fields({"query": [], "positive": ["jpg", "mp4"], "negatives": ["jpg", "mp4"]}, 1, clip=True)
    assert clips.fields == (
        *("positive.frame_00.jpg", "positive.mp4"),
        *("negative_0.frame_00.jpg", "negative_0.mp4"),
    )
    assert (sample_fields.frames, clips.frames) == (2, 1)


def test_every_image_is_called_jpg_and_nothing_else_is() -> None:
    assert [field_ext(ext) for ext in ("jpg", "PNG", "webp", "mp4")] == ["jpg", "jpg", "jpg", "mp4"]


def test_media_are_named_in_order() -> None:
    sample = made(negatives=[NEGATIVE])
    sample["negatives"].append(random_negative("00" * 16, "t", ("negative_1.jpg",), SHOWN))
    assert named_media(sample) == ["positive.jpg", "negative_0.jpg", "negative_1.jpg"]
    assert inspected_images(sample) == dict.fromkeys(named_media(sample), ("00c0ffee00c0ffee", True))
    assert json_faults(sample) == []


@cases(
    ("path", "value", "said"),
    [
        (("label",), None, "label is None, expected str"),
        (("query_cluster",), "x", "query_cluster is 'x'"),
        (("false_negatives",), ["x"], "false_negatives has 'x'"),
        (("false_negatives",), ["0" * 32] * 2, "false_negatives has more than 32 pairs, one twice"),
        (("false_negatives",), [f"{n:032x}" for n in range(33)], "false_negatives has more than 32 pairs"),
        (("stage",), True, "stage is True, expected int"),
        (("positive_score",), 1, "positive_score is 1, expected float"),
        (("positive_score",), float("inf"), "positive_score is inf, expected float"),
        (("query", "media"), "query.jpg", "query.media is str, expected a list"),
        (("query",), [], "query has list, expected keys"),
        (("negatives", 0, "media", 0), 7, r"negatives\[0\].media\[0\] is 7, expected str"),
        (("negatives", 0, "origin"), "guessed", r"negatives\[0\].origin is 'guessed'"),
        (("caption_origin",), "", "caption_origin is ''"),
        (("positive", "rewritten", 0), 1, r"positive.rewritten\[0\] is 1, expected bool"),
        (("positive", "phash", 0), "C0FFEE", "positive.phash has 'C0FFEE'"),
        (("negatives", 0, "phash"), [], r"negatives\[0\]: media, phash and rewritten differ in length"),
        (("source", "more"), "", "source has keys .*'more'"),
    ],
)
def test_what_is_wrong_with_a_json_is_named(path: tuple[Any, ...], value: Any, said: str) -> None:
    sample = copy.deepcopy(made(negatives=[NEGATIVE]))
    inner: Any = sample
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    [fault] = json_faults(sample)
    assert re.search(said, fault), fault


def test_a_key_that_is_missing_or_out_of_order_is_named() -> None:
    sample = made()
    sample["label"] = sample.pop("label")
    assert "expected keys" in json_faults(sample)[0]
    assert "expected keys" in json_faults({})[0]
    assert "expected keys" in json_faults([])[0]


def test_clips_of_which_no_times_are_known_have_the_same_keys() -> None:
    """As a set gives them that has frames alone."""
    row = image_pair("films", "a cat", IMAGE, negatives=[NEGATIVE])
    table = pa.Table.from_pylist([{name: row[name] for name in PAIR_SCHEMA.names}], PAIR_SCHEMA)
    sample_fields = make_sample_fields({"query": [], "positive": ["jpg"], "negatives": ["jpg"]}, 2, clip=True)
    media_facts = {name: MediaFacts([[""]] * 2, [[False]] * 2) for name in ("positive", "negatives")}
    media_facts["query"] = MediaFacts([[]], [[]])
    [sample] = sample_jsons(table, "films", "video_retrieval", 1, sample_fields, media_facts)
    fields = ("negative_1.frame_00.jpg",)
    sample["negatives"].append(
        random_negative("00" * 16, "", fields, {"phash": [""], "rewritten": [False]}, None, True)
    )
    unknown = {"video": "", "start_s": 0.0, "end_s": 0.0}
    for side in (sample["positive"], *sample["negatives"], sample["source"]):
        assert {name: side[name] for name in unknown} == unknown
    assert not unknown.keys() & sample["query"].keys()
    assert json_faults(json.loads(to_bytes(sample)), {"positive", "negatives"}) == []
    assert "expected keys" in json_faults(sample)[0]
