"""Readers of text that anybody, or a model, wrote: cleaning, judging, comparing, screening, labels."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from corpus.text.clean import TextCleanSettings, clean_texts
from corpus.text.keys import text_keys
from corpus.text.minhash import TextNearSettings, near_texts
from filters.text.quality import TextFilterSettings, text_reasons
from pipelines.labels.hierarchy import Relations
from pipelines.labels.merge import MergeSettings, merge_labels
from pipelines.labels.vocabulary import first_synonym, normalize_label
from recaption.prompts import clean_context
from recaption.screening.screen import ScreeningSettings, screen

from ..formats import TEXT
from ..target import Reader, Target, Unexpected

_TEXTS = [
    b"A man in a red jacket rides a horse along the beach, and two dogs run beside it. The sea is calm.",
    "L’été, un garçon mange une glace à l'italienne devant l'église Saint-Étienne.".encode(),
    "図書館で本を読む女性。窓の外には桜が咲いている。".encode(),
    b"<p>Free &amp; <b>fast</b> shipping!&nbsp;<br/>Use `a < b` or <script>alert(1)</script> &#8217; &amp;amp;lt;</p>",
    "Ã©tÃ© â€œquotedâ€\u009d text cafÃ© \u200b\u202e\ufeff ﬁne".encode(),
    b'**Caption:** "A cat." - it sleeps\n1. one\n2. two\n```json\n{"caption": "A cat sleeps on a mat."}\n```',
    b"I'm sorry, but I can't help with that image. As an AI language model, I cannot see pictures.",
    b"the the the the the the the the the the the the the the the the the the the the the the the the",
    b"<|im_start|>assistant\nSure! Here is a description of the image: a dog </s> [/INST] <think>hm</think>",
]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _clean(folder: Path) -> Reader:
    settings = TextCleanSettings()

    def read(data: bytes) -> object:
        once, _ = clean_texts(pa.array([_text(data)], pa.string()), settings)
        again, changed = clean_texts(once, settings)
        if changed.any():
            raise Unexpected(f"cleaned again, {once[0].as_py()!r} is {again[0].as_py()!r}")
        return once

    return Reader(read, _TEXTS, (), TEXT)


def _judge(folder: Path) -> Reader:
    """Texts of several lines, judged, keyed and compared with each other."""
    settings, near = TextFilterSettings(languages=("en", "fr")), TextNearSettings()

    def read(data: bytes) -> object:
        texts = pa.array(_text(data).split("\n") * 2, pa.string())
        keys = text_keys(texts)
        if (keys[: len(keys) // 2] != keys[len(keys) // 2 :]).any():
            raise Unexpected("the same text has two keys")
        return text_reasons(texts, settings), near_texts(texts, near)

    return Reader(read, [*_TEXTS, b"\n".join(_TEXTS)], (), TEXT)


def _screen(folder: Path) -> Reader:
    strict = ScreeningSettings(language="en")

    def read(data: bytes) -> object:
        text = _text(data)
        screened = screen(text, "length" if len(data) % 2 else "stop", "Describe the image in one sentence.", strict)
        if not screened.reject_reason and screen(screened.caption, settings=strict).caption != screened.caption:
            raise Unexpected(f"screened again, {screened.caption!r} changes")
        return screened, screen(text, caption_field="caption")

    return Reader(read, _TEXTS, (), TEXT)


def _hints(folder: Path) -> Reader:
    return Reader(lambda data: clean_context(_text(data)), _TEXTS, (), TEXT)


_LABELS = [
    b"tench, Tinca tinca\ngolden retriever\nhot dog\ndogs\na photo of the sofa.",
    "church/outdoor\nC++\nn°5\nÉté_été\nthe Sofa.\nn02084071 dog\nSUN/a/abbey".encode(),
]


def _label(folder: Path) -> Reader:
    """Each line a label."""

    def read(data: bytes) -> object:
        return [(normalize_label(label), first_synonym(label)) for label in _text(data).split("\n")]

    return Reader(read, _LABELS, (), TEXT)


def _merged_labels(folder: Path) -> Reader:
    settings = MergeSettings()
    names = settings.lists

    def read(data: bytes) -> object:
        labels = _text(data).split("\n")
        merged = merge_labels({"one": labels[::2], "other": labels[1::2]}, settings)
        found = [merged.merged("one", label) for label in labels[::2]]
        return merged.report(), Relations(filter(None, found), names).table

    return Reader(read, _LABELS, (), TEXT)


TARGETS = (
    Target("texts.clean", 40_000, _clean),
    Target("texts.judge", 4_000, _judge),
    Target("texts.screen", 40_000, _screen),
    Target("texts.hints", 20_000, _hints),
    Target("texts.label", 20_000, _label),
    Target("texts.merged_labels", 800, _merged_labels),
)
