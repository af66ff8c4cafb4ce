from __future__ import annotations

import pytest

from corpus.text.language import LANGUAGES
from corpus.text.sentences import sentences, without_quotations
from recaption.screening.speech import (
    _lexicon,
    cites_rules,
    has_first_person,
    has_negation,
    is_question,
    reports_missing_image,
)
from tests.helpers.good_captions import GOOD_CAPTIONS

PARTS = {
    "me",
    "picture",
    "fails",
    "sent",
    "allowed",
    "request",
    "breaks",
    "rules",
    "says",
    "you",
    "text",
    "here",
    "task",
    "want",
    "file",
    "broken",
    "act",
    "self",
    "courtesy",
    "agrees",
    "user",
    "received",
    "nothing",
    "must",
    "tell",
    "pictures",
    "impossible",
    "failed",
    "account",
    "counted",
    "wait",
    "trouble",
}  # of meaning, for which each language has words
VERBS_THAT_NEGATE = {"tr"}  # languages that hold a verb and its negation in one word


def test_every_language_that_can_be_requested_has_a_lexicon() -> None:
    assert set(_lexicon()) == set(LANGUAGES)
    differing = {
        language: set(words) ^ PARTS
        for language, words in _lexicon().items()
        if set(words) != (PARTS | {"negated"} if language in VERBS_THAT_NEGATE else PARTS)
    }
    assert differing == {}
    assert [
        (language, name) for language, words in _lexicon().items() for name, each in words.items() if not each
    ] == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Here I stop.", "en"),
        ("First I look at the boat.", "en"),
        ("That is too dark for me.", "en"),
        ("Das weiß ich nicht.", "de"),
        ("这超出了我的能力。", "zh"),
        ("제가 도와드릴게요.", "ko"),
        ("Мне это неизвестно.", "ru"),
    ],
)
def test_a_first_person(text: str, language: str) -> None:
    assert has_first_person(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A tank from World War I stands in a park.", "en"),
        ("A portrait of Charles I in armour", "en"),
        ("A mug that says I love you", "en"),
        ("An I-beam hangs from a crane.", "en"),
        ("A photo of my dog", "en"),
        ("빛나는 별과 안내가 적힌 문제가 있는 표지판", "ko"),
        ("从这里我们可以看到一座山。", "zh"),
        ("En hund løper 5 min hver dag.", "no"),
    ],
)
def test_no_first_person(text: str, language: str) -> None:
    assert not has_first_person(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The photo was not attached.", "en"),
        ("No picture has been uploaded.", "en"),
        ("Das Bild ist nicht angekommen, es wurde nicht gesendet.", "de"),
        ("Aucune image n'a été envoyée.", "fr"),
        ("没有收到图片。", "zh"),
        ("写真が届いていません。", "ja"),
        ("तस्वीर अपलोड नहीं हुई।", "hi"),
    ],
)
def test_a_picture_that_has_not_come(text: str, language: str) -> None:
    assert reports_missing_image(text, language)


def test_rules_questions_and_denials() -> None:
    assert cites_rules("This request is against the usage policy.", "en")
    assert cites_rules("Cette demande enfreint les règles.", "fr")
    assert not cites_rules("A sign says that dogs are not allowed.", "en")
    assert is_question("Is it a boat?") and is_question("还需要吗？") and is_question("Please wait here.")
    assert not is_question("Please-touch exhibit") and not is_question("A boat.")
    assert has_negation("Das geht nicht.", "de") and not has_negation("Das geht.", "de")


def test_good_captions_have_none_of_it() -> None:
    parts = [part for caption in GOOD_CAPTIONS for part in sentences(without_quotations(caption))]
    checks = (has_first_person, reports_missing_image, cites_rules)
    assert [part for part in parts if is_question(part) or any(check(part, "en") for check in checks)] == []
