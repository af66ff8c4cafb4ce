"""Reads annotations of videos from the files that public sets come in: JSON or JSON lines, local or in a store.

A record that is not as its form says is left out, with file and line in a list of bad records; the others are read. The
name of a form's field, where it could not be verified, is a setting. A record whose times cannot be read is never taken
to be about the whole video.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from corpus.settings import Settings, nearest_key
from corpus.text.keys import normalize_text
from pipelines.sources.json_records import (
    BadRecord,
    BadRecordError,
    records,
    refuse_unsupported_times,
    seconds,
    text_of,
)

_PLAIN_KEYS = ("video", "start_s", "end_s", "text", "question", "answer")
_Times = tuple[float | None, float | None]


class _AnnotationSettings(Settings):
    files: tuple[str, ...] = Field(
        min_length=1, description="JSON or JSON-lines files with the annotations: paths, folders, globs or fsspec URLs."
    )


class ShareGpt4Video(_AnnotationSettings):
    """ShareGPT4Video's format: `video_id`, `captions: [{idx, content}]`; the caption of index "-1" describes the whole
    video.
    """

    kind: Literal["sharegpt4video"] = Field(description="ShareGPT4Video's format of captions.")
    video_key: str = Field("video_id", description="The key with the video's name.")
    times_key: str = Field(
        "",
        description="The key of a list beside the captions with the start of each part in seconds, or with all "
        "edges; empty for none.",
    )


class Llava(_AnnotationSettings):
    """LLaVA's format: `video`, `conversations: [{from: human | gpt, value}]`, in VideoChat-Flash with start and end."""

    kind: Literal["llava"] = Field(description="LLaVA's format of conversations about videos.")
    start_key: str = Field(
        "start", description="The key with the start of the part that a conversation is about, in seconds."
    )
    end_key: str = Field("end", description="The key with the end of that part, in seconds.")
    placeholder_tokens: tuple[str, ...] = Field(
        ("<image>", "<video>"), description="Placeholders of media that are removed from texts."
    )
    description_prompts: tuple[str, ...] = Field(
        (), description="Prompts whose answers are descriptions, in addition to those that plainly request one."
    )


class Vript(_AnnotationSettings):
    """Vript's format, `{meta: {video_id}, data: {clip id: {caption: {content}}}}`; times are in files of their own."""

    kind: Literal["vript"] = Field(description="Vript's format of captions of clips.")
    clip_times_files: tuple[str, ...] = Field(
        (), description="Files with the times of clips: paths, folders, globs or fsspec URLs."
    )
    video_key: str = Field("video_id", description="The key with the video's name.")
    text_key: str = Field("content", description="The key of a caption's text, where a caption has several parts.")
    clip_id_key: str = Field(
        "clip_id",
        description="The key with a clip's id in the files of times; where it is absent, the key above the times "
        "is the id.",
    )
    clip_start_key: str = Field("start", description="The key with a clip's start in the files of times, in seconds.")
    clip_end_key: str = Field("end", description="The key with a clip's end in the files of times, in seconds.")
    videos_are_clips: bool = Field(False, description="Whether the videos are the release's clips, named by clip id.")


class Plain(_AnnotationSettings):
    """This project's format: `video`, `start_s`, `end_s`, `text`, `question`, `answer` only; times may lack."""

    kind: Literal["plain"] = Field(description="This project's own format of annotations.")


AnyForm = Annotated[ShareGpt4Video | Llava | Vript | Plain, Field(discriminator="kind")]


@dataclass(frozen=True)
class Annotation:
    """A text, or a question with its answer, about a video or a part of it. Seconds as a player shows them.

    A part without a start has unknown times; an end of None is the video's. `text` describes; `question` and
    `answer` come together or are both "".
    """

    video: str  # as its file names it, often a path or without an ending
    start_s: float | None
    end_s: float | None
    text: str
    question: str
    answer: str
    whole_video: bool  # is about the whole video


def read_annotations(
    form: AnyForm, files: Sequence[str], clip_times_files: Sequence[str], bad_records: list[BadRecord]
) -> Iterator[Annotation]:
    """Reads the annotations of files of one format, in order.

    `clip_times_files` are Vript's. Malformed records go to `bad_records`. Raises StorageError for a file that cannot be
    read.
    """
    times = _read_clip_times(form, clip_times_files, bad_records) if isinstance(form, Vript) else {}
    for file in files:
        for line, record in records(file, bad_records):
            for unit in _clips(form, record) if isinstance(form, Vript) else [record]:
                try:
                    annotations = _read_unit(form, unit, times)
                except BadRecordError as error:
                    bad_records.append(BadRecord(file, line, error.reason, error.detail))
                else:
                    yield from annotations


def _read_unit(form: AnyForm, record: Any, times: Mapping[str, _Times]) -> list[Annotation]:
    """Reads the annotations of one record, of Vript one clip. Raises BadRecordError."""
    if not isinstance(record, dict):
        raise BadRecordError("not_an_object", f"a {type(record).__name__}")
    match form:
        case ShareGpt4Video():
            return _read_sharegpt4video(form, record)
        case Llava():
            return _read_llava(form, record)
        case Vript():
            return [_read_clip(form, record, times)]
    if unknown := next((key for key in record if key not in _PLAIN_KEYS), None):
        raise BadRecordError("unknown_key", f"{unknown!r}: {nearest_key(unknown, _PLAIN_KEYS)}")
    start_s, end_s = _times(record.get("start_s"), record.get("end_s"))
    text, question, answer = (text_of(record.get(key)) for key in ("text", "question", "answer"))
    if bool(question) != bool(answer) or not (text or question):
        raise BadRecordError("no_text", "neither a text nor a question with its answer")
    return [Annotation(_video(record, "video"), start_s, end_s, text, question, answer, start_s is None)]


def _read_sharegpt4video(form: ShareGpt4Video, record: dict[str, Any]) -> list[Annotation]:
    video = _video(record, form.video_key)
    captions = record.get("captions")
    if not isinstance(captions, list) or not all(isinstance(each, dict) for each in captions) or not captions:
        raise BadRecordError("no_text", "captions are not a list of objects")
    descriptions = [text_of(each.get("content")) for each in captions if str(each.get("idx")) == "-1"]
    parts = [text_of(each.get("content")) for each in captions if str(each.get("idx")) != "-1"]
    starts = record.get(form.times_key) if form.times_key else None
    if starts is None:
        part_times: list[_Times] = [(None, None)] * len(parts)
    elif not isinstance(starts, list):
        raise BadRecordError("bad_time", f"{form.times_key!r} is not a list of times")
    elif len(starts) in (len(parts), len(parts) + 1):
        part_times = [_times(*both) for both in zip(starts, [*starts[1:], None], strict=True)][: len(parts)]
    else:
        raise BadRecordError("bad_time", f"{len(starts)} times for {len(parts)} parts")
    annotations = [Annotation(video, None, None, text, "", "", True) for text in descriptions if text]
    annotations += [
        Annotation(video, *part, text, "", "", False) for part, text in zip(part_times, parts, strict=True) if text
    ]
    if not annotations:
        raise BadRecordError("no_text", "all captions are empty")
    return annotations


def _read_llava(form: Llava, record: dict[str, Any]) -> list[Annotation]:
    video = _video(record, "video")
    refuse_unsupported_times(record, form.start_key, form.end_key)
    start_s, end_s = _times(record.get(form.start_key), record.get(form.end_key))
    turns = record.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRecordError("bad_turns", "conversations are not a list of objects")
    dialogue = [turn for turn in turns if turn.get("from") != "system"]
    if not dialogue or [turn.get("from") for turn in dialogue] != ["human", "gpt"] * (len(dialogue) // 2):
        raise BadRecordError("bad_turns", "human and gpt do not take turns")
    values = [_remove_tokens(form.placeholder_tokens, text_of(turn.get("value"))) for turn in dialogue]
    annotations = []
    for question, answer in zip(values[::2], values[1::2], strict=True):
        if not answer:
            raise BadRecordError("no_text", "an empty answer")
        # Where the question is but a placeholder or a request for a description, the answer is a description.
        is_description = not question or asks_for_description(question, form.description_prompts)
        texts = (answer, "", "") if is_description else ("", question, answer)
        annotations.append(Annotation(video, start_s, end_s, *texts, start_s is None))
    return annotations


def _clips(form: Vript, record: Any) -> list[Any]:
    """Lists the clips of a file of captions, each with its id and the video that it is of."""
    if not isinstance(record, dict) or not isinstance(record.get("data"), dict):
        return [record]
    meta = record.get("meta")
    video = meta.get(form.video_key) if isinstance(meta, dict) else None
    return [
        {form.video_key: video, "clip_id": key, **clip} if isinstance(clip, dict) else clip
        for key, clip in record["data"].items()
    ]


def _read_clip(form: Vript, clip: dict[str, Any], times: Mapping[str, _Times]) -> Annotation:
    name = text_of(clip.get("clip_id"))
    caption = clip.get("caption")
    text = text_of(caption.get(form.text_key) if isinstance(caption, dict) else caption)
    if not text:
        raise BadRecordError("no_text", f"clip {name!r} has no caption")
    if form.videos_are_clips:
        return Annotation(_video(clip, "clip_id"), None, None, text, "", "", True)
    return Annotation(_video(clip, form.video_key), *times.get(name, (None, None)), text, "", "", False)


def _read_clip_times(form: Vript, files: Sequence[str], bad_records: list[BadRecord]) -> dict[str, _Times]:
    """Reads the times of Vript's clips, by clip id."""
    times: dict[str, _Times] = {}
    for file in files:
        for line, record in records(file, bad_records):
            for name, clip in _timed_clips(form, record, ""):
                try:
                    times[name] = _times_of(form, clip, times.get(name))
                except BadRecordError as error:
                    bad_records.append(BadRecord(file, line, error.reason, f"clip {name!r}: {error.detail}"))
    return times


def _times_of(form: Vript, clip: Mapping[str, Any], before: _Times | None) -> _Times:
    times = _times(clip.get(form.clip_start_key), clip.get(form.clip_end_key))
    if before not in (None, times):
        raise BadRecordError("bad_time", f"from {times[0]} s, after other times for the same clip, which hold")
    return times


def _timed_clips(form: Vript, value: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Finds the objects that have a start, however deep they lie, by the clip's id."""
    if isinstance(value, dict) and form.clip_start_key in value:
        yield str(value.get(form.clip_id_key, name)), value
    elif isinstance(value, (dict, list)):
        for key, each in value.items() if isinstance(value, dict) else (("", each) for each in value):
            yield from _timed_clips(form, each, key)


def _video(record: Mapping[str, Any], key: str) -> str:
    name = text_of(record.get(key))
    if not name:
        raise BadRecordError("no_video", f"no {key!r}")
    return name


def _times(start: Any, end: Any) -> _Times:
    """Parses start and end: (None, None) without either; an end alone begins with the video. Raises BadRecordError."""
    try:
        start_s, end_s = seconds(start), seconds(end)
    except ValueError as error:
        raise BadRecordError("bad_time", str(error)) from None
    if end_s is not None and end_s <= (start_s or 0.0):
        raise BadRecordError("bad_time", f"ends at {end_s} s, begins at {start_s or 0.0} s")
    return (0.0 if start_s is None and end_s is not None else start_s), end_s


def _remove_tokens(tokens: Sequence[str], text: str) -> str:
    for token in tokens:
        text = re.sub(rf"\s*{re.escape(token)}\s*", lambda gap: "\n" if "\n" in gap[0] else " ", text)
    return text.strip()


# Requests for a description of a video, as human turns of conversations begin.
_POLITE_WORDS = r"(?:(?:please|kindly|can you|could you|would you|will you|i want you to|your task is to)[\s,]+)*"
_VIDEO_WORDS = r"(?:videos?|clips?|footage|films?|movies?|recordings?|frames|images?|pictures?|scenes?)"
_TEXT_WORDS = r"(?:descriptions?|captions?|summary|summaries|narratives?|narrations?|accounts?|depictions?|overviews?)"
_MANNER_WORDS = r"(?:[a-z-]+ly\s+|in\s+(?:[a-z-]+\s+){0,2}details?,?\s+)*"
_WHICH_WORDS = (
    r"(?:(?:the|this|that|these|a|an|following|given|provided|entire|whole|above|content|contents|of|short)\s+)*"
)
_REQUEST_PATTERNS = (
    rf"(?:describe|summari[sz]e|narrate|caption|depict)\s+{_MANNER_WORDS}{_WHICH_WORDS}{_VIDEO_WORDS}\b(?!['\u2019]s)",
    rf"(?:describe|narrate)\s+{_MANNER_WORDS}what\s+(?:happens|is\s+happening|you\s+see|is\s+shown)"
    rf"(?:\s+here|\s+(?:in|throughout)\s+{_WHICH_WORDS}{_VIDEO_WORDS})?(?:\s+in\s+(?:[a-z-]+\s+){{0,2}}details?)?\s*(?:[.!]|$)",
    rf"(?:write|generate|provide|give|produce|create|compose|offer|present|craft|make|share)\b[^.?!\n]*?"
    rf"(?:{_VIDEO_WORDS}\s+{_TEXT_WORDS}|{_TEXT_WORDS}\s+(?:of|for|about|on|regarding)\s+{_WHICH_WORDS}{_VIDEO_WORDS}\b(?!['\u2019]s))",
)
_REQUEST = re.compile(rf"{_POLITE_WORDS}(?:{'|'.join(_REQUEST_PATTERNS)})")
_REQUEST_CHARACTERS = 600  # of a prompt: the request comes first


def asks_for_description(prompt: str, known: Collection[str] = ()) -> bool:
    """Tells whether a prompt asks for a description of the whole video, so that its answer is one.

    `known`: further prompts that do (`corpus.text.keys.normalize_text` says which count as the same).
    """
    beginning = " ".join(prompt.lower().split())[:_REQUEST_CHARACTERS]
    return bool(_REQUEST.match(beginning)) or normalize_text(prompt) in set(map(normalize_text, known))
