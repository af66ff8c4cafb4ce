"""Rules about texts of images, each by planted noise; and captions that none of them removes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.text.statistics import text_statistics
from filters.text.rules import TEXT_RULES, AltTextRules, TextFilterSettings, broken_rules, text_reasons

NOISE = {
    "IMG_1234.jpg": "file_name",
    "2019-03-12": "date_only",
    "12345": "number_only",
    "Click to enlarge": "placeholder",
    "https://www.example.com/products/red-dress": "mostly_url",
    "www.example.com | shop": "mostly_url",
    "cats": "too_short",
    "red dress": "too_few_words",
    "★★★ *** !!! a1b2c3": "mostly_symbols",
    "shoes nike shoes running shoes cheap shoes": "keyword_stuffing",
    "shoes, nike, running shoes, cheap, sale, men, sneakers, discount": "keyword_stuffing",
    "dress | red dress | buy dress | cheap dress | dress online | dress sale | dress shop": "keyword_stuffing",
    "this springer, welsh this, jasper springer, this welsh, jasper springer, welsh this, springer": "keyword_stuffing",
    "buy it now! " * 30: "repetitive",
    "a photo of a photo of a photo of a photo of": "repetitive",
    "A green lizard on a stone in the sun. " * 3: "repetitive",
    "A lighthouse guides ships off the coast" + ", waters off the coast" * 8: "repetitive",
    "a photo of my soccer ball. a photo of my soccer ball. a photo of my soccer ball.": "repetitive",
    "Image may contain: 1 person": "placeholder",
    "word " * 5000: "too_long",
    "": "empty_text",
}
CAPTIONS = (
    "A red car stands in front of a house.",
    "Two dogs, a cat and a parrot on a sofa",
    "Bowls of apples, bananas, oranges, grapes, kiwis, mangos and pears on a table",
    "New York City, USA, 2019",
    "Woman in red dress - Stock Photo",
    "The Beatles: Abbey Road (1969)",
    "Ein Hund spielt am Strand mit einem Ball",
    "埃菲尔铁塔的夜景",
    "Eiffel Tower, Paris, France, at night",
    "A Pekingese dog has a coat that can be any color, including black, blue, cream, fawn, gold, red, sable or silver",
    "row, row, row your boat, gently down the stream",
    "how much wood would a woodchuck chuck if a woodchuck could chuck wood",
    "Nike Air Max 90 Essential running shoes",
    "A red chair, a blue chair and a green chair: each chair stands beside a chair of another colour",
    "1967 Ford Mustang Fastback",
)


def test_planted_noise_has_its_reason_and_captions_none() -> None:
    texts = [*NOISE, *CAPTIONS]
    found = text_reasons(pa.array(texts), AltTextRules()).to_pylist()
    expected = {**NOISE, **dict.fromkeys(CAPTIONS, "")}
    assert {text: reason for text, reason in zip(texts, found, strict=True) if expected[text] != reason} == {}


def test_other_texts_may_be_what_no_caption_is() -> None:
    labels = ["cats", "5", "2019", "C++", "red dress", "IMG_1234.jpg", "https://www.example.com/products", "a, b, c"]
    assert text_reasons(pa.array(labels), TextFilterSettings()).to_pylist() == [""] * len(labels)


def test_thresholds_are_read_from_statistics_alone_and_one_at_them_passes() -> None:
    texts = pa.array(["ab 1*", "one two three", "a b c d"])
    statistics = text_statistics(texts)
    settings = TextFilterSettings(min_alnum_share=0.75, min_words=3, max_words=3, min_chars=5)
    broken = broken_rules(statistics, settings)
    assert {reason: np.flatnonzero(breaks).tolist() for reason, breaks in broken.items()} == {
        "empty_text": [],
        "too_short": [],
        "too_long": [],
        "mostly_symbols": [],
        "too_few_words": [0],
        "too_many_words": [2],
        "repetitive": [],
    }
    assert set(broken_rules(statistics, AltTextRules(max_words=5))) == {rule.reason for rule in TEXT_RULES}


def test_language_is_the_last_rule() -> None:
    texts = pa.array(["Ein kleiner Hund spielt am Strand mit einem roten Ball", "IMG_1.jpg", "A dog on a beach"])
    assert text_reasons(texts, AltTextRules(languages=["en"])).to_pylist() == ["wrong_language", "file_name", ""]
