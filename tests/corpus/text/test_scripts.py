"""Scripts are told apart by letters, and a clause in another script from a name in one."""

from __future__ import annotations

import unicodedata

from corpus.text.scripts import DENSE_WEIGHT, SCRIPTS, is_in_other_script, letter_counts, letter_weight, script_pattern
from tests.helpers.cases import cases

LATIN = ("Latin",)
# As Unicode names the letters of each.
NAMES = {
    "Latin": (
        *("LATIN", "MATHEMATICAL", "ROMAN", "FEMININE", "MASCULINE", "MODIFIER", "FULLWIDTH", "CARON"),
        *("GREEK LETTER SMALL CAPITAL", "GREEK SUBSCRIPT", "CYRILLIC LETTER SMALL CAPITAL"),  # of phonetic alphabets
    ),
    "Cyrillic": ("CYRILLIC", "COMBINING", "MODIFIER"),
    "Greek": ("GREEK", "COPTIC"),
    "Arabic": ("ARABIC",),
    "Hebrew": ("HEBREW",),
    "Devanagari": ("DEVANAGARI",),
    "Thai": ("THAI",),
    "Hangul": ("HANGUL",),
    "Han": ("CJK", "IDEOGRAPHIC"),
    "Kana": ("HIRAGANA", "KATAKANA", "HALFWIDTH"),
}


def test_the_letters_of_a_script_are_those_that_unicode_names_so() -> None:
    wrong = {}
    for script, names in NAMES.items():
        letters = [chr(code) for code in range(0x20000) if script_pattern((script,)).match(chr(code))]
        assert len(letters) > 50
        wrong[script] = [
            letter
            for letter in letters
            if letter.isalpha() and not unicodedata.name(letter, names[0]).startswith(names)
        ]
    assert set(NAMES) == set(SCRIPTS)
    assert {script: letters for script, letters in wrong.items() if letters} == {}


def test_letters_are_counted_by_script_and_weighed() -> None:
    assert letter_counts("Ein Hund, 3 Katzen", LATIN) == (13, 0)
    assert letter_counts("word слово 1_2", LATIN) == (4, 5)
    assert letter_counts("word слово 1_2", ("Cyrillic",)) == (5, 4)
    assert letter_counts("word слово", ("Latin", "Cyrillic")) == (9, 0)
    assert letter_weight("two words") == 8
    assert letter_weight("山 and かな") == 3 + 3 * DENSE_WEIGHT


@cases(
    ("text", "scripts"),
    [
        ("Собака спит на диване.", LATIN),
        ("A dog. Собака спит на диване. A cat.", LATIN),
        ("A dog sleeps, рядом с ним лежит большая кошка, on the sofa.", LATIN),
        ("A boat lies here. 远处的山上有一座白色的塔，天空很蓝。", LATIN),
        ("a 蓝色 dress on a 街道 in the 城市 at night", LATIN),
        ("The dog sleeps on the sofa.", ("Cyrillic",)),
        ("שלום", ("Han", "Kana")),
    ],
)
def test_texts_and_clauses_in_another_script_are_found(text: str, scripts: tuple[str, ...]) -> None:
    assert is_in_other_script(text, scripts, 0.3)


@cases(
    ("text", "scripts"),
    [
        ("A dog sleeps.", LATIN),
        ("", LATIN),
        ("12:45 → 13:00", LATIN),
        ("A sign with 北京站 on it", LATIN),
        ("A bust of Александр Сергеевич Пушкин stands between two rows of books.", LATIN),
        ("山", LATIN),  # one letter is no text
        ("Машина BMW у магазина IKEA", ("Cyrillic",)),
        ("см. https://example.org/a/long/address и info@example.org", ("Cyrillic",)),
    ],
)
def test_names_signs_and_addresses_are_no_clauses(text: str, scripts: tuple[str, ...]) -> None:
    assert not is_in_other_script(text, scripts, 0.3)


def test_the_share_that_is_fine_counts_from_twenty_letters_on() -> None:
    few = "window окно, doorway дверь, kitchen кухня" + " and many more words" * 2
    many = "window окно, doorway дверь, kitchen кухня, picture картина" + " and many more words" * 2
    assert letter_counts(few, LATIN)[1] == 14 and letter_counts(many, LATIN)[1] == 21
    assert not is_in_other_script(few, LATIN, 0.1)
    assert not is_in_other_script(many, LATIN, 0.3)
    assert is_in_other_script(many, LATIN, 0.2)
