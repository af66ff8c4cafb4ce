"""Settings of the stage `text_filter`, and the rules that it has besides those of `filters.text.rules`."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from corpus.schema import CaptionOrigin
from corpus.settings import Settings
from filters.text.rules import TEXT_RULES, AltTextRules, TextRule


class PairTextSettings(AltTextRules):
    """Settings of the filter of texts of one dataset. By default they are meant for alt-texts of images."""

    max_tokens: int | None = Field(
        None,
        ge=1,
        description="The most tokens of a text, by `stages.text_stats.tokenizer`; above them the pair is filtered "
        "(too_many_tokens).",
    )
    min_language_score: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The score that a text of `languages` must have by `stages.text_stats.language_identifier`; a "
        "lower one, or another language, is filtered (wrong_language). With 0 a text is filtered that is clearly in "
        "another one. Texts under 20 letters are never judged.",
    )
    max_rows_per_template: int | None = Field(
        1000,
        ge=1,
        description="In how many pairs of the dataset a text may come whose numbers alone differ; those of one that "
        "comes more often are all filtered (boilerplate); null allows any.",
    )
    max_rows_per_text: int | None = Field(
        None,
        ge=1,
        description="The most pairs of the dataset with the same text, generated captions among them; of more, those "
        "stay that a hash of their ids puts first (repeated_text); null allows any.",
    )
    origins: tuple[CaptionOrigin, ...] = Field(
        (CaptionOrigin.ORIGINAL,),
        description="The origins of the texts that are filtered, save by max_rows_per_text. Generated captions have "
        "been screened by the stage `caption`.",
    )
    sides: tuple[Literal["query", "positive"], ...] = Field(
        ("query", "positive"), description="The sides of pairs whose texts are filtered; an empty text never is."
    )


class PairTextFilterSettings(Settings):
    """Settings of the filter of the texts of pairs."""

    datasets: dict[str, PairTextSettings] = Field(
        {}, description="The datasets whose texts are filtered, each with its own rules."
    )


PAIR_RULES: tuple[TextRule, ...] = (
    *TEXT_RULES[1:],  # an empty text is that of a side without one
    TextRule(
        "too_many_tokens", ("tokens",), lambda s: s.max_tokens is not None, lambda c, s: c["tokens"] > s.max_tokens
    ),
)
COUNT_RULES: tuple[TextRule, ...] = (
    TextRule(
        "boilerplate",
        ("template_count",),
        lambda s: s.max_rows_per_template is not None,
        lambda c, s: np.nan_to_num(c["template_count"], nan=1) > s.max_rows_per_template,
    ),
)
RANK_RULE = TextRule(
    "repeated_text",
    ("text_rank",),
    lambda s: s.max_rows_per_text is not None,
    lambda c, s: np.nan_to_num(c["text_rank"], nan=0) >= s.max_rows_per_text,
)
