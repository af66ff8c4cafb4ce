"""Screens a model's responses: repairs what is harmless, and rejects what is no caption, with one reason.

The rules in their order; the first that a response breaks is the reason:

    bad_json        a structured response that doesn't parse, or lacks the caption's field (cut off: `cut_off`)
    empty           no letter and no digit
    mojibake        replacement characters, double encodings, runs of controls or of private use, lone surrogates
    refusal         says that the model can't, won't or is one, or that there is no image
    markup          Markdown, HTML, special tokens, beyond what a repair removes
    prompt_echo     repeats the prompt
    chatter         addresses the user, is about the description itself, or thinks aloud
    not_prose       JSON, tags, keys and values, a list, where prose was requested
    repetition      a loop of a phrase, of signs or of emoji, or a text most of which came before
    wrong_language  clearly in another language than requested
    cut_off         breaks off before the end of its first sentence
    too_short       fewer than `min_words` words

Repairs don't reject: NFC, UTF-8 that was read in another encoding, entities, line breaks, preamble ("Sure, here is a
description:"), label ("Caption:"), sign of a heading, emphasis, quotes around the whole text; and a response that
breaks off, whatever its finish reason, ends with its last complete sentence.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from pydantic import Field, field_validator

from corpus.printable import LONE_SURROGATE
from corpus.settings import Settings
from corpus.text.clean import clean_characters, one_line
from corpus.text.language import LANGUAGES, is_in_another_language
from corpus.text.mojibake import fix_mojibake, is_mojibake
from corpus.text.sentences import goes_on, has_end_mark, sentences, truncate_to_sentence, without_quotations
from corpus.text.words import words
from recaption.screening.chatter import cut_talk, has_chatter, thinks_aloud
from recaption.screening.markup import has_markup, repair
from recaption.screening.refusals import is_refusal
from recaption.screening.repetition import (
    QUOTED_REPEATS,
    echoes_prompt,
    has_looping_marks,
    has_looping_word,
    has_phrase_loop,
    repeated_ngram_share,
)
from recaption.screening.structured_text import has_structured_lines, is_structured_text

REJECT_REASONS = (
    "bad_json",
    "empty",
    "mojibake",
    "refusal",
    "markup",
    "prompt_echo",
    "chatter",
    "not_prose",
    "repetition",
    "wrong_language",
    "cut_off",
    "too_short",
)


class ScreeningSettings(Settings):
    """Settings of the rules of screening. `empty` and `bad_json` always apply."""

    mojibake: bool = Field(True, description="Whether text with encoding damage that cannot be repaired is refused.")
    refusal: bool = Field(
        True, description="Whether it is refused that the model says it cannot or will not, or that there is no image."
    )
    markup: bool = Field(True, description="Whether Markdown, HTML and chat tokens are refused.")
    chatter: bool = Field(
        True, description="Whether talk to the user, remarks on the description itself and thoughts are refused."
    )
    strip_chatter: bool = Field(
        False,
        description="Whether talk to the user is taken off the beginning and end of a caption; false refuses the "
        "caption.",
    )
    not_prose: bool = Field(
        True, description="Whether JSON, tags, keys and values, and lists are refused where prose was requested."
    )
    prompt_echo_words: int = Field(
        8, ge=0, description="How many words of the prompt, in a row, are an echo of it; 0 turns the rule off."
    )
    phrase_loop_repeats: int = Field(
        4, ge=0, description="How many repeats of a phrase, one after the other, are a loop; 0 turns the rule off."
    )
    max_repeated_share: float = Field(
        0.5, gt=0, le=1, description="The share of a caption that may have come before in it; 1 turns the rule off."
    )
    language: str = Field(
        "en", description="The language that captions are in, an ISO 639-1 code; an empty one allows any."
    )
    max_other_script_share: float = Field(
        0.2, ge=0, le=1, description="The share of letters in another script, from 20 such letters on."
    )
    truncate_to_sentence: bool = Field(
        True, description="Whether a caption that breaks off is truncated to its last full sentence; false refuses it."
    )
    min_sentence_words: int = Field(
        5, ge=1, description="The words that the longest sentence of a truncated caption must have."
    )
    min_words: int = Field(3, ge=0, description="The words that a caption must have.")

    @field_validator("language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language and language not in LANGUAGES:
            raise ValueError(f"unknown language; known are {', '.join(LANGUAGES)}, and '' for any")
        return language


_DEFAULTS = ScreeningSettings()


class ScreenResult(NamedTuple):
    """A response's caption on one line, and the reason to reject it.

    With a reason, the text is the one that broke the rule, for people to read; it is no caption. `truncated`: the
    response broke off, and the caption ends with its last complete sentence.
    """

    caption: str
    reject_reason: str = ""  # one of REJECT_REASONS, or ""
    truncated: bool = False


def screen(
    text: str,
    finish_reason: str = "stop",
    prompt: str = "",
    settings: ScreeningSettings = _DEFAULTS,
    caption_field: str = "",
) -> ScreenResult:
    """Repairs a response, and rejects it for the first rule that it breaks.

    `prompt` is the prompt's text in the library, without the row's context: words of the alt-text are no echo.
    `caption_field` is the field of a structured response that holds the caption; "": free text. A caption that was
    accepted is unchanged by a second screening.
    """
    cut_off = finish_reason == "length"
    if caption_field:
        field = _field(text, caption_field)
        if field is None:
            return ScreenResult(one_line(text), "cut_off" if cut_off else "bad_json")
        text, cut_off = field, False  # JSON that was cut off doesn't parse
    raw = _readable(text)
    lines = repair(clean_characters(raw))
    caption = _polish(lines)
    if not words(caption):
        return ScreenResult(caption, "empty")
    if reason := _raw_reason(raw, lines, settings):
        return ScreenResult(caption, reason)
    if settings.strip_chatter and settings.chatter and not thinks_aloud(caption, settings.language):
        caption = _polish(cut_talk(caption, settings.language)) or caption
    if reason := _reason(caption, prompt, settings):
        return ScreenResult(caption, reason)
    remaining = _complete_sentences(caption, cut_off, settings)
    if not remaining:
        return ScreenResult(caption, "cut_off")
    truncated = remaining != caption
    if truncated and (reason := _reason(remaining, prompt, settings)):  # such as the share of a language, which changed
        return ScreenResult(remaining, reason, truncated)
    return ScreenResult(remaining, "too_short" if len(words(remaining)) < settings.min_words else "", truncated)


def _readable(text: str) -> str:
    """Repairs wrongly decoded text; lone surrogates, which no text has, stay as they are."""
    return text if LONE_SURROGATE.search(text) else fix_mojibake(text)


def _complete_sentences(caption: str, cut_off: bool, settings: ScreeningSettings) -> str:
    """Returns the caption up to its last complete sentence if it breaks off; "" if none remains.

    It breaks off where the limit of tokens ended it, where its end shows it, and where it has no end mark though the
    sentences before have one.
    """
    if not cut_off and has_end_mark(caption):
        return caption
    breaks_off = cut_off or goes_on(caption, settings.language or "en")
    remaining = _polish(truncate_to_sentence(caption))
    longest = max((len(words(sentence)) for sentence in sentences(remaining)), default=0)
    if longest >= settings.min_sentence_words:
        return remaining if settings.truncate_to_sentence else "" if breaks_off else caption
    return "" if breaks_off else caption


def _polish(text: str) -> str:
    """Joins the lines of a text and repairs it, until neither changes anything."""
    for _ in range(_MAX_ROUNDS):
        polished = repair(one_line(_readable(text)))
        if polished == text:
            return text
        text = polished
    return text


def _raw_reason(raw: str, lines: str, settings: ScreeningSettings) -> str:
    """Returns the reason that shows only before characters are removed and lines joined, or ""."""
    if settings.mojibake and is_mojibake(raw):
        return "mojibake"
    if settings.markup and "\n" in lines and has_markup(lines):
        # A refusal may come with a list of what the model can do instead.
        return "refusal" if settings.refusal and is_refusal(one_line(lines), settings.language) else "markup"
    if settings.not_prose and "\n" in lines and has_structured_lines(lines):
        return "not_prose"
    return ""


def _reason(caption: str, prompt: str, settings: ScreeningSettings) -> str:
    """Returns the first rule that a repaired caption of one line breaks, or ""."""
    if settings.mojibake and is_mojibake(caption):
        return "mojibake"
    if settings.refusal and is_refusal(caption, settings.language):
        return "refusal"
    if settings.markup and has_markup(caption):
        return "markup"
    if settings.prompt_echo_words and prompt and echoes_prompt(words(caption), prompt, settings.prompt_echo_words):
        return "prompt_echo"
    if settings.chatter and has_chatter(caption, settings.language):
        return "chatter"
    if settings.not_prose and is_structured_text(caption):
        return "not_prose"
    if _repeats(caption, settings):
        return "repetition"
    if settings.language and is_in_another_language(caption, (settings.language,), settings.max_other_script_share):
        return "wrong_language"
    return ""


def _repeats(caption: str, settings: ScreeningSettings) -> bool:
    """Returns whether a caption repeats itself; lettering in quotation marks may do so, within limits."""
    plain = without_quotations(caption)
    tokens = words(plain)
    if settings.phrase_loop_repeats:
        if (
            has_phrase_loop(tokens, settings.phrase_loop_repeats)
            or has_looping_word(tokens)
            or has_looping_marks(plain)
        ):
            return True
        if len(plain) < len(caption) and has_phrase_loop(
            words(caption), max(QUOTED_REPEATS, settings.phrase_loop_repeats)
        ):
            return True
    return settings.max_repeated_share < 1 and repeated_ngram_share(tokens) >= settings.max_repeated_share


_MAX_ROUNDS = 50  # each removes a layer; texts have a few
_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)


def _field(text: str, name: str) -> str | None:
    """Returns the string in a field of a response in JSON, with or without a code fence; None if there is none."""
    fenced = _FENCE.fullmatch(text.strip())
    try:
        data = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, str) else None
