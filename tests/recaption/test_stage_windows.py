"""The stage `window_caption`: what is known of the clips in a window is a hint, and its captions are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.settings import SettingsError
from recaption.prompts import load_library
from recaption.schema import WINDOW_CAPTION
from recaption.settings import CaptionSettings
from recaption.stage import Caption, WindowCaption
from serving.request import GenerateRequest, GenerateResponse
from tests.helpers.caption_shards import Use, caption, captions, frame, frame_number_of, lay_clips, settings

LIBRARY = load_library()
CLIPS = " ".join(
    f"In clip {number}, somebody in a red coat carries box {number} up the stairs." for number in range(12)
)


def right(request: GenerateRequest) -> GenerateResponse:
    numbers = " then ".join(str(frame_number_of(image)) for image in request.images)
    return GenerateResponse(f"A long scene with the colours {numbers} in it.", "stop")


def windows(**more: Any) -> CaptionSettings:
    return settings(windows={"a": {}, "b": {}}, **more)


def pictures(*numbers: int) -> list[bytes]:
    return [frame(number) for number in numbers]


def test_a_window_is_asked_about_with_what_is_known_of_its_clips(tmp_path: Path, use: Use) -> None:
    captioner = use(right)
    rows = [pictures(row, row + 1, row + 2) for row in range(0, 120, 3)]
    assert 300 < len(CLIPS) < 1500
    hints: list[str | None] = [CLIPS, "", None, "   "] * 10
    task = lay_clips(tmp_path, "a", "000000", rows, text=["the annotation"] * 40, context=hints)
    (outcome,) = caption(tmp_path, WindowCaption("a", windows(), 3), task)
    table = captions(tmp_path, task, stage=WINDOW_CAPTION)
    assert [row["caption"] for row in table[:2]] == [
        "A long scene with the colours 0 then 1 then 2 in it.",
        "A long scene with the colours 3 then 4 then 5 in it.",
    ]
    prompts = {frame_number_of(request.images[0]): request.prompt for request in captioner.requests}
    for number, (row, hint) in enumerate(zip(table, hints, strict=True)):
        prompt = LIBRARY[row["prompt"]]
        assert prompt.purpose == "window_frames"
        if prompt.uses_context:
            assert f'"{hint or "the annotation"}"' in prompts[3 * number]
        else:
            assert prompts[3 * number] == prompt.text
    drawn = [{row["prompt"] for row in table[which::4]} for which in range(4)]
    assert set.union(*drawn[:3]) == {"window_frames-01", "window_frames-02", "window_frames-03"}
    assert drawn[3] == {"window_frames-01"}  # blanks are no hint
    assert outcome.metrics["caption"]["rows"] == 40


def test_without_a_column_of_hints_the_text_is_one(tmp_path: Path, use: Use) -> None:
    captioner = use(right)
    chosen = settings(windows={"a": {"prompts": {"window_frames-02": 1.0}}})
    task = lay_clips(tmp_path, "a", "000000", [pictures(1, 2)], text=["what somebody wrote"])
    caption(tmp_path, WindowCaption("a", chosen, 2), task)
    assert '"what somebody wrote"' in captioner.requests[0].prompt


def test_clips_take_no_hint_from_that_column(tmp_path: Path, use: Use) -> None:
    captioner = use(right)
    file = tmp_path / "mine.yaml"
    file.write_text("prompts:\n  mine: {purpose: clip_frames, text: 'What? {context}', images: [2, 9]}\n")
    chosen = settings(sources={"a": {"prompts": {"mine": 1.0}, "files": [str(file)]}})
    task = lay_clips(tmp_path, "a", "000000", [pictures(1, 2)], text=["said"], context=["known"])
    caption(tmp_path, Caption("a", chosen, 2), task)
    assert captioner.requests[0].prompt == "What? said"


def test_captions_of_windows_are_found_among_those_of_windows(tmp_path: Path, use: Use) -> None:
    clips = [pictures(1, 2), pictures(3, 4)]
    own = {"sources": {"a": {"prompts": {"window_frames": 1.0}}}}
    use(right)
    caption(tmp_path, Caption("a", windows(**own), 2), lay_clips(tmp_path, "a", "000000", clips[:1]))
    use(right)
    caption(tmp_path, WindowCaption("a", windows(), 2), lay_clips(tmp_path, "a", "000000", clips[1:]))
    captioner = use(right)
    task = lay_clips(tmp_path, "b", "000000", clips)
    (outcome,) = caption(tmp_path, WindowCaption("b", windows(), 2), task)
    assert [frame_number_of(request.images[0]) for request in captioner.requests] == [1]
    assert outcome.metrics["caption"]["from_cache"] == 1
    assert all(row["caption"] for row in captions(tmp_path, task, stage=WINDOW_CAPTION))


def test_another_hint_is_another_question(tmp_path: Path, use: Use) -> None:
    use(right)
    chosen = settings(windows={"a": {"prompts": {"window_frames-02": 1.0}}})
    first = lay_clips(tmp_path, "a", "000000", [pictures(1, 2)], context=["one caption"])
    second = lay_clips(tmp_path, "a", "000001", [pictures(1, 2)], context=["another caption"])
    outcomes = caption(tmp_path, WindowCaption("a", chosen, 2), first, second)
    assert [outcome.metrics["caption"]["from_cache"] for outcome in outcomes] == [0, 0]
    keys = [captions(tmp_path, task, stage=WINDOW_CAPTION)[0]["key"] for task in (first, second)]
    assert keys[0] != keys[1]


def test_what_is_not_chosen_for_windows_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"stages\.caption\.windows: no prompts for source 'c'"):
        WindowCaption("c", windows(), 8)
    with pytest.raises(SettingsError, match=r"windows\.a: prompts\.short: not for 8 .*: clip_frames, window_frames"):
        WindowCaption("a", settings(windows={"a": {"prompts": {"short": 1.0}}}), 8)
    stage = WindowCaption("a", windows(), 8)
    assert stage.name == "window_caption"
    assert set(stage.fingerprint_inputs()["prompts"]) == {"window_frames-01", "window_frames-02", "window_frames-03"}
