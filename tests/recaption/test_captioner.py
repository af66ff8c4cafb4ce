"""A worker of captioning: keys and seeds of requests, tries, and what is looked up and not asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.execution import MapJob, ShardTask
from corpus.schema import item_id
from corpus.workspace import TableKey
from recaption import captioner as captioner_module
from recaption.captioner import open_client, request_key
from recaption.stage import Caption
from serving.models import MODELS
from serving.request import BackendError, GenerateRequest, GenerateResponse
from serving.vllm.client import VllmClient
from tests.helpers.caption_shards import Use, caption, captions, lay_shard, number_of, picture, settings
from tests.helpers.good_responses import caption_of, caption_table, good_response
from tests.helpers.vllm_arguments import vllm_settings


def test_a_bad_caption_is_tried_again_with_another_seed(tmp_path: Path, use: Use) -> None:
    def sorry_at_first(request: GenerateRequest) -> GenerateResponse:
        if number_of(request.images[0]) == 2 and request.temperature is None:
            return GenerateResponse("I'm sorry, but I can't describe this image.", "stop", 5, 5)
        return good_response(request)

    captioner = use(sorry_at_first)
    task = lay_shard(tmp_path, "a", "000000", [picture(i) for i in range(4)], [None] * 4)
    (outcome,) = caption(tmp_path, Caption("a", settings(retry_temperature=0.9)), task)
    rows = captions(tmp_path, task)
    assert [row["caption"] for row in rows] == [caption_of(i) for i in range(4)]
    assert [row["attempts"] for row in rows] == [1, 1, 2, 1]
    tries = [request for request in captioner.requests if number_of(request.images[0]) == 2]
    assert [request.temperature for request in tries] == [None, 0.9]
    assert tries[0].seed != tries[1].seed == rows[2]["seed"]
    assert outcome.metrics["caption"]["retried"] == 1


def test_what_stays_bad_has_a_verdict_and_no_caption(tmp_path: Path, use: Use) -> None:
    captioner = use(lambda request: GenerateResponse("I'm sorry, but I can't describe this image.", "stop", 5, 5))
    task = lay_shard(tmp_path, "a", "000000", [picture(0)], ["text"])
    caption(tmp_path, Caption("a", settings(max_attempts=3)), task)
    (row,) = captions(tmp_path, task)
    assert (row["caption"], row["reject_reason"], row["attempts"], row["status"]) == (None, "refusal", 3, "kept")
    assert len(captioner.requests) == 3
    stage = Caption("a", settings())
    assert stage.retryable_reasons(caption_table(tmp_path, task)).to_pylist() == ["refusal"]


def test_what_is_all_known_loads_no_model(tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use(good_response)
    pictures = [picture(i) for i in range(5)]
    caption(tmp_path, Caption("a", settings()), lay_shard(tmp_path, "a", "000000", pictures, [None] * 5))

    def no_model(settings: object, images: int) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(captioner_module, "open_client", no_model)
    (outcome,) = caption(tmp_path, Caption("b", settings()), lay_shard(tmp_path, "b", "000000", pictures, [None] * 5))
    assert (outcome.error, outcome.metrics["caption"]["from_cache"]) == ("", 5)


def test_changed_rules_repair_what_was_written_before_without_asking(tmp_path: Path, use: Use) -> None:
    """Captions that were written under other rules: one is cut, one stays, one is refused and asked for again."""
    loose = settings(screening={"chatter": False, "truncate_to_sentence": False, "language": ""})
    said = {
        1: "A cat sits on a mat in the sun. Let me know if you need more.",
        2: "A cat sits on a mat in the sun and sleeps.",
        3: "Where does the cat sit?",
    }
    use(lambda request: GenerateResponse(said[number_of(request.images[0])], "stop"))
    pictures = [picture(number) for number in said]
    caption(tmp_path, Caption("a", loose), lay_shard(tmp_path, "a", "000000", pictures, [None] * 3))
    captioner = use(good_response)
    task = lay_shard(tmp_path, "b", "000000", pictures, [None] * 3)
    caption(tmp_path, Caption("b", settings(screening={"strip_chatter": True})), task)
    assert [number_of(request.images[0]) for request in captioner.requests] == [3]
    expected = ["A cat sits on a mat in the sun.", said[2], caption_of(3)]
    assert [row["caption"] for row in captions(tmp_path, task)] == expected


def test_what_is_made_again_is_asked_again(tmp_path: Path, use: Use) -> None:
    task = lay_shard(tmp_path, "a", "000000", [picture(i) for i in range(3)], [None] * 3)
    first = use(good_response)
    caption(tmp_path, Caption("a", settings()), task)
    second = use(lambda request: GenerateResponse("Quite another caption this time.", "stop"))
    caption(tmp_path, Caption("a", settings()), task, generation=1)
    assert len(second.requests) == 3
    assert {request.seed for request in first.requests}.isdisjoint(request.seed for request in second.requests)
    third = use(good_response)
    caption(tmp_path, Caption("b", settings()), lay_shard(tmp_path, "b", "000000", [picture(1)], [None]))
    assert not third.requests  # the later caption counts
    other = lay_shard(tmp_path, "b", "000000", [picture(1)], [None])
    assert captions(tmp_path, other)[0]["caption"] == "Quite another caption this time."


def test_other_sampling_or_another_prompt_is_another_caption(tmp_path: Path, use: Use) -> None:
    task = lay_shard(tmp_path, "a", "000000", [picture(i) for i in range(3)], [None] * 3)
    use(good_response)
    caption(tmp_path, Caption("a", settings()), task)
    prompts = {"a": {"prompts": {"short": 1.0}}}
    for changed in (settings(sampling={"temperature": 0.5}), settings(sources=prompts), settings(max_pixels=900_000)):
        captioner = use(good_response)
        stage = Caption("a", changed)
        assert stage.fingerprint_inputs() != Caption("a", settings()).fingerprint_inputs()
        caption(tmp_path, stage, task, generation=0)
        assert len(captioner.requests) == 3
        caption(tmp_path, Caption("a", settings()), task)  # back, so that the cache holds these again


def test_seeds_belong_to_the_image_not_to_its_place(tmp_path: Path, use: Use) -> None:
    seeds = []
    for name, order in (("a", [1, 2, 3]), ("b", [3, 1, 2])):
        captioner = use(good_response)
        root = tmp_path / name
        caption(root, Caption("a", settings()), lay_shard(root, "a", "0", [picture(i) for i in order], [None] * 3))
        seeds.append({number_of(request.images[0]): request.seed for request in captioner.requests})
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == 3


def test_a_captioner_that_cannot_go_on_stops_the_shard(tmp_path: Path, use: Use) -> None:
    calls = []

    def gone(request: GenerateRequest) -> GenerateResponse:
        calls.append(request)
        raise BackendError("the endpoint says 401")

    use(gone)
    task = lay_shard(tmp_path, "a", "000000", [picture(i) for i in range(40)], [None] * 40)
    (outcome,) = caption(tmp_path, Caption("a", settings()), task)
    assert "401" in outcome.error
    assert len(calls) <= 40  # the shard was not halved to find the row at fault


def test_an_item_is_known_by_its_content() -> None:
    assert request_key(item_id(b"x"), "p", "") != request_key(item_id(b"y"), "p", "")
    assert request_key(item_id(b"x"), "p", "") != request_key(item_id(b"x"), "q", "")
    assert request_key(item_id(b"x"), "p", "") != request_key(item_id(b"x"), "p", "{}")


def test_a_retry_asks_only_for_what_has_no_caption(tmp_path: Path, use: Use) -> None:
    def some_refused(request: GenerateRequest) -> GenerateResponse:
        return GenerateResponse("", "stop") if number_of(request.images[0]) in (1, 4) else good_response(request)

    task = lay_shard(tmp_path, "a", "000000", [picture(i) for i in range(6)], [None] * 6)
    stage = Caption("a", settings(max_attempts=1))
    use(some_refused)
    caption(tmp_path, stage, task)
    assert [row["reject_reason"] for row in captions(tmp_path, task)] == ["", "empty", "", "", "empty", ""]

    captioner = use(good_response)
    series = TableKey("tables", "a", "caption")
    parts = {"settings": stage.fingerprint_inputs(), "generation": 1}
    again = ShardTask(
        "a",
        "000000",
        0,
        task.inputs,
        series.path("000000", "f-g1"),
        task.media,
        parts,
        previous=series.path("000000", "f"),
        retry=frozenset({"empty"}),
    )
    assert MapJob(stage, str(tmp_path)).open()(again).error == ""
    assert sorted(number_of(request.images[0]) for request in captioner.requests) == [1, 4]
    before, after = captions(tmp_path, task), captions(tmp_path, task, generation=1)
    assert [row["caption"] for row in after] == [caption_of(i) for i in range(6)]
    assert [after[i] for i in (0, 2, 3, 5)] == [before[i] for i in (0, 2, 3, 5)]


@pytest.mark.parametrize("name", ["qwen2-vl-2b", "qwen2.5-vl-7b", "qwen3-vl-8b", "internvl3-8b"])
def test_frames_and_words_have_room_in_a_request(name: str) -> None:
    chosen, model = settings(backend={"kind": "vllm", "model": name}), MODELS[name]
    assert vllm_settings(chosen).max_model_len == vllm_settings(chosen, 1).max_model_len == model.max_model_len
    words = model.max_model_len - model.image_tokens(model.budget)
    assert words > 1500
    for images in (2, 8, 32, 128):
        length = vllm_settings(chosen, images).max_model_len
        assert length is not None and length - images * model.image_tokens(chosen.budget(images)) >= words
    own = settings(backend={"kind": "vllm", "model": name, "max_model_len": 9999})
    assert vllm_settings(own, 8).max_model_len == 9999


def test_the_processor_leaves_frames_as_they_are() -> None:
    qwen = settings(backend={"kind": "vllm", "model": "qwen2.5-vl-7b"})
    told = vllm_settings(qwen, 8).engine_args["mm_processor_kwargs"]
    assert told == {"min_pixels": 224 * 224, "max_pixels": 768 * 768 // 8}
    internvl = settings(backend={"kind": "vllm", "model": "internvl3-8b"})
    assert vllm_settings(internvl, 8).engine_args["mm_processor_kwargs"] == {"max_dynamic_patch": 1}


def test_a_captioner_is_opened_for_so_many_images() -> None:
    chosen = settings(backend={"kind": "vllm", "model": "qwen2.5-vl-7b"})
    for images in (1, 8):
        captioner = open_client(chosen, images)
        assert isinstance(captioner, VllmClient)
        assert captioner._config["images"] == images
        assert captioner._config["settings"]["engine_args"] == vllm_settings(chosen, images).engine_args
        captioner.close()
