"""Clips through the stage `caption`: all frames of one in a request, in order. Images are asked about as ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from corpus.schema import item_id
from corpus.settings import SettingsError
from recaption.captioner import request_key, request_seed
from recaption.dummy import MODEL
from recaption.settings import CaptionSettings
from recaption.stage import Caption
from serving.request import GenerateRequest, GenerateResponse
from tests.helpers.caption_shards import (
    Use,
    caption,
    caption_table,
    captions,
    frame,
    frame_number_of,
    lay_clips,
    lay_shard,
    picture,
    settings,
)


def told(numbers: list[int]) -> str:
    return f"A clip in which the colours {' then '.join(map(str, numbers))} follow each other."


def right(request: GenerateRequest) -> GenerateResponse:
    """What a good model says: all frames, in the order in which it was shown them."""
    return GenerateResponse(told([frame_number_of(image) for image in request.images]), "stop", 100, 10)


def clip(*numbers: int) -> list[bytes]:
    return [frame(number) for number in numbers]


def clip_settings(**more: Any) -> CaptionSettings:
    return settings(sources={"a": {}, "b": {}}, **more)


def test_a_clip_is_asked_about_with_all_its_frames_in_order(tmp_path: Path, use: Use) -> None:
    captioner = use(right)
    numbers = np.random.default_rng(0).integers(0, 1024, (60, 4)).tolist()
    tasks = [
        lay_clips(tmp_path, "a", f"{shard:06}", [clip(*each) for each in numbers[30 * shard : 30 * shard + 30]], b"mp4")
        for shard in range(2)
    ]
    outcomes = caption(tmp_path, Caption("a", clip_settings(), 4), *tasks)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    rows = [row for task in tasks for row in captions(tmp_path, task)]
    assert [row["caption"] for row in rows] == [told(each) for each in numbers]
    assert {row["reject_reason"] for row in rows} == {""}
    assert len(captioner.requests) == 60
    assert {len(request.images) for request in captioner.requests} == {4}  # the mp4 is not shown
    assert {row["prompt"] for row in rows} == {"clip_frames-01", "clip_frames-02", "clip_frames-03"}
    figures = outcomes[0].metrics["caption"]
    assert (figures["rows"], figures["responses"]) == (30, 30)


def test_a_broken_frame_costs_its_clip_and_a_missing_one_does_not(tmp_path: Path, use: Use) -> None:
    captioner = use(right)
    whole = [clip(number, number + 1, number + 2) for number in range(0, 30, 3)]
    broken = [clip(500, 501, 502), clip(600, 601, 602), [], clip(700, 701)]
    broken[0][1] = broken[0][1][:300]
    broken[1][2] = b"no picture at all"
    task = lay_clips(tmp_path, "a", "000000", [*whole[:5], *broken, *whole[5:]])
    stage = Caption("a", clip_settings(), 3)
    (outcome,) = caption(tmp_path, stage, task)
    rows = captions(tmp_path, task)
    verdicts = ["truncated", "undecodable", "no_frames", ""]
    assert [row["reject_reason"] for row in rows] == [""] * 5 + verdicts + [""] * 5
    assert [rows[place]["caption"] for place in (5, 6, 7, 8)] == [None, None, None, told([700, 701])]
    assert [row["caption"] for row in rows[9:]] == [told([n, n + 1, n + 2]) for n in range(15, 30, 3)]
    assert {row["status"] for row in rows} == {"kept"}
    assert len(captioner.requests) == 11
    assert outcome.metrics["caption"]["rejected/no_frames"] == 1
    assert stage.retryable_reasons(caption_table(tmp_path, task)).to_pylist()[5:9] == verdicts


def test_a_bad_caption_of_a_clip_is_tried_again_with_the_same_frames(tmp_path: Path, use: Use) -> None:
    def sorry_at_first(request: GenerateRequest) -> GenerateResponse:
        sorry = GenerateResponse("I'm sorry, but I can't describe this.", "stop")
        return sorry if request.temperature is None else right(request)

    captioner = use(sorry_at_first)
    task = lay_clips(tmp_path, "a", "000000", [clip(9, 4, 7)])
    caption(tmp_path, Caption("a", clip_settings(), 3), task)
    (row,) = captions(tmp_path, task)
    assert (row["caption"], row["attempts"]) == (told([9, 4, 7]), 2)
    assert [[frame_number_of(image) for image in request.images] for request in captioner.requests] == [[9, 4, 7]] * 2


def test_a_clip_is_known_by_its_frames_and_their_order(tmp_path: Path, use: Use) -> None:
    use(right)
    stage = Caption("a", clip_settings(), 2)
    caption(tmp_path, stage, lay_clips(tmp_path, "a", "000000", [clip(1, 2), clip(3, 4)]))
    captioner = use(right)
    task = lay_clips(tmp_path, "b", "000000", [clip(3, 4), clip(2, 1), clip(1, 2), clip(2, 1)], mp4=b"moving")
    (outcome,) = caption(tmp_path, Caption("b", clip_settings(), 2), task)
    assert [[frame_number_of(image) for image in request.images] for request in captioner.requests] == [[2, 1]]
    assert outcome.metrics["caption"]["from_cache"] == 2
    assert [row["caption"] for row in captions(tmp_path, task)] == [
        told(each) for each in ([3, 4], [2, 1], [1, 2], [2, 1])
    ]


def test_frames_share_the_pixels_of_one_image(tmp_path: Path, use: Use) -> None:
    large = [cv2.imencode(".jpg", np.full((360, 640, 3), level, np.uint8))[1].tobytes() for level in (90, 120)]
    captioner = use(lambda request: GenerateResponse("Grey, and then a lighter grey.", "stop"))
    task = lay_clips(tmp_path, "a", "000000", [large * 4])
    caption(tmp_path, Caption("a", clip_settings(max_pixels=100_000), 8), task)
    (request,) = captioner.requests
    pixels = [image.shape[0] * image.shape[1] for image in request.images]
    assert len(pixels) == 8 and 90_000 < sum(pixels) <= 100_000


def test_what_images_depend_on_and_what_they_are_asked_is_what_it_was() -> None:
    """Numbers that a change of the code must not change: captions that exist would be stale."""
    backends = {
        "2bb0308350efd444": {"kind": "dummy"},
        "d87f58121945af18": {"kind": "vllm", "model": "glm-4v-9b"},
        "55162b4f4cc187da": {"kind": "vllm", "model": "qwen2.5-vl-7b"},
        "7436bbdc83cca12c": {"kind": "vllm", "model": "internvl3-8b"},
        "aec6244472efabb7": {"kind": "openai", "model": "cogvlm2-19b", "endpoints": ["http://gpu:1/v1"]},
    }
    for digest, backend in backends.items():
        for choice in ({}, {"prompts": {"detailed": 1.0}}):
            given = CaptionSettings.model_validate({"backend": backend, "sources": {"a": choice}, "windows": {"a": {}}})
            depends = json.dumps(Caption("a", given).fingerprint_inputs(), sort_keys=True)
            assert hashlib.sha256(depends.encode()).hexdigest()[:16] == digest
    key = request_key(b"0123456789abcdef", "Describe it.", "")
    assert key.hex() == "59a2dc0fbae5c2372f7193ebcac7e6d1"
    assert request_seed(key, 7, 0, 1) == 163808604


def test_an_image_is_known_by_its_item(tmp_path: Path, use: Use) -> None:
    captioner = use(lambda request: GenerateResponse("One picture and nothing else.", "stop"))
    task = lay_shard(tmp_path, "a", "000000", [picture(5)], [None])
    caption(tmp_path, Caption("a", settings()), task)
    (row,), (request,) = captions(tmp_path, task), captioner.requests
    assert row["key"] == request_key(item_id(picture(5)), request.prompt, "")


def test_the_number_of_frames_is_part_of_a_caption_where_it_changes_what_is_seen() -> None:
    chosen = clip_settings(backend={"kind": "vllm", "model": "qwen2.5-vl-7b"})
    producers = [Caption("a", chosen, images).fingerprint_inputs()["producer"] for images in (1, 4, 8)]
    assert [producer["pixels"]["max_pixels"] for producer in producers] == [768 * 768, 768 * 768 // 4, 768 * 768 // 8]
    assert {key for key in producers[0] if producers[0][key] != producers[2][key]} == {"pixels"}


def test_what_can_not_caption_clips_is_refused_with_what_can() -> None:
    images = {"a": {"prompts": {"detailed": 1.0}}}
    with pytest.raises(
        SettingsError, match=r"stages\.caption\.sources\.a: prompts\.detailed: not for 8 .*: clip_frames"
    ):
        Caption("a", settings(sources=images), 8)
    with pytest.raises(SettingsError, match=r"sources\.a: prompts\.clip_frames: not for 1 .*: detailed, short"):
        Caption("a", settings(sources={"a": {"prompts": {"clip_frames": 1.0}}}))
    with pytest.raises(SettingsError, match=r"sources\.a: glm-4v-9b takes 1 image.* at most, not 8: .*qwen2\.5-vl"):
        Caption("a", clip_settings(backend={"kind": "vllm", "model": "glm-4v-9b"}), 8)
    backend = {"kind": "vllm", "model": "qwen2.5-vl-7b", "max_model_len": 900}
    with pytest.raises(SettingsError, match=r"sources\.a: backend\.max_model_len: 8 images and a caption take 1"):
        Caption("a", clip_settings(backend=backend), 8)
    assert Caption("a", clip_settings(backend=backend)).images == 1


def test_dummy_captions_of_clips_say_that_no_model_wrote_them(tmp_path: Path) -> None:
    task = lay_clips(tmp_path, "a", "000000", [clip(0, 0, 900, 900), clip(7, 7, 7, 7)])
    caption(tmp_path, Caption("a", clip_settings(backend={"kind": "dummy"}), 4), task)
    first, still = captions(tmp_path, task)
    assert first["caption"].startswith("Dummy caption of 4 frames: a square picture of black")
    assert first["caption"] != still["caption"]
    assert {(row["caption_model"], row["prompt"]) for row in (first, still)} == {(MODEL, "")}
