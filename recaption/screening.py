"""Screening of what a model answered: repairs of what is harmless, and one verdict on what is not a caption.

The rules, in this order; the first that is broken is the verdict:

    bad_json        a structured answer that doesn't parse, or lacks the caption's field (cut off: `cut_off`)
    empty           no letter and no digit
    mojibake        replacement characters, double encodings, runs of controls or of private use, lone surrogates
    refusal         the first sentence says that the model can't, or that there is no image
    markup          Markdown, HTML, tokens of a chat template, beyond what a repair takes off
    prompt_echo     says what the prompt says
    repetition      a phrase that follows on itself, or a text most of which came before
    wrong_language  clearly in another language than asked for
    cut_off         the limit of tokens cut it off before its first full sentence ended
    too_short       fewer than `min_words` words

Repairs are no fault: NFC, one line, no preamble ("Sure, here is a description:"), label ("Caption:"), emphasis, or
quotes around all of it; and an answer that was cut off ends with its last full sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field, field_validator

from corpus.settings import Settings
from corpus.text.language import LANGUAGES, is_in_another_language
from corpus.text.sentences import cut_back, sentences, words
from recaption.characters import clean, is_mojibake, one_line
from recaption.markup import has_markup, repair
from recaption.prompts import Prompt
from recaption.refusals import is_refusal
from recaption.repetition import echoes, has_looping_word, loops, said_again
from recaption.requests import Answer

VERDICTS = (
    "bad_json",
    "empty",
    "mojibake",
    "refusal",
    "markup",
    "prompt_echo",
    "repetition",
    "wrong_language",
    "cut_off",
    "too_short",
)


class ScreeningSettings(Settings):
    """Which answers are captions. `empty` and `bad_json` always apply."""

    mojibake: bool = True
    refusal: bool = True
    markup: bool = True
    echo_words: int = Field(8, ge=0, description="of the prompt, in a row, that make an echo of it; 0: no rule")
    loop_repeats: int = Field(4, ge=0, description="of a phrase, one after the other, that make a loop; 0: no rule")
    max_said_again: float = Field(0.5, gt=0, le=1, description="share of a caption that may have come before; 1: any")
    language: str = Field("en", description="that captions are in, an ISO 639-1 code; empty: any")
    max_other_letters: float = Field(0.2, ge=0, le=1, description="share in another script, if over 20")
    cut_back: bool = Field(True, description="end a cut-off caption with its last full sentence; false: refuse it")
    min_sentence_words: int = Field(5, ge=1, description="of the longest sentence that is left when one is cut back")
    min_words: int = Field(3, ge=0)

    @field_validator("language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language and language not in LANGUAGES:
            raise ValueError(f"unknown language; known are {', '.join(LANGUAGES)}, and '' for any")
        return language


_DEFAULTS = ScreeningSettings()


class Screened(NamedTuple):
    """A caption of one line, and what is wrong with it.

    With a verdict, the text is what it was judged by, for people; it is no caption. `cut_back`: it was cut off, and now
    ends with its last full sentence.
    """

    caption: str
    verdict: str = ""  # one of VERDICTS, or ""
    cut_back: bool = False


def screen_all(
    answers: Sequence[Answer], prompts: Sequence[Prompt], settings: ScreeningSettings = _DEFAULTS
) -> list[Screened]:
    """What `screen` says of each answer, given the prompt of its row."""
    return [
        screen(answer.text, answer.finish_reason, prompt.text, settings, prompt.caption_field)
        for answer, prompt in zip(answers, prompts, strict=True)
    ]


def screen(
    text: str,
    finish_reason: str = "stop",
    prompt: str = "",
    settings: ScreeningSettings = _DEFAULTS,
    caption_field: str = "",
) -> Screened:
    """Repair and judge one answer.

    `prompt` is the prompt's text as the library has it, without the row's hint: words of the alt-text are no echo.
    `caption_field` is the field of a structured answer that holds the caption; "": free text. A caption without a
    verdict, screened again, stays as it is.
    """
    cut_off = finish_reason == "length"
    if caption_field:
        field = _field(text, caption_field)
        if field is None:
            return Screened(one_line(text), "cut_off" if cut_off else "bad_json")
        text, cut_off = field, False  # JSON that was cut off doesn't parse
    lines = repair(clean(text))
    caption = _polish(lines)
    said = words(caption)
    if not said:
        return Screened(caption, "empty")
    if verdict := _raw_fault(text, lines, settings) or _fault(caption, said, prompt, settings):
        return Screened(caption, verdict)
    shortened = cut_off
    if cut_off:
        left = _polish(cut_back(caption)) if settings.cut_back else ""
        if max((len(words(sentence)) for sentence in sentences(left)), default=0) < settings.min_sentence_words:
            return Screened(caption, "cut_off")
        shortened, caption, said = left != caption, left, words(left)
        if verdict := _fault(caption, said, prompt, settings):  # of what is left, say a language's share
            return Screened(caption, verdict, shortened)
    return Screened(caption, "too_short" if len(said) < settings.min_words else "", shortened)


def _polish(text: str) -> str:
    """The text on one line and repaired, until neither changes anything."""
    while (polished := repair(one_line(text))) != text:
        text = polished
    return text


def _raw_fault(raw: str, lines: str, settings: ScreeningSettings) -> str:
    """What can be seen only before characters are taken out and lines joined."""
    if settings.mojibake and is_mojibake(raw):
        return "mojibake"
    if settings.markup and "\n" in lines and has_markup(lines):
        # A refusal may well come with a list of what the model can do instead.
        return "refusal" if settings.refusal and is_refusal(one_line(lines)) else "markup"
    return ""


def _fault(caption: str, said: list[str], prompt: str, settings: ScreeningSettings) -> str:
    if settings.mojibake and is_mojibake(caption):
        return "mojibake"
    if settings.refusal and is_refusal(caption):
        return "refusal"
    if settings.markup and has_markup(caption):
        return "markup"
    if settings.echo_words and prompt and echoes(said, prompt, settings.echo_words):
        return "prompt_echo"
    if settings.loop_repeats and (loops(said, settings.loop_repeats) or has_looping_word(said)):
        return "repetition"
    if settings.max_said_again < 1 and said_again(said) >= settings.max_said_again:
        return "repetition"
    if settings.language and is_in_another_language(caption, (settings.language,), settings.max_other_letters):
        return "wrong_language"
    return ""


_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)


def _field(text: str, name: str) -> str | None:
    """The string in a field of an answer in JSON, with or without a code fence around it; None if there is none."""
    fenced = _FENCE.fullmatch(text.strip())
    try:
        data = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, str) else None
