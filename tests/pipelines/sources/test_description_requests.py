"""Prompts that ask for a description of a video, and questions that do not."""

from __future__ import annotations

from pipelines.sources.description_requests import asks_for_description

REQUESTS = (
    "Describe the video in detail.",
    "Please describe in detail this short clip.",
    "Could you please summarize the given video?",
    "Write a detailed description of the video.",
    "Generate video captions that name all people and what they do. Do not list frames.",
    "Provide an overview of the content of this footage",
    "Give a caption for the clip",
    "Caption this video",
    "Please describe what happens here in detail.",
    "Describe what you see in this clip",
    "Carefully watched, then: Caption this video",
)
QUESTIONS = (
    "What happens in the video?",
    "Describe the colour of the dog's collar in the video.",
    "Describe the video's second speaker.",
    "Write down how many people the video shows.",
    "Give the name of the dish that the video shows.",
    "Provide a description of the man's hat in the video.",
    "Which caption fits the video?",
    "Describe what happens after the dog jumps.",
    "Describe what happens in the video when the light turns green.",
    "",
)


def test_requests_are_told_from_questions() -> None:
    wrong = [text for text in REQUESTS[:-1] if not asks_for_description(text)]
    wrong += [text for text in QUESTIONS if asks_for_description(text)]
    assert wrong == []


def test_known_prompts_are_requests_whatever_they_say() -> None:
    assert not asks_for_description(REQUESTS[-1])
    assert asks_for_description(REQUESTS[-1], [REQUESTS[-1].upper().replace(" ", "  ")])
    assert not asks_for_description(REQUESTS[-1] + " Why?", [REQUESTS[-1]])
