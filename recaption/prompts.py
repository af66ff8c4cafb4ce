"""The prompt library: prompts by id and purpose, the choice of a prompt for each image, and the context in it.

The library's prompts lie in `library/*.yaml`; a user's own files have the same format.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from corpus.sampling import choose_weighted
from corpus.settings import Settings, SettingsError, load_settings, tuning
from recaption.special_tokens import SPECIAL_TOKEN, remove_special_tokens

Purpose = Literal["detailed", "short", "document", "chart", "clip_frames", "window_frames"]
PURPOSES: tuple[str, ...] = get_args(Purpose)

_LIBRARY = Path(__file__).parent / "library"
_CONTEXT = "{context}"
_MAX_CONTEXT_CHARS = {"window_frames": 1500}  # captions of several clips; an image's context is one line
_PLACEHOLDER = re.compile(r"\{\s*\w*\s*\}")  # longer text in braces, such as an example in JSON, is text
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")
MAX_CONTEXT_CHARS = 300
# Joiners and variation selectors next to ASCII, where no script needs them: they would hide a token or split it.
_IDLE_JOINER = re.compile(
    "(?<![^\x00-\x7f｜▁])[\u034f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]+|[\u200c\u200d]+(?![^\x00-\x7f｜▁])"
)
_JOINERS = "\u200c\u200d"
# Prompts put the context in double quotation marks: nothing in it may end them, escape one, or open a code block.
_QUOTATION_MARKS = str.maketrans(dict.fromkeys('"“”„‟«»＂″‶❝❞〝〞〟`', "'") | {"\\": " ", "＼": " "})
# An angle bracket that begins or ends a tag of any name; "x < 5" stays.
_TAG_OPENING, _TAG_CLOSING = re.compile(r"[<＜](?=[^\s<>＜＞=\d])"), re.compile(r"(?<=[^\s<>＜＞=\d])[>＞]")


class PromptSettings(Settings):
    """Settings of one prompt in a YAML file."""

    purpose: Purpose = Field(description="What the prompt is for; settings choose prompts by it.")
    text: str = Field(min_length=1, description="The user's turn; {context} is replaced by the row's own text.")
    json_schema: dict[str, Any] | None = Field(
        None, description="The schema of an answer in JSON; absent for free text."
    )
    caption_field: str = Field("", description="The field of an answer in JSON that holds the caption.")
    images: tuple[int, int] = Field(
        (1, 1), description="The smallest and the largest number of images that the prompt is for."
    )

    @field_validator("text")
    @classmethod
    def _known_placeholders(cls, text: str) -> str:
        if unknown := sorted(set(_PLACEHOLDER.findall(text)) - {_CONTEXT}):
            raise ValueError(f"unknown placeholder {unknown[0]}; {_CONTEXT} is the only one")
        if found := SPECIAL_TOKEN.search(text):
            raise ValueError(f"{found[0]} belongs to the model's chat template, which adds it itself")
        return text

    @field_validator("images")
    @classmethod
    def _in_order(cls, images: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= images[0] <= images[1]:
            raise ValueError("expected the minimum and the maximum number of images, such as [2, 16]")
        return images

    @model_validator(mode="after")
    def _caption_in_schema(self) -> Self:
        if (self.json_schema is None) != (self.caption_field == ""):
            raise ValueError("json_schema and caption_field need each other")
        if self.json_schema is not None and self.caption_field not in self.json_schema.get("properties", {}):
            raise ValueError(f"caption_field {self.caption_field!r} is not among the properties of json_schema")
        return self


class _PromptFile(Settings):
    prompts: dict[str, PromptSettings] = Field(min_length=1, description="The prompts by id, such as detailed-01.")

    @field_validator("prompts")
    @classmethod
    def _ids(cls, prompts: dict[str, PromptSettings]) -> dict[str, PromptSettings]:
        for name in prompts:
            if name in PURPOSES or not _ID.fullmatch(name):
                raise ValueError(f"{name!r} can't be an id: expected small letters, digits, - and _, and no purpose")
        return prompts


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of the library. `digest` is a hash of all of it but the id: 16 hex digits."""

    id: str
    purpose: str
    text: str
    json_schema: str = ""  # JSON; "": free text
    caption_field: str = ""
    min_images: int = 1
    max_images: int = 1
    uses_context: bool = False
    digest: str = ""

    @property
    def max_context_chars(self) -> int:
        """The largest number of characters of context in the prompt, by its purpose."""
        return _MAX_CONTEXT_CHARS.get(self.purpose, MAX_CONTEXT_CHARS)


def load_library(files: Sequence[str | Path] = ()) -> dict[str, Prompt]:
    """Returns the project's prompts and those of `files` (YAML), by id.

    Raises SettingsError, with file and key, for an invalid prompt or an id that exists already.
    """
    library: dict[str, Prompt] = {}
    origins: dict[str, str | Path] = {}
    for file in (*sorted(_LIBRARY.glob("*.yaml")), *files):
        for name, settings in load_settings(file, _PromptFile).prompts.items():
            if name in library:
                raise SettingsError(f"{file}: prompts.{name}: there is a prompt of this id already, in {origins[name]}")
            library[name] = _prompt(name, settings)
            origins[name] = file
    return library


def _prompt(name: str, settings: PromptSettings) -> Prompt:
    # The order of a schema's properties is kept: it is the order in which the model writes them.
    schema = "" if settings.json_schema is None else json.dumps(settings.json_schema, separators=(",", ":"))
    content = json.dumps(settings.canonical() | {"json_schema": schema}, sort_keys=True, separators=(",", ":"))
    return Prompt(
        name,
        settings.purpose,
        settings.text,
        schema,
        settings.caption_field,
        *settings.images,
        uses_context=_CONTEXT in settings.text,
        digest=hashlib.sha256(content.encode()).hexdigest()[:16],
    )


class PromptChoice(Settings):
    """Settings of which prompts a source uses."""

    prompts: dict[str, float] | None = Field(
        None,
        min_length=1,
        description="Weights of prompt ids, or of purposes, whose free-text prompts share the weight; null is "
        "detailed for images, clip_frames for clips, window_frames for windows.",
    )
    files: tuple[str, ...] = tuning(
        (), description="YAML files of more prompts, whose contents are part of the fingerprint."
    )

    @field_validator("prompts")
    @classmethod
    def _positive(cls, prompts: dict[str, float] | None) -> dict[str, float] | None:
        for name, weight in (prompts or {}).items():
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of {name} must be a number above 0")
        return prompts


def check_prompt_names(choice: PromptChoice) -> None:
    """Raises SettingsError unless all names that are chosen exist, whatever number of images their prompts are for."""
    library = load_library(choice.files)
    for name in choice.prompts or ():
        _resolve_name(name, library)


def chosen_prompts(
    choice: PromptChoice, images: tuple[int, int] = (1, 1), default: Purpose = "detailed"
) -> tuple[tuple[Prompt, float], ...]:
    """Returns the prompts to choose from with their weights, sorted by id: the argument of `choose_prompts`.

    `images` is the minimum and maximum number of images of a request; `default` the purpose where the settings choose
    nothing. Where all chosen prompts need a context, fallbacks of weight 0 are added for rows without a text. Raises
    SettingsError.
    """
    library = load_library(choice.files)
    weights: dict[str, float] = {}
    for name, weight in (choice.prompts or {default: 1.0}).items():
        matching = _prompts_for_images(name, library, images)
        for prompt in matching:
            weights[prompt.id] = weights.get(prompt.id, 0.0) + weight / len(matching)
    if all(library[name].uses_context for name in weights):
        weights |= dict.fromkeys(_fallbacks([library[name] for name in weights], library, images), 0.0)
    return tuple((library[name], weights[name]) for name in sorted(weights))


def _prompts_for_images(name: str, library: Mapping[str, Prompt], images: tuple[int, int]) -> list[Prompt]:
    fitting = [prompt for prompt in _resolve_name(name, library) if _fits(prompt, images)]
    if not fitting:
        counts = " to ".join(str(count) for count in sorted(set(images)))
        purposes = {prompt.purpose for prompt in library.values() if _fits(prompt, images)}
        instead = ", ".join(purpose for purpose in PURPOSES if purpose in purposes) or "none"
        raise SettingsError(f"prompts.{name}: not for {counts} image(s) in a request; prompts that are: {instead}")
    return fitting


def _resolve_name(name: str, library: Mapping[str, Prompt]) -> list[Prompt]:
    """Returns the prompt of an id, or the free-text prompts of a purpose (not every backend has structured output)."""
    if name not in library and name not in PURPOSES:
        known = f"a purpose ({', '.join(PURPOSES)}) nor an id ({', '.join(library)})"
        raise SettingsError(f"prompts.{name}: neither {known}")
    return [library[name]] if name in library else _of_purposes({name}, library)


def _fallbacks(prompts: Sequence[Prompt], library: Mapping[str, Prompt], images: tuple[int, int]) -> list[str]:
    same = _of_purposes({prompt.purpose for prompt in prompts}, library)
    names = [prompt.id for prompt in same if not prompt.uses_context and _fits(prompt, images)]
    if not names:
        chosen = ", ".join(prompt.id for prompt in prompts)
        raise SettingsError(f"prompts: all need a row's text ({chosen}); add one without {_CONTEXT} for the other rows")
    return names


def _of_purposes(purposes: set[str], library: Mapping[str, Prompt]) -> list[Prompt]:
    return [prompt for prompt in library.values() if prompt.purpose in purposes and not prompt.json_schema]


def _fits(prompt: Prompt, images: tuple[int, int]) -> bool:
    return prompt.min_images <= images[0] and images[1] <= prompt.max_images


def choose_prompts(
    prompts: Sequence[tuple[Prompt, float]], digests: Sequence[bytes], has_text: NDArray[np.bool_], seed: int
) -> NDArray[np.intp]:
    """Chooses a prompt for each image by its content's digest; returns their indices in `prompts`, intp[n].

    `has_text` (bool[n]) says whether `clean_context` leaves anything of the row's text: prompts with a context are only
    for these rows. An image has the same prompt in every source and order; when a prompt is added, an image keeps its
    prompt or gets the new one.
    """
    needs_context = np.array([prompt.uses_context for prompt, _ in prompts], bool)
    weights = np.array([weight for _, weight in prompts], float)
    plain = np.where(needs_context, 0.0, weights)
    if not plain.any():
        plain = np.where(needs_context, 0.0, 1.0)
    if not plain.any() and not np.all(has_text):
        raise ValueError("rows without a text, and no prompt that does without one")
    weights_of_each = np.where(np.asarray(has_text, bool)[:, None], weights, plain)
    names = [prompt.id for prompt, _ in prompts]
    return choose_weighted(pa.array(digests, pa.binary()), names, weights_of_each, seed)


def render_prompt(prompt: Prompt, context: str = "") -> str:
    """Returns the user's turn: the prompt's text with the row's cleaned context in it."""
    return prompt.text.replace(_CONTEXT, clean_context(context, prompt.max_context_chars))


def clean_context(text: str, max_chars: int = MAX_CONTEXT_CHARS) -> str:
    """Returns a row's text as context of a prompt: one line of at most `max_chars` characters, cut at a word.

    It has no special token of a chat template, no invisible character, and no double quotation mark or backslash:
    lettering is quoted with apostrophes instead.
    """
    text = "".join(map(_visible, text[: 10 * max_chars]))
    while (cleaned := remove_special_tokens(_IDLE_JOINER.sub("", text))) != text:
        text = cleaned
    text = _TAG_CLOSING.sub("›", _TAG_OPENING.sub("‹", text.translate(_QUOTATION_MARKS)))
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    cut = text[: max_chars + 1].rpartition(" ")[0]
    return cut or text[:max_chars]


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cc", "Cs", "Zl", "Zp"):
        return " "
    return "" if category in ("Cf", "Co", "Cn") and char not in _JOINERS else char
