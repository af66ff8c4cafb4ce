"""The stage `caption`: every caption belongs to its image, and what goes wrong costs one row."""

from __future__ import annotations

from pathlib import Path

from recaption.stage import Caption
from serving.request import GenerateRequest, GenerateResponse
from tests.helpers.caption_shards import Use, caption, captions, lay_shard, number_of, picture, settings
from tests.helpers.good_responses import caption_of, good_response


def test_every_caption_belongs_to_its_image(tmp_path: Path, use: Use) -> None:
    captioner = use(good_response)
    tasks = [
        lay_shard(tmp_path, "a", f"{shard:06}", [picture(100 * shard + i) for i in range(100)], ["text"] * 100)
        for shard in range(3)
    ]
    outcomes = caption(tmp_path, Caption("a", settings()), *tasks)
    assert [outcome.error for outcome in outcomes] == ["", "", ""]
    for shard, task in enumerate(tasks):
        assert [row["caption"] for row in captions(tmp_path, task)] == [caption_of(100 * shard + i) for i in range(100)]
    assert captioner.closed
    first = captions(tmp_path, tasks[0])[0]
    assert (first["finish_reason"], first["prompt_tokens"], first["completion_tokens"]) == ("stop", 100, 10)
    assert (first["reject_reason"], first["attempts"], first["truncated"]) == ("", 1, False)
    assert first["prompt"].startswith("detailed")
    figures = outcomes[0].metrics["caption"]
    assert (figures["rows"], figures["responses"], figures["completion_tokens"]) == (100, 100, 1000)


def test_a_broken_picture_costs_its_row(tmp_path: Path, use: Use) -> None:
    captioner = use(good_response)
    pictures = [picture(i) for i in range(20)]
    pictures[7] = pictures[7][:60]
    pictures[9] = b"no picture at all"
    task = lay_shard(tmp_path, "a", "000000", pictures, [None] * 20)
    (outcome,) = caption(tmp_path, Caption("a", settings()), task)
    rows = captions(tmp_path, task)
    assert [i for i, row in enumerate(rows) if row["caption"] is None] == [7, 9]
    assert [rows[i]["reject_reason"] for i in (7, 9)] == ["truncated", "undecodable"]
    assert [rows[i]["status"] for i in (7, 9)] == ["kept", "kept"]  # its original text is as good as it was
    assert len(captioner.requests) == 18
    assert outcome.metrics["caption"]["rejected/truncated"] == 1


def test_a_request_that_the_model_refuses_costs_its_row(tmp_path: Path, use: Use) -> None:
    def refuses(request: GenerateRequest) -> GenerateResponse:
        return (
            GenerateResponse(error="refused_input", detail="too long")
            if number_of(request.images[0]) == 3
            else good_response(request)
        )

    use(refuses)
    task = lay_shard(tmp_path, "a", "000000", [picture(i) for i in range(6)], [None] * 6)
    caption(tmp_path, Caption("a", settings()), task)
    rows = captions(tmp_path, task)
    assert [row["reject_reason"] for row in rows] == ["", "", "", "refused_input", "", ""]


def test_the_same_picture_in_two_sources_is_captioned_once(tmp_path: Path, use: Use) -> None:
    captioner = use(good_response)
    tasks = [
        lay_shard(tmp_path, "a", "000000", [picture(i) for i in (1, 2, 3, 2)], [None] * 4),
        lay_shard(tmp_path, "b", "000000", [picture(i) for i in (3, 4, 1)], [None] * 3),
    ]
    caption(tmp_path, Caption("a", settings()), tasks[0])
    assert sorted(number_of(request.images[0]) for request in captioner.requests) == [1, 2, 3]
    captioner = use(good_response)
    (outcome,) = caption(tmp_path, Caption("b", settings()), tasks[1])
    assert [number_of(request.images[0]) for request in captioner.requests] == [4]
    assert outcome.metrics["caption"]["from_cache"] == 2
    assert [row["caption"] for row in captions(tmp_path, tasks[1])] == [caption_of(i) for i in (3, 4, 1)]


def test_a_hint_reaches_the_prompt(tmp_path: Path, use: Use) -> None:
    captioner = use(good_response)
    file = tmp_path / "mine.yaml"
    file.write_text("prompts:\n  mine-01: {purpose: detailed, text: 'Describe it. Alt-text: {context}'}\n")
    chosen = settings(sources={"a": {"prompts": {"mine-01": 1.0}, "files": [str(file)]}})
    texts = ["a red bus"]
    caption(tmp_path, Caption("a", chosen), lay_shard(tmp_path, "a", "000000", [picture(5)], texts))
    assert [request.prompt for request in captioner.requests] == ["Describe it. Alt-text: a red bus"]
